/** TTBCR and the tables that it describes (DDI 0406C B4.1.153 TTBCR, format with EAE set; B3.6.4 selection between TTBR0 and TTBR1). */
import { type ArmLpaeTcr, badRegister, firstLevel, levelShift, packWalk, rootOf, sctlrOf } from '@io-pgtable/arm-lpae'
import type { FoundRoot } from '@io-pgtable/core'
import type { Arm32LpaeS1Context, Arm32LpaeS1Hardware, Arm32LpaeS1Params } from './index.ts'

type Found = FoundRoot<Arm32LpaeS1Params, Arm32LpaeS1Context>

const EPD0 = 1n << 7n
const EPD1 = 1n << 23n
const EAE = 1n << 31n
const ALL = 1n << 32n
const SZ_4K = 0x1000
/** A table address has bits 39:0. */
const ADDRESS = (1n << 40n) - 1n

/** TTBCR for this half, with the other half's walks disabled; undefined where it has no code for the size. TnSZ counts from 32. */
export function packTtbcr(tcr: ArmLpaeTcr, ias: number, ttbr1: boolean): bigint | undefined {
  const tsz = 32 - ias
  if (tsz > 7 || (ttbr1 && tsz === 0)) return undefined
  const half = packWalk({ ...tcr, tsz, tg: 0 })
  return EAE | (ttbr1 ? (half << 16n) | EPD0 : half | EPD1)
}

/**
 * The tables that raw registers point to. Where T0SZ is 0 TTBR0 ends where TTBR1 begins; where T1SZ is, TTBR1 begins where TTBR0 ends; where
 * both are, TTBR0 translates everything. @throws `EINVAL` for a TTBCR of the short descriptors.
 */
export function rootsFromTtbcr(registers: Arm32LpaeS1Hardware): readonly Found[] {
  const { ttbr0, ttbr1, ttbcr, mair0, mair1, sctlr, regime, hd = false } = registers
  const mair = BigInt.asUintN(32, mair0) | (BigInt.asUintN(32, mair1) << 32n)
  const of = { mair, aarch32: true, hpd: false, ha: hd, hd, tbi: false, ...sctlrOf(sctlr, 'SCTLR') }
  if (regime === 'hyp') return hypRoots(registers, { ...of, single: true })
  const context = { ...of, single: false }
  if ((ttbcr & EAE) === 0n) throw badRegister('TTBCR', ttbcr, 'EAE, bit 31, set expected: clear selects short descriptors')
  const t0sz = ttbcr & 7n
  const t1sz = (ttbcr >> 16n) & 7n
  const end0 = t0sz > 0n ? ALL >> t0sz : t1sz > 0n ? ALL - (ALL >> t1sz) : ALL
  const start1 = t1sz > 0n ? ALL - (ALL >> t1sz) : end0
  const roots: Found[] = []
  if (ttbr0 !== undefined && (ttbcr & EPD0) === 0n) roots.push(found('ttbr0', ttbr0, Number(t0sz), undefined, 0n, end0, context))
  if (ttbr1 !== undefined && (ttbcr & EPD1) === 0n && start1 < ALL)
    roots.push(found('ttbr1', ttbr1, Number(t1sz), t1sz > 0n ? 32 : undefined, start1, ALL, context))
  return roots
}

/** HTCR has T0SZ and the attributes of TTBCR's first half, and neither EAE nor EPD (DDI 0406C B4.1, HTCR). */
function hypRoots({ ttbr0, ttbr1, ttbcr }: Arm32LpaeS1Hardware, context: Arm32LpaeS1Context): readonly Found[] {
  if (ttbr1 !== undefined) throw badRegister('TTBR1', ttbr1, 'none expected in Hyp mode')
  if (ttbr0 === undefined) return []
  const t0sz = ttbcr & 7n
  const root = found('ttbr0', ttbr0, Number(t0sz), undefined, 0n, ALL >> t0sz, context)
  return [{ ...root, params: { ...root.params, single: true } }]
}

function found(
  name: string,
  ttbr: bigint,
  tsz: number,
  topOf: 32 | undefined,
  first: bigint,
  end: bigint,
  context: Arm32LpaeS1Context,
): Found {
  const params = { ias: 32 - tsz, oas: 40, topOf }
  const shape = { granule: SZ_4K, ias: params.ias }
  const root = rootOf(ttbr & ADDRESS, params.ias - levelShift(SZ_4K, firstLevel(shape)), false)
  return { name, params, roots: [root], first, last: end - 1n, context }
}
