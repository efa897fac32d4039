/** Event log entries of an AMD IOMMU: AMD I/O Virtualization Technology Specification (48882), 2.5 Event logging. 16 bytes. */
import { type FaultType, type Field, field, splitField } from '@io-pgtable/core'
import { bit, bits, type FaultAccess, type FaultReport, fieldsOf, joinWords, reservedText, small } from './report.ts'

const MANUAL = 'AMD I/O Virtualization Technology (IOMMU) Specification (48882), 2.5 Event Logging'

interface Event {
  readonly name: string
  readonly meaning: string
  readonly type?: FaultType
  /** The record has a device and an address. */
  readonly ofDevice: boolean
}

const EVENTS: Readonly<Record<number, Event>> = {
  1: { name: 'ILLEGAL_DEV_TABLE_ENTRY', meaning: 'the device table entry is not valid as it stands', type: 'bad-config', ofDevice: true },
  2: { name: 'IO_PAGE_FAULT', meaning: 'the tables do not let the access through', ofDevice: true },
  3: { name: 'DEV_TAB_HARDWARE_ERROR', meaning: 'the device table could not be read', type: 'walk-abort', ofDevice: true },
  4: { name: 'PAGE_TAB_HARDWARE_ERROR', meaning: 'a page table could not be read', type: 'walk-abort', ofDevice: true },
  5: { name: 'ILLEGAL_COMMAND_ERROR', meaning: 'a command that is not valid', ofDevice: false },
  6: { name: 'COMMAND_HARDWARE_ERROR', meaning: 'the command buffer could not be read', ofDevice: false },
  7: { name: 'IOTLB_INV_TIMEOUT', meaning: 'a device did not answer an invalidation', ofDevice: true },
  8: { name: 'INVALID_DEVICE_REQUEST', meaning: 'a request that this device may not make', type: 'blocked', ofDevice: true },
  9: { name: 'INVALID_PPR_REQUEST', meaning: 'a page request that is not valid', ofDevice: true },
  10: { name: 'EVENT_COUNTER_ZERO', meaning: 'an event counter has overflowed', ofDevice: false },
  11: { name: 'GUEST_EVENT_FAULT', meaning: 'the event log of a guest could not be written', ofDevice: true },
  12: { name: 'VIOMMU_HARDWARE_ERROR', meaning: 'an error of the virtual IOMMU', ofDevice: false },
  13: { name: 'RMP_PAGE_FAULT', meaning: 'the reverse map table does not allow the access', type: 'permission', ofDevice: true },
  14: { name: 'RMP_HARDWARE_ERROR', meaning: 'the reverse map table could not be read', type: 'walk-abort', ofDevice: true },
}

const SECTION = { section: '2.5' }
const CODE = field('EventCode', 63, 60, 'the event', SECTION)
const DEVICE = field('DeviceID', 15, 0, 'the device', SECTION)
const ADDRESS = field('Address', 127, 64, 'the address', SECTION)
const FLAGS: readonly Field[] = [
  field('GN', 48, 48, 'the address is a guest one, and a PASID is there', SECTION),
  field('NX', 49, 49, 'execute requested', SECTION),
  field('US', 50, 50, 'user', { ...SECTION, values: { 0: 'supervisor', 1: 'user' } }),
  field('I', 51, 51, 'an interrupt request', SECTION),
  field('PR', 52, 52, 'the entry is present', SECTION),
  field('RW', 53, 53, 'write; the specification promises it with PR alone', { ...SECTION, values: { 0: 'read', 1: 'write' } }),
  field('PE', 54, 54, 'the permission is missing', SECTION),
  field('RZ', 55, 55, 'reserved bits are set, or a level is not valid', SECTION),
  field('TR', 56, 56, 'a translation request', SECTION),
]
const PAGE_FAULT: readonly Field[] = [
  DEVICE,
  splitField(
    'PASID_or_DomainID',
    [
      [47, 32, 0],
      [19, 16, 16],
    ],
    'with GN the PASID, otherwise the domain',
    SECTION,
  ),
  ...FLAGS,
  CODE,
  ADDRESS,
]
const OF_DEVICE: readonly Field[] = [
  DEVICE,
  field('PASID', 19, 16, 'bits 19:16 of the PASID', SECTION),
  field('Low', 47, 32, 'domain or PASID', SECTION),
  ...FLAGS,
  CODE,
  ADDRESS,
]
const OTHER: readonly Field[] = [CODE, ADDRESS]
const [IO_PAGE_FAULT, ILLEGAL_ENTRY] = [2, 1]

/** Decodes one event: two words of 64 bits, or four of 32. @throws `EINVAL` */
export function decodeAmdViEvent(words: readonly bigint[]): FaultReport {
  const raw = joinWords('fault amdvi', words, 128)
  const code = small(raw, 63, 60)
  const event = EVENTS[code] ?? { name: `event 0x${code.toString(16)}`, meaning: 'an event that is not known here', ofDevice: true }
  const isPageFault = code === IO_PAGE_FAULT || code === 13
  const guest = bit(raw, 48)
  const isInterrupt = bit(raw, 51)
  const low = small(raw, 47, 32) + small(raw, 19, 16) * 0x1_0000
  const told = fieldsOf(raw, isPageFault ? PAGE_FAULT : event.ofDevice ? OF_DEVICE : OTHER)
  const type = isPageFault && code === IO_PAGE_FAULT ? pageFaultType(raw) : event.type
  const why = code === IO_PAGE_FAULT ? pageFaultText(raw) : event.meaning
  return {
    kind: 'amdvi',
    manual: MANUAL,
    name: event.name,
    explanation: [why, ...(told.reserved === 0n ? [] : [reservedText(told.reserved)])].join('; '),
    ...(event.ofDevice && { sid: small(raw, 15, 0) }),
    ...(isPageFault && guest && { pasid: low }),
    facts: { ...(isPageFault && !guest && { domain: low }), ...(isPageFault && { flags: small(raw, 59, 48) }) },
    access:
      !event.ofDevice || isInterrupt
        ? {}
        : { iova: bits(raw, 127, 64), ...((isPageFault || code === ILLEGAL_ENTRY) && accessOf(raw, guest)) },
    fault: { ...(type !== undefined && !isInterrupt && { type }) },
    ...(code === IO_PAGE_FAULT && { codes: codesOf(raw) }),
    ...told,
  }
}

function accessOf(raw: bigint, guest: boolean): FaultAccess {
  return { type: bit(raw, 53) ? 'write' : guest && bit(raw, 49) ? 'execute' : 'read', ...(guest && { privileged: !bit(raw, 50) }) }
}

function pageFaultType(raw: bigint): FaultType {
  if (!bit(raw, 52)) return 'translation'
  return bit(raw, 55) ? 'reserved' : 'permission'
}

function pageFaultText(raw: bigint): string {
  if (bit(raw, 51)) return 'an interrupt request that is not remapped'
  if (!bit(raw, 52)) return 'PR is 0: an entry on the way is not present, or the device table entry lets nothing through'
  return bit(raw, 55)
    ? 'RZ: reserved bits of an entry are set, or its level is not valid'
    : 'the entry is there, and does not permit this access'
}

/** RW, PE and RZ mean something with PR alone. */
function codesOf(raw: bigint): Readonly<Record<string, number>> {
  return bit(raw, 52) ? { PR: 1, RW: small(raw, 53, 53), RZ: small(raw, 55, 55) } : { PR: 0 }
}
