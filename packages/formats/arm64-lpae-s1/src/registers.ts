/** TCR_EL1 and the tables that it describes (Arm ARM DDI 0487, D24.2 TCR_EL1). The fields of a context descriptor of an SMMU have the same codes. */
import {
  type ArmLpaeTcr,
  badRegister,
  firstLevel,
  levelShift,
  OUTPUT_SIZES,
  packWalk,
  rootOf,
  sctlrOf,
  TG0,
  TG1,
} from '@io-pgtable/arm-lpae'
import { extract, type FoundRoot, type Piece } from '@io-pgtable/core'
import type { ArmLpaeS1Context, ArmLpaeS1Hardware, ArmLpaeS1Params } from './index.ts'

type Found = FoundRoot<ArmLpaeS1Params, ArmLpaeS1Context>

const EPD0 = 1n << 7n
const EPD1 = 1n << 23n
const TBI0 = 37n
const HA = 1n << 39n
const HD = 1n << 40n
const HPD0 = 41n
const DS = 1n << 59n

/** The fields of TCR_EL2 (without E2H) and TCR_EL3 that TCR_EL1 has elsewhere: T0SZ to TG0 stand alike. PS, TBI, HA, HD, HPD, DS. */
const SINGLE: readonly Piece[] = [
  [15, 8, 8],
  [5, 0, 0],
  [18, 16, 32],
  [20, 20, 37],
  [21, 21, 39],
  [22, 22, 40],
  [24, 24, 41],
  [32, 32, 59],
]
const SZ_64K = 0x1_0000

/** TCR_EL1 with this half's fields and the other half's walks disabled. `dirty`: hardware updates AF and the dirty state. */
export function packTcr(tcr: ArmLpaeTcr, ttbr1: boolean, dirty: boolean): bigint {
  const updates = dirty ? HA | HD : 0n
  return updates | (packWalk(tcr) << (ttbr1 ? 16n : 0n)) | (ttbr1 ? EPD0 : EPD1) | (BigInt(tcr.ips) << 32n) | (tcr.ds ? DS : 0n)
}

/**
 * The tables that raw registers point to: of each TTBR that is given and whose walks are not disabled.
 * @throws `EINVAL` for reserved codes, and for a TTBR1 of a regime that has none
 */
export function rootsFromTcr(registers: ArmLpaeS1Hardware): readonly Found[] {
  const { ttbr0, ttbr1, regime = 'el1' } = registers
  const single = regime === 'el2' || regime === 'el3'
  const tcr = single ? extract(registers.tcr, SINGLE) : registers.tcr
  if (single && ttbr1 !== undefined) throw badRegister('TTBR1', ttbr1, `none expected in the regime ${regime}`)
  const roots: Found[] = []
  if (ttbr0 !== undefined && (tcr & EPD0) === 0n) roots.push(half('ttbr0', ttbr0, tcr, registers))
  if (ttbr1 !== undefined && (tcr & EPD1) === 0n) roots.push(half('ttbr1', ttbr1, tcr, registers))
  return roots
}

function half(name: 'ttbr0' | 'ttbr1', ttbr: bigint, tcr: bigint, { mair, sctlr, regime = 'el1' }: ArmLpaeS1Hardware): Found {
  const n = name === 'ttbr1' ? 1n : 0n
  const fields = tcr >> (16n * n)
  const single = regime === 'el2' || regime === 'el3'
  const params = { ...paramsOf(tcr, fields, name === 'ttbr1'), ...(single && { single }) }
  const { granule, ias, oas, lpa2 } = params
  const bits = ias - levelShift(granule, firstLevel(params))
  const size = 1n << BigInt(ias)
  const first = params.ttbr1 ? (1n << 64n) - size : 0n
  const flag = (bit: bigint): boolean => ((tcr >> bit) & 1n) === 1n
  const context = {
    ...{ mair, aarch32: false, single, hpd: flag(HPD0 + n), tbi: flag(TBI0 + n), ha: (tcr & HA) !== 0n, hd: (tcr & HD) !== 0n },
    ...sctlrOf(sctlr, 'SCTLR'),
    ...(lpa2 && { sh: Number((fields >> 12n) & 3n) }),
  }
  return { name, params, roots: [rootOf(ttbr, bits, lpa2 || oas > 48)], first, last: first + size - 1n, context }
}

function paramsOf(tcr: bigint, fields: bigint, ttbr1: boolean): ArmLpaeS1Params {
  const n = ttbr1 ? 1 : 0
  const granule = (ttbr1 ? TG1 : TG0)[Number((fields >> 14n) & 3n)]
  if (granule === undefined) throw badRegister(`TCR.TG${n}`, tcr, 'a granule code expected')
  const ips = OUTPUT_SIZES[Number((tcr >> 32n) & 7n)]
  if (ips === undefined) throw badRegister('TCR.IPS', tcr, 'an output address size code expected')
  // DS means nothing to 64K.
  const lpa2 = (tcr & DS) !== 0n && granule !== SZ_64K
  const most = lpa2 || granule === SZ_64K ? 52 : 48
  const ias = 64 - Number(fields & 63n)
  const least = granule === SZ_64K ? 17 : 16
  if (ias < least || ias > most) throw badRegister(`TCR.T${n}SZ`, tcr, `${64 - most} to ${64 - least} expected with this granule`)
  return { granule, ias, oas: Math.min(ips, most), lpa2, ttbr1 }
}
