/** TCR_EL1 and the tables that it describes (Arm ARM DDI 0487, D24.2 TCR_EL1). The fields of a context descriptor of an SMMU have the same codes. */
import { type ArmLpaeTcr, badRegister, firstLevel, levelShift, OUTPUT_SIZES, packWalk, rootOf, TG0, TG1 } from '@io-pgtable/arm-lpae'
import type { FoundRoot } from '@io-pgtable/core'
import type { ArmLpaeS1Context, ArmLpaeS1Hardware, ArmLpaeS1Params } from './index.ts'

type Found = FoundRoot<ArmLpaeS1Params, ArmLpaeS1Context>

const EPD0 = 1n << 7n
const EPD1 = 1n << 23n
const DS = 1n << 59n
const SZ_64K = 0x1_0000

/** TCR_EL1 with this half's fields and the other half's walks disabled. */
export function packTcr(tcr: ArmLpaeTcr, ttbr1: boolean): bigint {
  return (packWalk(tcr) << (ttbr1 ? 16n : 0n)) | (ttbr1 ? EPD0 : EPD1) | (BigInt(tcr.ips) << 32n) | (tcr.ds ? DS : 0n)
}

/** The tables that raw registers point to: of each TTBR that is given and whose walks are not disabled. @throws `EINVAL` for reserved codes. */
export function rootsFromTcr({ ttbr0, ttbr1, tcr, mair }: ArmLpaeS1Hardware): readonly Found[] {
  const roots: Found[] = []
  if (ttbr0 !== undefined && (tcr & EPD0) === 0n) roots.push(half('ttbr0', ttbr0, tcr, tcr, mair))
  if (ttbr1 !== undefined && (tcr & EPD1) === 0n) roots.push(half('ttbr1', ttbr1, tcr, tcr >> 16n, mair))
  return roots
}

function half(name: 'ttbr0' | 'ttbr1', ttbr: bigint, tcr: bigint, fields: bigint, mair: bigint): Found {
  const params = paramsOf(tcr, fields, name === 'ttbr1')
  const { granule, ias, oas, lpa2 } = params
  const bits = ias - levelShift(granule, firstLevel(params))
  const size = 1n << BigInt(ias)
  const first = params.ttbr1 ? (1n << 64n) - size : 0n
  const context = { mair, ...(lpa2 && { sh: Number((fields >> 12n) & 3n) }) }
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
