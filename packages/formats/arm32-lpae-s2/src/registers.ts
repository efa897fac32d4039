/** VTCR of AArch32 and the table that it describes (DDI 0406C B4.1 VTCR, VTTBR; B3.6.5 start levels of stage 2). */
import { type ArmLpaeVtcr, badRegister, levelShift, packWalk, rootOf, stage2Tables } from '@io-pgtable/arm-lpae'
import { type FoundRoot, SZ_4K } from '@io-pgtable/core'
import type { Arm32LpaeS2Context, Arm32LpaeS2Hardware, Arm32LpaeS2Params } from './index.ts'

const RES1 = 1n << 31n
/** A table address has bits 39:0. */
const ADDRESS = (1n << 40n) - 1n

/** VTCR: T0SZ is signed, -8 to 7, and counts from 32; S repeats its sign. Undefined for sizes and start levels that have no code. */
export function packVtcr32(vtcr: ArmLpaeVtcr, ias: number, start: number): bigint | undefined {
  const t0sz = 32 - ias
  if (t0sz > 7 || t0sz < -8 || start < 1) return undefined
  const sign = t0sz < 0 ? 1 << 4 : 0
  return RES1 | (BigInt(vtcr.sl) << 6n) | packWalk({ ...vtcr, tsz: (t0sz & 15) | sign, tg: 0 })
}

/** The table that raw registers point to. @throws `EINVAL` for reserved codes, and for a start level that does not fit the address size. */
export function rootsFromVtcr32(registers: Arm32LpaeS2Hardware): readonly FoundRoot<Arm32LpaeS2Params, Arm32LpaeS2Context>[] {
  const { vttbr, vtcr, fwb = false, xnx = false } = registers
  const t0sz = Number(BigInt.asIntN(4, vtcr))
  if (Number(BigInt.asIntN(5, vtcr)) !== t0sz) throw badRegister('VTCR.S', vtcr, 'the sign of T0SZ expected')
  const sl0 = Number((vtcr >> 6n) & 3n)
  if (sl0 > 1) throw badRegister('VTCR.SL0', vtcr, '0 or 1 expected')
  const params = { ias: 32 - t0sz, oas: 40, startLevel: 2 - sl0, fwb }
  const shape = { granule: SZ_4K, ias: params.ias, oas: 40, lpa2: false }
  if (stage2Tables(shape, params.startLevel) === undefined)
    throw badRegister('VTCR.SL0', vtcr, `level ${params.startLevel} cannot start a walk of ${params.ias} bits`)
  const root = rootOf(vttbr & ADDRESS, params.ias - levelShift(SZ_4K, params.startLevel), false)
  return [{ name: 'vttbr', params, roots: [root], first: 0n, last: (1n << BigInt(params.ias)) - 1n, context: { fwb, xnx } }]
}
