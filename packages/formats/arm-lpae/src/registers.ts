/** The codes of TCR, VTCR and TTBR (DDI 0487 D24.2), which AArch32's registers and an SMMU's context descriptors share. */
import { hex, IoPgtableError } from '@io-pgtable/core'

/** The fields of TCR for one half, as numbers. */
export interface ArmLpaeTcr {
  /** Output address size code. */
  readonly ips: number
  /** Granule code: of TG0, or TG1 with the ARM_TTBR1 quirk. */
  readonly tg: number
  /** Shareability of walks: 3 inner, 2 outer. With FEAT_LPA2, of the memory too. */
  readonly sh: number
  /** Outer and inner cacheability of walks: 1 write-back read-write-allocate, 0 non-cacheable. */
  readonly orgn: number
  readonly irgn: number
  /** 64 minus the input address bits. */
  readonly tsz: number
  /** DS, where the configuration has FEAT_LPA2. */
  readonly ds?: 1
}

/** The fields of VTCR, as numbers. */
export interface ArmLpaeVtcr extends Omit<ArmLpaeTcr, 'ips'> {
  /** Output address size code. */
  readonly ps: number
  /** Start level code: SL0. */
  readonly sl: number
  /** SL2, where the configuration has FEAT_LPA2. */
  readonly sl2?: 0 | 1
}

/** Output address bits by their code in IPS and PS; bytes of the granules by the codes of TG0 (which VTCR shares) and TG1. */
export const OUTPUT_SIZES: Readonly<Record<number, number>> = { 0: 32, 1: 36, 2: 40, 3: 42, 4: 44, 5: 48, 6: 52 }
export const TG0: Readonly<Record<number, number>> = { 0: 0x1000, 1: 0x1_0000, 2: 0x4000 }
export const TG1: Readonly<Record<number, number>> = { 1: 0x4000, 2: 0x1000, 3: 0x1_0000 }

const LOW48 = (1n << 48n) - 1n

/** The code of a value, or undefined when it has none. */
export function codeOf(table: Readonly<Record<number, number>>, value: number): number | undefined {
  for (const code in table) if (table[code] === value) return Number(code)
  return undefined
}

/** What a walk's own accesses are: inner shareable and write-back where they snoop, else outer shareable and non-cacheable. */
export function walkFields(coherent: boolean): { sh: number; orgn: number; irgn: number } {
  return coherent ? { sh: 3, orgn: 1, irgn: 1 } : { sh: 2, orgn: 0, irgn: 0 }
}

/** The fields at their places in the low half of TCR, in VTCR and in TTBCR; `tsz` as the register counts it. */
export function packWalk({ tsz, irgn, orgn, sh, tg }: Pick<ArmLpaeTcr, 'tsz' | 'irgn' | 'orgn' | 'sh' | 'tg'>): bigint {
  return BigInt(tsz | (irgn << 8) | (orgn << 10) | (sh << 12) | (tg << 14))
}

/** TTBR, or VTTBR, of a root: PA[51:48], which only 52-bit output addresses have, stand in bits 5:2. */
export function ttbrOf(root: bigint): bigint {
  return (root & LOW48) | ((root >> 48n) << 2n)
}

/**
 * The root that a TTBR points to.
 * @param bits index bits of the root: it is aligned to its size
 * @param wide tables may lie anywhere in 52 bits (DS set, or 64K with 52-bit output addresses): PA[51:48] stand in bits 5:2
 */
export function rootOf(ttbr: bigint, bits: number, wide: boolean): bigint {
  const below = (8n << BigInt(bits)) - 1n
  const low = ttbr & LOW48 & ~(wide ? below | 63n : below)
  return wide ? low | (((ttbr >> 2n) & 15n) << 48n) : low
}

/** An `EINVAL` of `rootsFromRegs`. */
export function badRegister(name: string, value: bigint, expected: string): IoPgtableError {
  return new IoPgtableError('EINVAL', 'rootsFromRegs', `${name} of ${hex(value)}: ${expected}`, { value })
}
