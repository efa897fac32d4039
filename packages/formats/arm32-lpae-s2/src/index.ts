/**
 * ARM32 LPAE stage 2: the tables of ARMv7-A's Virtualization Extensions and of AArch32, which translate 40-bit intermediate physical addresses.
 * Arm Architecture Reference Manual ARMv7-A and ARMv7-R edition, DDI 0406C: B3.6 long descriptors, B3.7 access permissions, B4.1 VTCR, VTTBR.
 * AArch32 of ARMv8: DDI 0487, G5. Levels are the manual's: a walk starts at 1 or 2, pages are at level 3. A root has up to 16 concatenated tables.
 */
import {
  type ArmLpaeVtcr,
  aarch32Stage2,
  armFault,
  encodeStage2,
  fetchNeedsRead,
  type LpaeShape,
  lpaeGeometry,
  narrow32,
  protStage2,
  type Stage2Context,
  type Stage2Quirk,
  SW_SYNC,
  stage2Policy,
  stage2Start,
  vtcrFields,
} from '@io-pgtable/arm-lpae'
import { type Agreed, type FormatConfig, type IoPageTableFmt, PARTIES, pgsizeBitmap, SZ_1G, SZ_2M, SZ_4K } from '@io-pgtable/core'
import { packVtcr32, rootsFromVtcr32 } from './registers.ts'

export type { ArmLpaeVtcr } from '@io-pgtable/arm-lpae'

/** ARM_S2FWB: MemAttr as FEAT_S2FWB codes it, which forces write-back whatever stage 1 says. NO_WARN: conflicts are not told to `onWarn`. */
export type Arm32LpaeS2Quirk = Stage2Quirk

const QUIRKS: readonly Arm32LpaeS2Quirk[] = ['ARM_S2FWB', 'NO_WARN']

/** `ias` and `oas` up to 40. */
export type Arm32LpaeS2Config = FormatConfig<Arm32LpaeS2Quirk>

/** What the device's registers get. */
export interface Arm32LpaeS2Regs {
  /** VTTBR, 64 bits: the root's address. No VMID. */
  readonly vttbr: bigint
  /** The fields as Linux gives them for this format, too: those of VTCR_EL2. For a device whose driver packs its own register. */
  readonly vtcr: ArmLpaeVtcr
  /**
   * VTCR of AArch32, whose T0SZ is signed. Undefined where it cannot say it: `ias` below 25, and a walk from level 0, which Linux makes of
   * `ias` 40 with `oas` 32 and 36.
   */
  readonly vtcrValue: bigint | undefined
}

/** What fixes the geometry. */
export interface Arm32LpaeS2Params {
  readonly ias: number
  readonly oas: number
  /** The level of the root: its entries are those of all concatenated tables. */
  readonly startLevel: number
  /** MemAttr is coded for FEAT_S2FWB. */
  readonly fwb: boolean
}

export type Arm32LpaeS2Context = Stage2Context

/** Raw registers, as the CPU holds them. */
export interface Arm32LpaeS2Hardware {
  /** 64 bits. */
  readonly vttbr: bigint
  readonly vtcr: bigint
  /** FEAT_S2FWB is in force (HCR_EL2.FWB). Default false. */
  readonly fwb?: boolean
  /** Whether the hardware has FEAT_XNX, which no register of the walk tells. Default false. */
  readonly xnx?: boolean
}

type Config = Agreed<Arm32LpaeS2Config>

function shapeOf({ ias, oas }: Pick<Config, 'ias' | 'oas'>): LpaeShape {
  return { granule: SZ_4K, ias, oas, lpa2: false }
}

function regs(config: Config, [root = 0n]: readonly bigint[]): Arm32LpaeS2Regs {
  const shape = shapeOf(config)
  const start = stage2Start(shape)
  const vtcr = vtcrFields(shape, start, config.coherentWalk)
  return { vttbr: root, vtcr, vtcrValue: packVtcr32(vtcr, config.ias, start) }
}

const BASE: Arm32LpaeS2Config = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G), ias: 40, oas: 40 }

/** ARM32 LPAE stage 2. */
export const arm32LpaeS2: IoPageTableFmt<Arm32LpaeS2Config, Arm32LpaeS2Regs, Arm32LpaeS2Params, Arm32LpaeS2Context, Arm32LpaeS2Hardware> = {
  FORMAT: 'arm32-lpae-s2',
  title: 'ARM32 LPAE stage 2',
  manual: 'Arm ARM DDI 0406C, B3.6: long-descriptor translation table format',
  configure: (request) => narrow32('arm32-lpae-s2', request, QUIRKS, 40),
  params: ({ ias, oas, quirks }) => ({
    ...{ ias, oas, fwb: quirks.includes('ARM_S2FWB') },
    startLevel: stage2Start(shapeOf({ ias, oas })),
  }),
  geometry: (params) => lpaeGeometry(shapeOf(params), params.startLevel, aarch32Stage2(params.fwb)),
  policy: () => stage2Policy(SZ_4K),
  encodeLeaf: ({ quirks }, _node, kind, prot) => encodeStage2(quirks.includes('ARM_S2FWB'), kind, prot),
  encodeTable: ({ coherentWalk }) => (coherentWalk ? 0n : SW_SYNC),
  prot: protStage2,
  context: ({ quirks }) => ({ fwb: quirks.includes('ARM_S2FWB'), xnx: false }),
  parties: ({ xnx }) => (xnx ? PARTIES : ['all']),
  use: () => 'guest',
  regime: () => fetchNeedsRead,
  fault: armFault,
  regs,
  regimes: { stage2: { registers: {} } },
  rootsFromRegs: rootsFromVtcr32,
  hardware: ({ quirks }, { vttbr, vtcrValue }) =>
    vtcrValue === undefined ? undefined : { vttbr, vtcr: vtcrValue, fwb: quirks.includes('ARM_S2FWB') },
  configs: [
    { name: '40 bits, 2 concatenated tables', config: BASE },
    { name: '39 bits', config: { ...BASE, ias: 39 } },
    { name: '32 bits, root of 4 entries', config: { ...BASE, ias: 32, oas: 36 } },
    {
      name: '30 bits, 2 levels, not coherent',
      config: { ...BASE, pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: 30, coherentWalk: false },
    },
    { name: 'forced write-back', config: { ...BASE, quirks: ['ARM_S2FWB'] } },
    { name: '40 to 36 bits, 4 levels', config: { ...BASE, oas: 36 } },
  ],
}
