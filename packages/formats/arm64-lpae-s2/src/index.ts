/**
 * ARM64 LPAE stage 2: the VMSAv8-64 tables that translate intermediate physical addresses, of SMMUs and hypervisors.
 * Arm Architecture Reference Manual for A-profile, DDI 0487 (issue K): D8.2 translation table walks and concatenated tables, D8.3 descriptor
 * formats, D8.4 access permissions, D8.6 memory attributes (FEAT_S2FWB); VTCR_EL2, VTTBR_EL2: D24.2.
 * Levels are the manual's: 0 to 3, with FEAT_LPA2 from -1 on; pages are at level 3. A root has up to 16 concatenated tables.
 */
import {
  type ArmLpaeVtcr,
  aarch64Stage2,
  armFault,
  encodeStage2,
  granuleOf,
  type Lpa2Config,
  type LpaeShape,
  lpaeGeometry,
  narrow64,
  protStage2,
  type Stage2Context,
  type Stage2Quirk,
  SW_SYNC,
  stage2Policy,
  stage2Start,
  stage2Tables,
  ttbrOf,
  vtcrFields,
} from '@io-pgtable/arm-lpae'
import {
  type Agreed,
  configError,
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
import { packVtcr, rootsFromVtcr } from './registers.ts'

export type { ArmLpaeVtcr } from '@io-pgtable/arm-lpae'

/** ARM_S2FWB: MemAttr as FEAT_S2FWB codes it, which forces write-back whatever stage 1 says. NO_WARN: conflicts are not told to `onWarn`. */
export type ArmLpaeS2Quirk = Stage2Quirk

const QUIRKS: readonly ArmLpaeS2Quirk[] = ['ARM_S2FWB', 'NO_WARN']

export type ArmLpaeS2Config = Lpa2Config<ArmLpaeS2Quirk>

/** What the device's registers get. */
export interface ArmLpaeS2Regs {
  /** VTTBR_EL2: the root's address; bits 5:2 are PA[51:48] where the output address has 52 bits. No VMID. */
  readonly vttbr: bigint
  /** The fields of VTCR_EL2, or of a stream table entry. */
  readonly vtcr: ArmLpaeVtcr
  /** VTCR_EL2; bit 31, which is RES1, is set. */
  readonly vtcrValue: bigint
}

/** What fixes the geometry. */
export interface ArmLpaeS2Params extends LpaeShape {
  /** The level of the root: its entries are those of all concatenated tables. */
  readonly startLevel: number
  /** MemAttr is coded for FEAT_S2FWB. */
  readonly fwb: boolean
}

export interface ArmLpaeS2Context extends Stage2Context {
  /** With FEAT_LPA2, where no descriptor has a shareability: SH0 of VTCR_EL2. */
  readonly sh?: number
}

/** Raw registers, as the CPU holds them. */
export interface ArmLpaeS2Hardware {
  readonly vttbr: bigint
  readonly vtcr: bigint
  /** HCR_EL2.FWB, or S2FWB of an SMMU's stream table entry. Default false. */
  readonly fwb?: boolean
  /** Whether the hardware has FEAT_XNX, which no register of the walk tells. Default false. */
  readonly xnx?: boolean
}

type Config = Agreed<ArmLpaeS2Config>

function configure(request: ArmLpaeS2Config): Config {
  const config = narrow64('arm64-lpae-s2', request, QUIRKS)
  const shape = { granule: granuleOf(config), ias: config.ias, oas: config.oas, lpa2: config.lpa2 }
  if (stage2Tables(shape, stage2Start(shape)) !== undefined) return config
  throw configError('arm64-lpae-s2', 'ias', config.ias, `a root of at most 16 concatenated tables expected, with oas ${config.oas}`)
}

function params(config: Config): ArmLpaeS2Params {
  const { ias, oas, lpa2 } = config
  const shape = { granule: granuleOf(config), ias, oas, lpa2 }
  return { ...shape, startLevel: stage2Start(shape), fwb: config.quirks.includes('ARM_S2FWB') }
}

function regs(config: Config, [root = 0n]: readonly bigint[]): ArmLpaeS2Regs {
  const shape = params(config)
  const vtcr = vtcrFields(shape, shape.startLevel, config.coherentWalk)
  return { vttbr: ttbrOf(root), vtcr, vtcrValue: packVtcr(vtcr) }
}

function context(config: Config): ArmLpaeS2Context {
  const own = { fwb: config.quirks.includes('ARM_S2FWB'), xnx: false }
  return config.lpa2 ? { ...own, sh: regs(config, []).vtcr.sh } : own
}

const sizes4K = pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G)
const sizes16K = pgsizeBitmap(SZ_16K, SZ_32M)
const lpa2 = true

