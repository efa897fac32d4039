/** Records of IOMMUs, as Linux prints them: SMMUv3, SMMUv2, VT-d, AMD-Vi, RISC-V IOMMU. */
import { decodeAmdViEvent } from '../../fault/amdvi.ts'
import { type FaultReport, parseDevice } from '../../fault/report.ts'
import { decodeRiscvIommuFault } from '../../fault/riscv-iommu.ts'
import { decodeSmmuv2Fault } from '../../fault/smmuv2.ts'
import { decodeSmmuv3Event } from '../../fault/smmuv3.ts'
import { decodeVtdFault } from '../../fault/vtd.ts'
import type { Facts } from '../facts.ts'
import { missingOf, type Reading, type Source } from '../source.ts'

/** A reading of which every fact is needed. */
export function whole(
  kind: string,
  facts: Facts,
  names: Readonly<Record<string, string>>,
  iova: bigint | undefined,
  decode: () => FaultReport,
): Reading {
  const missing = missingOf(facts, names)
  return { kind, ...(iova !== undefined && { iova }), missing, ...(missing.length === 0 && { report: decode() }) }
}

const number = (facts: Facts, name: string): bigint => facts.number(name) ?? 0n

/** Bits 30:16 of the second doubleword are of no field of any event: an address there has strayed. */
const SMMUV3_STRAY = 0x7fff_0000n

const SMMUV3: Source = {
  id: 'smmuv3',
  starts: [' received:'],
  hints: ['smmu', 'event', '0x'],
  opens: /\bevent 0x(?<event_h>[0-9a-f]{1,2}) received:/,
  facts: [/(?<![\w])0x(?<word_l>[0-9a-f]{16})(?![\w])/g],
  lines: 6,
  ordered: true,
  read(facts) {
    const words = facts.list('word').slice(0, 4)
    const [first, second = 0n] = words
    const event = facts.number('event')
    const isOther = first !== undefined && event !== undefined && (first & 0xffn) !== event
    const isSpoilt = words.length === 4 && (isOther || (second & SMMUV3_STRAY) !== 0n)
    const missing = words.length < 4 ? [`${4 - words.length} of four words`] : isSpoilt ? ['the words in their order'] : []
    return { kind: 'smmuv3', missing, ...(missing.length === 0 && { report: decodeSmmuv3Event(words) }) }
  },
}

const SMMUV2: Source = {
  id: 'smmuv2',
  starts: ['Unhandled context fault'],
  hints: ['context fault', 'fsynr', 'cbfrsynra'],
  opens: /\bUnhandled context fault:/,
  facts: [
    /\bfsr=0x(?<fsr_h>[0-9a-f]{1,8})\b/g,
    /\biova=0x(?<iova_h>[0-9a-f]{1,16})\b/g,
    /\bfsynr=0x(?<fsynr_h>[0-9a-f]{1,8})\b/g,
    /\bcbfrsynra=0x(?<cbfrsynra_h>[0-9a-f]{1,8})\b/g,
  ],
  lines: 2,
  complete: ['fsr', 'iova', 'fsynr', 'cbfrsynra'],
  read(facts) {
    const stream = facts.number('cbfrsynra')
    return whole('smmuv2', facts, { fsr: 'fsr', fsynr: 'fsynr', iova: 'iova' }, facts.number('iova'), () =>
      decodeSmmuv2Fault([number(facts, 'fsr'), number(facts, 'fsynr'), number(facts, 'iova'), ...(stream === undefined ? [] : [stream])]),
    )
  },
}

const DMAR: Source = {
  id: 'vtd',
  starts: ['Request device'],
  hints: ['request device', 'fault reason', 'fault addr'],
  opens: /\[(?<type_s>DMA Read|DMA Write|INTR-REMAP)[^\]]{0,40}\] Request device \[(?:0x)?(?<device_s>[0-9a-f:.]{7,16})\]/,
  facts: [
    /\bfault addr (?:0x)?(?<addr_h>[0-9a-f]{1,16})\b/g,
    /\bfault index (?:0x)?(?<addr_h>[0-9a-f]{1,16})\b/g,
    /\[fault reason (?:0x(?<reason_h>[0-9a-f]{1,2})|(?<reason_d>\d{1,3}))\]/g,
    /\bPASID (?:0x)?(?<pasid_h>[0-9a-f]{1,8})\b/g,
  ],
  lines: 2,
  complete: ['type', 'device', 'addr', 'reason'],
  read(facts) {
    const isInterrupt = facts.text('type') === 'INTR-REMAP'
    const iova = isInterrupt ? undefined : facts.number('addr')
    const sid = parseDevice(facts.text('device') ?? '')
    if (sid === undefined) facts.refuse('device')
    const names = { type: 'the type of the request', device: 'the device', addr: 'the address', reason: 'the fault reason' }
    return whole('vtd', facts, names, iova, () => {
      const pasid = facts.number('pasid')
      // Linux prints all ones where there is none
      const hasPasid = pasid !== undefined && pasid < 1n << 20n
      const high =
        (1n << 63n) |
        (facts.text('type') === 'DMA Read' ? 1n << 62n : 0n) |
        (hasPasid ? (pasid << 40n) | (1n << 31n) : 0n) |
        ((number(facts, 'reason') & 0xffn) << 32n) |
        BigInt((sid ?? 0) & 0xffff)
      const low = isInterrupt ? number(facts, 'addr') << 48n : number(facts, 'addr') & ~0xfffn
      return decodeVtdFault([BigInt.asUintN(64, low), high])
    })
  },
}

