/**
 * ARM32 LPAE stage 1: the long-descriptor tables of ARMv7-A with the Large Physical Address Extension and of AArch32, and of IOMMUs that walk them.
 * Arm Architecture Reference Manual ARMv7-A and ARMv7-R edition, DDI 0406C: B3.6 long descriptors, B3.7 access permissions, B3.8 memory
 * attributes, B4.1.153 TTBCR. AArch32 of ARMv8: DDI 0487, G5. Levels are the manual's: 1 to 3 (2 and 3 up to 30 bits), pages are at level 3.
 */
import {
  AARCH32_HYP,
  AARCH32_STAGE1,
  type ArmLpaeTcr,
  armFault,
  codeOf,
  encodeStage1,
  encodeStage1Table,
  firstLevel,
  granuleOf,
  lpaeGeometry,
  MAIR,
  type MairContext,
  narrow32,
  OUTPUT_SIZES,
  ownRegime,
  protStage1,
  type Stage1Quirk,
  type Stage1Regime,
  stage1Denies,
  stage1Policy,
  stage1RegimeOf,
  TG0,
  TG1,
  walkFields,
} from '@io-pgtable/arm-lpae'
import {
  type Agreed,
  configError,
  type FormatConfig,
  type IoPageTableFmt,
  PARTIES,
  pgsizeBitmap,
  SZ_1G,
  SZ_2M,
  SZ_4K,
} from '@io-pgtable/core'
import { packTtbcr, rootsFromTtbcr } from './registers.ts'

export type { ArmLpaeTcr } from '@io-pgtable/arm-lpae'

/** ARM_NS: non-secure tables of a secure device. ARM_TTBR1: the top of the address space. ARM_OUTER_WBWA: outer write-back walks without coherency. ARM_HD: dirty tracking. */
export type Arm32LpaeS1Quirk = Stage1Quirk

const QUIRKS: readonly Arm32LpaeS1Quirk[] = ['ARM_NS', 'ARM_TTBR1', 'ARM_OUTER_WBWA', 'ARM_HD', 'NO_WARN']

/** `ias` up to 32, `oas` up to 40. */
export type Arm32LpaeS1Config = FormatConfig<Arm32LpaeS1Quirk>

/** What the device's registers get. */
export interface Arm32LpaeS1Regs {
  /** TTBR0, or TTBR1 with that quirk, 64 bits: the root's address. No ASID. */
  readonly ttbr: bigint
  /** The fields as Linux gives them for this format, too: those of an AArch64 TCR. For a device whose driver packs its own register. */
  readonly tcr: ArmLpaeTcr
  /**
   * TTBCR with EAE set, and the other half's walks disabled (EPD). Undefined where TTBCR cannot say it: `ias` below 25, whose T0SZ would be
   * more than 7, and ARM_TTBR1 with `ias` 32, since TTBR1 alone never translates all addresses.
   */
  readonly ttbcr: bigint | undefined
  /** MAIR1 and MAIR0 as one. */
  readonly mair: bigint
  /** Attribute 0 normal non-cacheable, 1 normal write-back, 2 device, 3 inner non-cacheable outer write-back. */
  readonly mair0: bigint
  readonly mair1: bigint
}

/** What fixes the geometry. */
export interface Arm32LpaeS1Params {
  readonly ias: number
  readonly oas: number
  /** The table translates the top of an address space: of 32 bits, where a CPU's registers say so, or of 64, as Linux counts ARM_TTBR1. */
  readonly topOf: 32 | 64 | undefined
  /** Hyp mode: descriptors of one privilege. Default false. */
  readonly single?: boolean
}

export interface Arm32LpaeS1Context extends MairContext, Stage1Regime {}

/** Raw registers, as the CPU (or an SMMU context bank) holds them; TTBRs are 64 bits. */
export interface Arm32LpaeS1Hardware {
  readonly ttbr0?: bigint
  readonly ttbr1?: bigint
  readonly ttbcr: bigint
  readonly mair0: bigint
  readonly mair1: bigint
  /** SCTLR, for WXN and UWXN; HSCTLR. Default: both clear. */
  readonly sctlr?: bigint
  /** An SMMU's context descriptor has HA and HD set; a CPU has neither here. Default false. */
  readonly hd?: boolean
  /** `hyp`: HTTBR as ttbr0, HTCR as ttbcr, HMAIR0 and HMAIR1, HSCTLR. Default `pl1`. */
  readonly regime?: 'pl1' | 'hyp'
}

type Config = Agreed<Arm32LpaeS1Config>

