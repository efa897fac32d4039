/** TCR_EL1 and the tables that it describes (Arm ARM DDI 0487, D24.2 TCR_EL1). The fields of a context descriptor of an SMMU have the same codes. */
import { hex, IoPgtableError } from '@io-pgtable/core'

/** The fields of TCR for one half, as numbers. */
export interface ArmLpaeTcr {
  /** Output address size code. */
  readonly ips: number
  /** Granule code: of TG0, or TG1 with the ARM_TTBR1 quirk. */
  readonly tg: number
  /** Shareability of walks: 3 inner, 2 outer. */
  readonly sh: number
  /** Outer and inner cacheability of walks: 1 write-back read-write-allocate, 0 non-cacheable. */
  readonly orgn: number
  readonly irgn: number
  /** 64 minus the input address bits. */
  readonly tsz: number
}

/** A table by code: output address bits of IPS, bytes of the granules of TG0 and TG1. */
export const IPS: Readonly<Record<number, number>> = { 0: 32, 1: 36, 2: 40, 3: 42, 4: 44, 5: 48, 6: 52 }
export const TG0: Readonly<Record<number, number>> = { 0: 0x1000, 1: 0x1_0000, 2: 0x4000 }
export const TG1: Readonly<Record<number, number>> = { 1: 0x4000, 2: 0x1000, 3: 0x1_0000 }

const EPD0 = 1n << 7n
const EPD1 = 1n << 23n
const DS = 1n << 59n

/** The code of a value, or undefined when it has none. */
export function codeOf(table: Readonly<Record<number, number>>, value: number): number | undefined {
  const code = Object.keys(table).find((key) => table[Number(key)] === value)
  return code === undefined ? undefined : Number(code)
}

/** TCR_EL1 with this half's fields and the other half's walks disabled. */
export function packTcr(tcr: ArmLpaeTcr, ttbr1: boolean): bigint {
  const half = tcr.tsz | (tcr.irgn << 8) | (tcr.orgn << 10) | (tcr.sh << 12) | (tcr.tg << 14)
  return (BigInt(half) << (ttbr1 ? 16n : 0n)) | (ttbr1 ? EPD0 : EPD1) | (BigInt(tcr.ips) << 32n)
}

interface TcrRoot {
  readonly name: 'ttbr0' | 'ttbr1'
  readonly ttbr: bigint
  readonly params: { readonly granule: number; readonly ias: number; readonly oas: number; readonly ttbr1: boolean }
}

/** The roots that raw registers have: a TTBR that is given and whose walks are not disabled. @throws `EINVAL` for reserved codes. */
export function rootsFromTcr({ ttbr0, ttbr1, tcr }: { readonly ttbr0?: bigint; readonly ttbr1?: bigint; readonly tcr: bigint }): TcrRoot[] {
  if ((tcr & DS) !== 0n) throw bad('TCR.DS', tcr, 'FEAT_LPA2 (52-bit addresses with 4K and 16K granules) is not supported')
  const roots: TcrRoot[] = []
  if (ttbr0 !== undefined && (tcr & EPD0) === 0n) roots.push({ name: 'ttbr0', ttbr: ttbr0, params: halfParams(tcr, tcr, TG0, false) })
  if (ttbr1 !== undefined && (tcr & EPD1) === 0n) roots.push({ name: 'ttbr1', ttbr: ttbr1, params: halfParams(tcr, tcr >> 16n, TG1, true) })
  return roots
}

function halfParams(tcr: bigint, half: bigint, granules: Readonly<Record<number, number>>, ttbr1: boolean): TcrRoot['params'] {
  const granule = granules[Number((half >> 14n) & 3n)]
  if (granule === undefined) throw bad(ttbr1 ? 'TCR.TG1' : 'TCR.TG0', tcr, 'a granule code expected')
  const ips = IPS[Number((tcr >> 32n) & 7n)]
  if (ips === undefined) throw bad('TCR.IPS', tcr, 'an output address size code expected')
  const most = granule === 0x1_0000 ? 52 : 48
  const ias = 64 - Number(half & 63n)
  const least = granule === 0x1_0000 ? 17 : 16
  if (ias < least || ias > most) throw bad(ttbr1 ? 'TCR.T1SZ' : 'TCR.T0SZ', tcr, `${64 - most} to ${64 - least} expected with this granule`)
  return { granule, ias, oas: Math.min(ips, most), ttbr1 }
}

function bad(name: string, value: bigint, expected: string): IoPgtableError {
  return new IoPgtableError('EINVAL', 'rootsFromRegs', `${name} of ${hex(value)}: ${expected}`, { value })
}
