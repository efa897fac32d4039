/** VTCR_EL2 and the table that it describes (Arm ARM DDI 0487, D24.2 VTCR_EL2). The stage 2 fields of an SMMU's stream table entry have the same codes. */
import { type ArmLpaeVtcr, badRegister, levelShift, OUTPUT_SIZES, packWalk, rootOf, stage2Tables, TG0 } from '@io-pgtable/arm-lpae'
import type { FoundRoot } from '@io-pgtable/core'
import type { ArmLpaeS2Context, ArmLpaeS2Hardware, ArmLpaeS2Params } from './index.ts'

const RES1 = 1n << 31n
const DS = 1n << 32n
const SL2 = 1n << 33n
const SZ_4K = 0x1000
const SZ_64K = 0x1_0000

/** VTCR_EL2, without the fields that are no table's: VS, HA, HD and the hardware attributes. */
export function packVtcr(vtcr: ArmLpaeVtcr): bigint {
  const wide = (vtcr.ds ? DS : 0n) | (vtcr.sl2 ? SL2 : 0n)
  return packWalk(vtcr) | (BigInt(vtcr.sl) << 6n) | (BigInt(vtcr.ps) << 16n) | RES1 | wide
}

/** The table that raw registers point to. @throws `EINVAL` for reserved codes, and for a start level that does not fit the address size. */
export function rootsFromVtcr(registers: ArmLpaeS2Hardware): readonly FoundRoot<ArmLpaeS2Params, ArmLpaeS2Context>[] {
  const { vttbr, vtcr, fwb = false, xnx = false } = registers
  const params = paramsOf(vtcr, fwb)
  const { granule, ias, oas, startLevel, lpa2 } = params
  const root = rootOf(vttbr, ias - levelShift(granule, startLevel), lpa2 || oas > 48)
  const flag = (bit: bigint): boolean => ((vtcr >> bit) & 1n) === 1n
  const context = { fwb, xnx, ha: flag(21n), hd: flag(22n), ...(lpa2 && { sh: Number((vtcr >> 12n) & 3n) }) }
  return [{ name: 'vttbr', params, roots: [root], first: 0n, last: (1n << BigInt(ias)) - 1n, context }]
}

function paramsOf(vtcr: bigint, fwb: boolean): ArmLpaeS2Params {
  const granule = TG0[Number((vtcr >> 14n) & 3n)]
  if (granule === undefined) throw badRegister('VTCR.TG0', vtcr, 'a granule code expected')
  const ps = OUTPUT_SIZES[Number((vtcr >> 16n) & 7n)]
  if (ps === undefined) throw badRegister('VTCR.PS', vtcr, 'an output address size code expected')
  // DS and SL2 mean nothing to 64K.
  const lpa2 = (vtcr & DS) !== 0n && granule !== SZ_64K
  const most = lpa2 || granule === SZ_64K ? 52 : 48
  const ias = 64 - Number(vtcr & 63n)
  const shape = { granule, ias, oas: Math.min(ps, most), lpa2 }
  if (ias > most) throw badRegister('VTCR.T0SZ', vtcr, `at least ${64 - most} expected with this granule`)
  const startLevel = levelOf(vtcr, granule, lpa2)
  if (startLevel === undefined) throw badRegister('VTCR.SL0', vtcr, 'a start level code expected')
  if (stage2Tables(shape, startLevel) === undefined)
    throw badRegister('VTCR.SL0', vtcr, `level ${startLevel} cannot start a walk of ${ias} bits`)
  return { ...shape, startLevel, fwb }
}

/** SL0, and SL2 for the level -1 that FEAT_LPA2 gives 4K; its level 0 of 16K is a code of SL0 as well. */
function levelOf(vtcr: bigint, granule: number, lpa2: boolean): number | undefined {
  const sl0 = Number((vtcr >> 6n) & 3n)
  if (granule !== SZ_4K) return sl0 === 3 && !lpa2 ? undefined : 3 - sl0
  if (lpa2 && (vtcr & SL2) !== 0n) return sl0 === 0 ? -1 : undefined
  return sl0 === 3 ? 3 : 2 - sl0
}