function configure(request: Arm32LpaeS1Config): Config {
  const config = narrow32('arm32-lpae-s1', request, QUIRKS, 32)
  if (config.quirks.includes('ARM_OUTER_WBWA') && config.coherentWalk)
    throw configError('arm32-lpae-s1', 'quirk', 'ARM_OUTER_WBWA', 'only with coherentWalk: false')
  return config
}

function regs(config: Config, [root = 0n]: readonly bigint[]): Arm32LpaeS1Regs {
  const ttbr1 = config.quirks.includes('ARM_TTBR1')
  const walk = walkFields(config.coherentWalk)
  const tcr: ArmLpaeTcr = {
    ...walk,
    ips: codeOf(OUTPUT_SIZES, config.oas) ?? 0,
    tg: codeOf(ttbr1 ? TG1 : TG0, granuleOf(config)) ?? 0,
    orgn: config.quirks.includes('ARM_OUTER_WBWA') ? 1 : walk.orgn,
    tsz: 64 - config.ias,
  }
  return { ttbr: root, tcr, ttbcr: packTtbcr(tcr, config.ias, ttbr1), mair: MAIR, mair0: MAIR, mair1: 0n }
}

const BASE: Arm32LpaeS1Config = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G), ias: 32, oas: 40 }
const TWO_LEVELS: Arm32LpaeS1Config = { ...BASE, pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: 30 }

/** ARM32 LPAE stage 1. */
export const arm32LpaeS1: IoPageTableFmt<Arm32LpaeS1Config, Arm32LpaeS1Regs, Arm32LpaeS1Params, Arm32LpaeS1Context, Arm32LpaeS1Hardware> = {
  FORMAT: 'arm32-lpae-s1',
  title: 'ARM32 LPAE stage 1',
  manual: 'Arm ARM DDI 0406C, B3.6: long-descriptor translation table format',
  configure,
  params: ({ ias, oas, quirks }) => ({ ias, oas, topOf: quirks.includes('ARM_TTBR1') ? 64 : undefined }),
  geometry: ({ ias, oas, topOf, single }) => {
    const shape = { granule: SZ_4K, ias, oas, lpa2: false }
    const low = lpaeGeometry(shape, firstLevel(shape), single ? AARCH32_HYP : AARCH32_STAGE1)
    return topOf === undefined ? low : { ...low, window: 'top', spaceBits: topOf }
  },
  policy: stage1Policy,
  encodeLeaf: (config, _node, kind, prot) => encodeStage1(config, kind, prot),
  encodeTable: encodeStage1Table,
  prot: protStage1,
  context: (config) => ({ mair: MAIR, ...ownRegime(config, true) }),
  parties: ({ single }) => (single ? ['all'] : PARTIES),
  use: () => 'cpu',
  regime: stage1RegimeOf,
  denies: stage1Denies,
  fault: armFault,
  regs,
  regimes: {
    pl1: { registers: {} },
    hyp: { registers: { httbr: 'ttbr0', htcr: 'ttbcr', hmair0: 'mair0', hmair1: 'mair1', hsctlr: 'sctlr' }, value: 'hyp' },
    stage2: { registers: {}, format: 'arm32-lpae-s2' },
  },
  rootsFromRegs: rootsFromTtbcr,
  // ARM_TTBR1 is the top of 64 bits here, and of 32 in a CPU's TTBCR.
  hardware: ({ quirks }, { ttbr, ttbcr, mair0, mair1 }) =>
    ttbcr === undefined || quirks.includes('ARM_TTBR1') ? undefined : { ttbr0: ttbr, ttbcr, mair0, mair1, hd: quirks.includes('ARM_HD') },
  configs: [
    { name: '32 bits, root of 4 entries', config: BASE },
    { name: '31 bits, non-secure', config: { ...BASE, ias: 31, quirks: ['ARM_NS'] } },
    { name: '30 bits, 2 levels, not coherent', config: { ...TWO_LEVELS, oas: 36, coherentWalk: false } },
    { name: '25 bits, 2 levels', config: { ...TWO_LEVELS, ias: 25, oas: 32 } },
    { name: 'dirty tracking', config: { ...BASE, oas: 36, quirks: ['ARM_HD'] } },
    { name: 'TTBR1, 31 bits', config: { ...BASE, ias: 31, quirks: ['ARM_TTBR1'] } },
    { name: 'outer write-back walks', config: { ...BASE, quirks: ['ARM_OUTER_WBWA'], coherentWalk: false } },
  ],
}
