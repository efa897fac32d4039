/**
 * ARM64 LPAE stage 1: the VMSAv8-64 translation tables of Arm SMMUs and CPUs.
 * Arm Architecture Reference Manual for A-profile, DDI 0487 (issue K): D8.2 translation table walks, D8.3 descriptor formats,
 * D8.4 access permissions, D8.5 hardware updates, D8.6 memory attributes, D8.7 other descriptor fields; TCR_EL1, TTBRn_EL1, MAIR_EL1: D24.2.
 * Levels are the manual's: 0 to 3, with FEAT_LPA2 from -1 on; pages are at level 3.
 */
import {
  AARCH64_SINGLE,
  AARCH64_STAGE1,
  type ArmLpaeTcr,
  armFault,
  codeOf,
  encodeStage1,
  encodeStage1Table,
  firstLevel,
  granuleOf,
  type Lpa2Config,
  type LpaeShape,
  lpaeGeometry,
  MAIR,
  type MairContext,
  narrow64,
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
  ttbrOf,
  walkFields,
} from '@io-pgtable/arm-lpae'
import {
  type Agreed,
  configError,
  type Geometry,
  type IoPageTableFmt,
  PARTIES,
  pgsizeBitmap,
  SZ_1G,
  SZ_2M,
  SZ_4K,
  SZ_4T,
  SZ_16K,
  SZ_32M,
  SZ_64G,
  SZ_64K,
  SZ_512G,
  SZ_512M,
} from '@io-pgtable/core'
import { linuxOf } from './os.ts'
import { packTcr, rootsFromTcr } from './registers.ts'

export type { ArmLpaeTcr } from '@io-pgtable/arm-lpae'

/** ARM_NS: non-secure tables of a secure device. ARM_TTBR1: the top of the address space. ARM_OUTER_WBWA: outer write-back walks without coherency. ARM_HD: dirty tracking. */
export type ArmLpaeS1Quirk = Stage1Quirk

const QUIRKS: readonly ArmLpaeS1Quirk[] = ['ARM_NS', 'ARM_TTBR1', 'ARM_OUTER_WBWA', 'ARM_HD', 'NO_WARN']

export type ArmLpaeS1Config = Lpa2Config<ArmLpaeS1Quirk>

/** What the device's registers get. */
export interface ArmLpaeS1Regs {
  /** Of TTBR0, or TTBR1 with that quirk: the root's address; bits 5:2 are PA[51:48] where the output address has 52 bits. No ASID. */
  readonly ttbr: bigint
  /** The fields of TCR for this half. */
  readonly tcr: ArmLpaeTcr
  /** TCR_EL1 for this half alone: the other half's walks are disabled (EPD). With ARM_HD, HA and HD are set. */
  readonly tcrValue: bigint
  /** MAIR_EL1: attribute 0 normal non-cacheable, 1 normal write-back, 2 device, 3 inner non-cacheable outer write-back. */
  readonly mair: bigint
}

/** What fixes the geometry. */
export interface ArmLpaeS1Params extends LpaeShape {
  /** TTBR1 translates the top of the address space. */
  readonly ttbr1: boolean
  /** EL2 without E2H, and EL3: descriptors of one privilege. Default false. */
  readonly single?: boolean
}

/** Translation regimes: EL1&0, EL2, EL2&0 (HCR_EL2.E2H), EL3. */
export type ArmRegime = 'el1' | 'el2' | 'el2e2h' | 'el3'

export interface ArmLpaeS1Context extends MairContext, Stage1Regime {
  /** With FEAT_LPA2, where no descriptor has a shareability: SH0 or SH1 of TCR. */
  readonly sh?: number
}

/** Raw registers, as the CPU (or an SMMU context bank) holds them. */
export interface ArmLpaeS1Hardware {
  readonly ttbr0?: bigint
  readonly ttbr1?: bigint
  readonly tcr: bigint
  readonly mair: bigint
  /** SCTLR of the regime, for WXN. Default: WXN clear. */
  readonly sctlr?: bigint
  /** Whose registers these are: TCR_EL2 (without E2H) and TCR_EL3 have a layout of their own, and no TTBR1. Default `el1`. */
  readonly regime?: ArmRegime
}

type Config = Agreed<ArmLpaeS1Config>

function configure(request: ArmLpaeS1Config): Config {
  const config = narrow64('arm64-lpae-s1', request, QUIRKS)
  if (config.quirks.includes('ARM_OUTER_WBWA') && config.coherentWalk)
    throw configError('arm64-lpae-s1', 'quirk', 'ARM_OUTER_WBWA', 'only with coherentWalk: false')
  return config
}

function params(config: Config): ArmLpaeS1Params {
  const { ias, oas, lpa2, quirks } = config
  return { granule: granuleOf(config), ias, oas, lpa2, ttbr1: quirks.includes('ARM_TTBR1') }
}

function geometry(shape: ArmLpaeS1Params): Geometry {
  const descriptors = shape.single ? AARCH64_SINGLE : AARCH64_STAGE1
  return { ...lpaeGeometry(shape, firstLevel(shape), descriptors), window: shape.ttbr1 ? 'top' : 'low' }
}

