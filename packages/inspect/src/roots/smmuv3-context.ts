/**
 * SMMUv3 context descriptors and stage 2 fields as the registers of a CPU that would walk the same tables: Arm System Memory Management
 * Unit Architecture Specification, SMMU architecture version 3 (IHI 0070), 5.2 (STE) and 5.4 (CD).
 */
import { extract, type Piece } from '@io-pgtable/core'
import type { Stage } from './streams.ts'
import type { Layout } from './structures.ts'

/** Context descriptor: the fields that decide where tables are and how they are walked. */
const CD: Layout<'T0SZ' | 'TG0' | 'EPD0' | 'T1SZ' | 'TG1' | 'EPD1' | 'V' | 'IPS' | 'AA64' | 'TTB0' | 'TTB1' | 'DS' | 'MAIR'> = {
  T0SZ: [[5, 0, 0]],
  TG0: [[7, 6, 0]],
  EPD0: [[14, 14, 0]],
  T1SZ: [[21, 16, 0]],
  TG1: [[23, 22, 0]],
  EPD1: [[30, 30, 0]],
  V: [[31, 31, 0]],
  IPS: [[34, 32, 0]],
  AA64: [[41, 41, 0]],
  TTB0: [[119, 68, 4]],
  TTB1: [[183, 132, 4]],
  DS: [[186, 186, 0]],
  MAIR: [[255, 192, 0]],
}

/** T0SZ, EPD0, IRGN0, ORGN0, SH0, TG0, the same for TTB1, IPS, TBI0, TBI1, HA, HD, DS where TCR_EL1 has them (Arm ARM, D24.2). */
const TCR: readonly Piece[] = [
  [5, 0, 0],
  [14, 14, 7],
  [13, 8, 8],
  [7, 6, 14],
  [21, 16, 16],
  [30, 30, 23],
  [29, 24, 24],
  [23, 22, 30],
  [34, 32, 32],
  [39, 38, 37],
  [43, 43, 39],
  [42, 42, 40],
  [186, 186, 59],
]

/** T0SZ (three bits), EPD0, IR0, OR0, SH0 and the same for TTB1 where TTBCR has them (DDI 0406C, B4.1.153); EAE is set. */
const TTBCR: readonly Piece[] = [
  [2, 0, 0],
  [14, 14, 7],
  [13, 8, 8],
  [18, 16, 16],
  [30, 30, 23],
  [29, 24, 24],
]
const EAE = 1n << 31n

/** STE: S2T0SZ to S2PS are VTCR_EL2's bits 18:0; S2DS is its bit 32 and S2SL0_2 its bit 33. */
const VTCR: readonly Piece[] = [
  [178, 160, 0],
  [195, 195, 32],
  [194, 194, 33],
]
/** The same for AArch32's VTCR, which has T0SZ in bits 3:0 and its sign once more in bit 4. */
const VTCR32: readonly Piece[] = [
  [163, 160, 0],
  [163, 163, 4],
  [173, 166, 6],
]
const S2: Layout<'S2FWB' | 'S2TG' | 'S2PS' | 'S2AA64' | 'S2DS' | 'S2TTB'> = {
  S2FWB: [[89, 89, 0]],
  S2TG: [[175, 174, 0]],
  S2PS: [[178, 176, 0]],
  S2AA64: [[179, 179, 0]],
  S2DS: [[195, 195, 0]],
  S2TTB: [[247, 196, 4]],
}

/** Stage 1 of a context descriptor; words for one that no SMMU follows. */
export function stage1Of(cd: bigint): Stage | string {
  const field = (name: keyof typeof CD): bigint => extract(cd, CD[name])
  if (field('V') === 0n) return 'the context descriptor is not valid (CD.V)'
  if (field('AA64') === 0n) return { stage: 1, role: 'arm32-stage1', registers: registers32(cd) }
  const wide0 = isWide(field('DS'), field('IPS'), field('TG0') === 1n)
  const wide1 = isWide(field('DS'), field('IPS'), field('TG1') === 3n)
  const [ttb0, ttb1] = [field('TTB0'), field('TTB1')]
  // 5.4: a table beyond the address size is ILLEGAL
  if (field('EPD0') === 0n && ttb0 >> (wide0 ? 52n : 48n) !== 0n) return 'the table is beyond what IPS, DS and the granule allow (CD.TTB0)'
  if (field('EPD1') === 0n && ttb1 >> (wide1 ? 52n : 48n) !== 0n) return 'the table is beyond what IPS, DS and the granule allow (CD.TTB1)'
  const registers = {
    tcr: extract(cd, TCR),
    mair: field('MAIR'),
    ...(field('EPD0') === 0n ? { ttbr0: ttbrOf(ttb0, wide0) } : {}),
    ...(field('EPD1') === 0n ? { ttbr1: ttbrOf(ttb1, wide1) } : {}),
  }
  return { stage: 1, role: 'arm64-stage1', registers }
}

function registers32(cd: bigint): Stage['registers'] {
  const mair = extract(cd, CD.MAIR)
  return {
    ttbcr: extract(cd, TTBCR) | EAE,
    mair0: BigInt.asUintN(32, mair),
    mair1: mair >> 32n,
    ...(extract(cd, CD.EPD0) === 0n ? { ttbr0: extract(cd, CD.TTB0) } : {}),
    ...(extract(cd, CD.EPD1) === 0n ? { ttbr1: extract(cd, CD.TTB1) } : {}),
  }
}

/** Stage 2 of a stream table entry. */
export function stage2Of(ste: bigint): Stage | string {
  const field = (name: keyof typeof S2): bigint => extract(ste, S2[name])
  const ttb = field('S2TTB')
  if (field('S2AA64') === 0n) return { stage: 2, role: 'arm32-stage2', registers: { vttbr: ttb, vtcr: extract(ste, VTCR32) } }
  const wide = isWide(field('S2DS'), field('S2PS'), field('S2TG') === 1n)
  if (ttb >> (wide ? 52n : 48n) !== 0n) return 'the table is beyond what S2PS, S2DS and the granule allow (STE.S2TTB)'
  return { stage: 2, role: 'arm64-stage2', registers: { vttbr: ttbrOf(ttb, wide), vtcr: extract(ste, VTCR), fwb: field('S2FWB') === 1n } }
}

/** Whether table addresses have 52 bits: with 64K granules as the output addresses do, with the others where DS is set (FEAT_LPA2). */
function isWide(ds: bigint, ips: bigint, granule64K: boolean): boolean {
  return granule64K ? ips === 6n : ds === 1n
}

/** A 52-bit table address has its bits 51:48 in TTBR bits 5:2; the structures hold them in place. */
function ttbrOf(address: bigint, wide: boolean): bigint {
  return wide ? (address & 0xffff_ffff_ffc0n) | ((address >> 48n) << 2n) : address
}
