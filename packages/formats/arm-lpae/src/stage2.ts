/** Stage 2: attributes, concatenated roots and start levels (DDI 0487 D8.2, D8.4 to D8.6; VTCR_EL2). */
import { fieldValue, type LeafKind, type Policy, Prot, SZ_4K, SZ_16K } from '@io-pgtable/core'
import { firstLevel, type LpaeShape, levelShift } from './geometry.ts'
import { type ArmLpaeVtcr, codeOf, OUTPUT_SIZES, TG0, walkFields } from './registers.ts'
import { LPAE_POLICY, shareability } from './stage1.ts'

/** ARM_S2FWB: the coding of MemAttr of FEAT_S2FWB. NO_WARN: conflicts are not told to `onWarn`. */
export type Stage2Quirk = 'ARM_S2FWB' | 'NO_WARN'

/** What gives a leaf's fields their meaning. */
export interface Stage2Context {
  /** MemAttr is coded for FEAT_S2FWB (HCR_EL2.FWB, S2FWB of an SMMU). */
  readonly fwb: boolean
  /** FEAT_XNX: XN has two bits. */
  readonly xnx: boolean
  /** VTCR.HA and HD. Default: neither. */
  readonly ha?: boolean
  readonly hd?: boolean
}

const READ = 1n << 6n
const WRITE = 1n << 7n
const DBM = 1n << 51n
/** XN[1] and XN[0]: without FEAT_XNX the first alone says never. */
const NEVER = (1n << 54n) | (1n << 53n)
/** MemAttr: Device-nGnRE, non-cacheable, write-back; write-back with FEAT_S2FWB. */
const MEMORY = { device: 1n, plain: 5n, cached: 15n, cachedFwb: 6n }
/** Tables of one root. */
const MOST_TABLES = 16

/** Attributes of a leaf. PRIV has no place in stage 2. */
export function encodeStage2(fwb: boolean, kind: LeafKind, prot: Prot): bigint {
  const cached = fwb ? MEMORY.cachedFwb : MEMORY.cached
  let raw = (prot & Prot.MMIO ? MEMORY.device : prot & Prot.CACHE ? cached : MEMORY.plain) << 2n
  if (prot & Prot.READ) raw |= READ
  if (prot & Prot.WRITE) raw |= WRITE
  if (prot & Prot.NOEXEC) raw |= NEVER
  return raw | shareability(kind, prot)
}

/** What a leaf grants. NOEXEC: no exception level may fetch instructions. */
export function protStage2(raw: bigint, kind: LeafKind, { fwb, xnx }: Stage2Context): Prot {
  const memory = fieldValue(kind, raw, 'MemAttr') ?? 0
  const device = fwb ? (memory & 4) === 0 : memory < 4
  const never = xnx ? fieldValue(kind, raw, 'XN') === 2 : (raw & (1n << 54n)) !== 0n
  return (
    (raw & READ ? Prot.READ : 0) |
    (raw & (WRITE | DBM) ? Prot.WRITE : 0) |
    // 5 is non-cacheable in either coding.
    (device ? Prot.MMIO : memory === 5 ? 0 : Prot.CACHE) |
    (never ? Prot.NOEXEC : 0)
  )
}

/** As in stage 1, but that a run ends with each of the concatenated tables, too. */
export function stage2Policy(granule: number): Policy {
  return { ...LPAE_POLICY, runSlots: granule / 8 }
}

/**
 * The start level of a stage 2 walk. Linux concatenates where the architecture has no walk from the level above: with few output address
 * bits, and for 16K with 48 bits. It does not for 64K with 40 and 42 bits. What FEAT_LPA2 adds, level -1 of 4K and level 0 of 16K, needs 52
 * output address bits.
 */
export function stage2Start(shape: LpaeShape): number {
  const start = firstLevel(shape)
  return mustConcatenate(shape, start) ? start + 1 : start
}

function mustConcatenate({ granule, ias, oas }: LpaeShape, start: number): boolean {
  if (granule === SZ_4K) return start === -1 ? oas < 52 : start === 0 && (oas === 40 || oas === 42)
  if (granule === SZ_16K) return start === 0 ? ias === 48 || oas < 52 : start === 1 && oas === 40
  return false
}

/** How many tables of a granule a root of that start level has, at least 1; undefined where it can have no entry or not so many tables. */
export function stage2Tables({ granule, ias }: LpaeShape, start: number): number | undefined {
  const bits = ias - levelShift(granule, start)
  const tables = Math.max(2 ** bits / (granule / 8), 1)
  return start > 3 || bits < 1 || tables > MOST_TABLES ? undefined : tables
}

/** The fields of VTCR for a walk. SL0 counts down: 4K from level 2, 16K and 64K from level 3; level -1 is 0 with SL2. */
export function vtcrFields({ granule, ias, oas, lpa2 }: LpaeShape, start: number, coherent: boolean): ArmLpaeVtcr {
  const walk = { ps: codeOf(OUTPUT_SIZES, oas) ?? 0, tg: codeOf(TG0, granule) ?? 0, ...walkFields(coherent) }
  const sl = start === -1 ? 0 : ~(start + (granule === SZ_4K ? 1 : 0)) & 3
  return { ...walk, sl, tsz: 64 - ias, ...(lpa2 && { ds: 1, sl2: start === -1 ? 1 : 0 }) }
}