function tcrOf({ ias, oas, coherentWalk, quirks, lpa2, pgsizeBitmap }: Config): ArmLpaeTcr {
  const walk = walkFields(coherentWalk)
  return {
    ...walk,
    ips: codeOf(OUTPUT_SIZES, oas) ?? 0,
    tg: codeOf(quirks.includes('ARM_TTBR1') ? TG1 : TG0, granuleOf({ pgsizeBitmap })) ?? 0,
    orgn: quirks.includes('ARM_OUTER_WBWA') ? 1 : walk.orgn,
    tsz: 64 - ias,
    ...(lpa2 && { ds: 1 }),
  }
}

function regs(config: Config, [root = 0n]: readonly bigint[]): ArmLpaeS1Regs {
  const tcr = tcrOf(config)
  const tcrValue = packTcr(tcr, config.quirks.includes('ARM_TTBR1'), config.quirks.includes('ARM_HD'))
  return { ttbr: ttbrOf(root), tcr, tcrValue, mair: MAIR }
}

/** What the registers of an exception level are called. */
function registersOfEl(el: string, names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(names.map((name) => [`${name}_${el}`, name]))
}

const ONE_HALF = ['ttbr0', 'tcr', 'mair', 'sctlr']
const REGIMES = {
  el1: { registers: registersOfEl('el1', [...ONE_HALF, 'ttbr1']) },
  el2: { registers: registersOfEl('el2', ONE_HALF), value: 'el2' },
  el2e2h: { registers: registersOfEl('el2', [...ONE_HALF, 'ttbr1']), value: 'el2e2h' },
  el3: { registers: registersOfEl('el3', ONE_HALF), value: 'el3' },
  stage2: { registers: {}, format: 'arm64-lpae-s2' },
}

const sizes4K = pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G)
const lpa2 = true

/** ARM64 LPAE stage 1. */
export const arm64LpaeS1: IoPageTableFmt<ArmLpaeS1Config, ArmLpaeS1Regs, ArmLpaeS1Params, ArmLpaeS1Context, ArmLpaeS1Hardware> = {
  FORMAT: 'arm64-lpae-s1',
  title: 'ARM64 LPAE stage 1',
  manual: 'Arm ARM DDI 0487, chapter D8: the AArch64 Virtual Memory System Architecture',
  configure,
  params,
  geometry,
  policy: stage1Policy,
  encodeLeaf: (config, _node, kind, prot) => encodeStage1(config, kind, prot),
  encodeTable: encodeStage1Table,
  prot: protStage1,
  context: (config) => ({ mair: MAIR, ...ownRegime(config, false), ...(config.lpa2 && { sh: tcrOf(config).sh }) }),
  parties: ({ single }) => (single ? ['all'] : PARTIES),
  use: () => 'cpu',
  regime: stage1RegimeOf,
  denies: stage1Denies,
  tagBits: ({ tbi }) => (tbi ? 8 : 0),
  fault: armFault,
  regs,
  os: { linux: linuxOf },
  regimes: REGIMES,
  rootsFromRegs: rootsFromTcr,
  hardware: ({ quirks }, { ttbr, tcrValue, mair }) => ({ [quirks.includes('ARM_TTBR1') ? 'ttbr1' : 'ttbr0']: ttbr, tcr: tcrValue, mair }),
  configs: [
    { name: '4K, 48 bits', config: { pgsizeBitmap: sizes4K, ias: 48, oas: 48 } },
    { name: '4K, 39 bits, 3 levels', config: { pgsizeBitmap: sizes4K, ias: 39, oas: 40 } },
    { name: '4K, 32 bits, root of 4 entries, not coherent', config: { pgsizeBitmap: sizes4K, ias: 32, oas: 36, coherentWalk: false } },
    { name: '16K, 48 bits', config: { pgsizeBitmap: pgsizeBitmap(SZ_16K, SZ_32M), ias: 48, oas: 48 } },
    { name: '64K, 48 bits', config: { pgsizeBitmap: pgsizeBitmap(SZ_64K, SZ_512M), ias: 48, oas: 48 } },
    { name: '64K, 52 bits', config: { pgsizeBitmap: pgsizeBitmap(SZ_64K, SZ_512M, SZ_4T), ias: 52, oas: 52 } },
    { name: '4K, 52 bits, LPA2', config: { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G, SZ_512G), ias: 52, oas: 52, lpa2 } },
    { name: '16K, 52 bits, LPA2', config: { pgsizeBitmap: pgsizeBitmap(SZ_16K, SZ_32M, SZ_64G), ias: 52, oas: 52, lpa2 } },
    { name: '4K, TTBR1', config: { pgsizeBitmap: sizes4K, ias: 48, oas: 48, quirks: ['ARM_TTBR1'] } },
    { name: '4K, non-secure', config: { pgsizeBitmap: sizes4K, ias: 48, oas: 48, quirks: ['ARM_NS'] } },
    { name: '4K, dirty tracking', config: { pgsizeBitmap: sizes4K, ias: 48, oas: 48, quirks: ['ARM_HD'] } },
    {
      name: '4K, outer write-back walks',
      config: { pgsizeBitmap: sizes4K, ias: 48, oas: 48, quirks: ['ARM_OUTER_WBWA'], coherentWalk: false },
    },
  ],
}