const AMD_EVENTS: Readonly<Record<string, bigint>> = {
  ILLEGAL_DEV_TABLE_ENTRY: 1n,
  IO_PAGE_FAULT: 2n,
  DEV_TAB_HARDWARE_ERROR: 3n,
  PAGE_TAB_HARDWARE_ERROR: 4n,
  INVALID_DEVICE_REQUEST: 8n,
  RMP_PAGE_FAULT: 13n,
}

const AMD_VI: Source = {
  id: 'amdvi',
  starts: ['IO_PAGE_FAULT', '_DEV_TABLE_ENTRY', 'TAB_HARDWARE_ERROR', 'INVALID_DEVICE_REQUEST', 'RMP_PAGE_FAULT'],
  hints: ['io_page_fault', 'dev_t', 'page_tab', 'invalid_device', 'rmp_', 'address=', 'flags='],
  opens:
    /\[(?<event_s>ILLEGAL_DEV_TABLE_ENTRY|IO_PAGE_FAULT|DEV_TAB_HARDWARE_ERROR|PAGE_TAB_HARDWARE_ERROR|INVALID_DEVICE_REQUEST|RMP_PAGE_FAULT)\b/,
  facts: [
    /\bdevice=(?<device_s>[0-9a-f:.]{7,16})/g,
    /\b(?<device_s>[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]): AMD-Vi: Event/g,
    /\bdomain=0x(?<domain_h>[0-9a-f]{1,4})\b/g,
    /\bpasid=0x(?<pasid_h>[0-9a-f]{1,5})\b/g,
    /\baddress=0x(?<addr_h>[0-9a-f]{1,16})\b/g,
    /\bflags=0x(?<flags_h>[0-9a-f]{1,4})\b/g,
  ],
  lines: 1,
  complete: ['event', 'device', 'addr', 'flags'],
  read(facts) {
    const sid = parseDevice(facts.text('device') ?? '')
    if (sid === undefined) facts.refuse('device')
    return whole(
      'amdvi',
      facts,
      { event: 'the event', device: 'the device', addr: 'the address', flags: 'the flags' },
      facts.number('addr'),
      () => {
        const flags = number(facts, 'flags') & 0xfffn
        const pasid = number(facts, 'pasid')
        const low = (flags & 1n) === 1n ? pasid & 0xffffn : number(facts, 'domain')
        const code = AMD_EVENTS[facts.text('event') ?? ''] ?? 0n
        const word = BigInt((sid ?? 0) & 0xffff) | ((pasid >> 16n) << 16n) | (low << 32n) | (flags << 48n) | (code << 60n)
        return decodeAmdViEvent([word, number(facts, 'addr')])
      },
    )
  },
}

/** The transaction type is not printed: the cause tells read, write or execution. */
const TTYP: Readonly<Record<string, bigint>> = { 1: 1n, 12: 1n, 20: 1n, 6: 3n, 7: 3n, 15: 3n, 23: 3n }

const RISCV_IOMMU: Source = {
  id: 'riscv-iommu',
  starts: [' devid: 0x'],
  hints: ['devid', 'iotval'],
  opens: /\bFault (?<cause_d>\d{1,4}) devid: 0x(?<devid_h>[0-9a-f]{1,6})\b/,
  facts: [/\biotval: (?:0x)?(?<iotval_h>[0-9a-f]{1,16})\b/g, /\biotval2: (?:0x)?(?<iotval2_h>[0-9a-f]{1,16})\b/g],
  lines: 1,
  complete: ['cause', 'devid', 'iotval', 'iotval2'],
  read(facts) {
    return whole('riscv-iommu', facts, { iotval: 'iotval', iotval2: 'iotval2' }, facts.number('iotval'), () => {
      const cause = number(facts, 'cause')
      const ttyp = cause >= 256n ? 2n : (TTYP[String(cause)] ?? 2n)
      return decodeRiscvIommuFault([
        cause | (ttyp << 34n) | (number(facts, 'devid') << 40n),
        0n,
        number(facts, 'iotval'),
        number(facts, 'iotval2'),
      ])
    })
  },
}

export const IOMMU_SOURCES: readonly Source[] = [SMMUV3, SMMUV2, DMAR, AMD_VI, RISCV_IOMMU]