/** ARM64 LPAE stage 2. */
export const arm64LpaeS2: IoPageTableFmt<ArmLpaeS2Config, ArmLpaeS2Regs, ArmLpaeS2Params, ArmLpaeS2Context, ArmLpaeS2Hardware> = {
  FORMAT: 'arm64-lpae-s2',
  title: 'ARM64 LPAE stage 2',
  manual: 'Arm ARM DDI 0487, chapter D8: the AArch64 Virtual Memory System Architecture',
  configure,
  params,
  geometry: (shape) => lpaeGeometry(shape, shape.startLevel, aarch64Stage2(shape.fwb)),
  policy: (config) => stage2Policy(granuleOf(config)),
  encodeLeaf: ({ quirks }, _node, kind, prot) => encodeStage2(quirks.includes('ARM_S2FWB'), kind, prot),
  encodeTable: ({ coherentWalk }) => (coherentWalk ? 0n : SW_SYNC),
  prot: protStage2,
  context,
  parties: ({ xnx }) => (xnx ? PARTIES : ['all']),
  use: () => 'guest',
  fault: armFault,
  regs,
  regimes: { stage2: { registers: { vttbr_el2: 'vttbr', vtcr_el2: 'vtcr' } } },
  rootsFromRegs: rootsFromVtcr,
  hardware: ({ quirks }, { vttbr, vtcrValue }) => ({ vttbr, vtcr: vtcrValue, fwb: quirks.includes('ARM_S2FWB') }),
  configs: [
    { name: '4K, 48 bits', config: { pgsizeBitmap: sizes4K, ias: 48, oas: 48 } },
    { name: '4K, 40 bits, 2 concatenated tables', config: { pgsizeBitmap: sizes4K, ias: 40, oas: 40 } },
    { name: '4K, 42 bits, 8 concatenated tables, not coherent', config: { pgsizeBitmap: sizes4K, ias: 42, oas: 42, coherentWalk: false } },
    { name: '16K, 48 bits, 2 concatenated tables', config: { pgsizeBitmap: sizes16K, ias: 48, oas: 48 } },
    { name: '16K, 40 bits, 16 concatenated tables', config: { pgsizeBitmap: sizes16K, ias: 40, oas: 40 } },
    { name: '64K, 48 bits', config: { pgsizeBitmap: pgsizeBitmap(SZ_64K, SZ_512M), ias: 48, oas: 48 } },
    { name: '64K, 52 bits', config: { pgsizeBitmap: pgsizeBitmap(SZ_64K, SZ_512M, SZ_4T), ias: 52, oas: 52 } },
    { name: '4K, forced write-back', config: { pgsizeBitmap: sizes4K, ias: 48, oas: 48, quirks: ['ARM_S2FWB'] } },
    { name: '4K, 52 bits, LPA2', config: { pgsizeBitmap: sizes4K | BigInt(SZ_512G), ias: 52, oas: 52, lpa2 } },
    { name: '4K, 52 to 48 bits, LPA2, 16 concatenated tables', config: { pgsizeBitmap: sizes4K, ias: 52, oas: 48, lpa2 } },
    { name: '16K, 52 bits, LPA2', config: { pgsizeBitmap: sizes16K | BigInt(SZ_64G), ias: 52, oas: 52, lpa2 } },
  ],
}
