/** Fault records of a RISC-V IOMMU: RISC-V IOMMU Architecture Specification 1.0.1, fault/event queue. 32 bytes. */
import { type FaultType, type Field, field } from '@io-pgtable/core'
import { bit, bits, type FaultReport, fieldsOf, joinWords, reservedText, small } from './report.ts'

const MANUAL = 'RISC-V IOMMU Architecture Specification 1.0.1, Fault/Event-Queue'

const CAUSES: Readonly<Record<number, string>> = {
  1: 'instruction access fault',
  4: 'read address misaligned',
  5: 'read access fault',
  6: 'write or AMO address misaligned',
  7: 'write or AMO access fault',
  12: 'instruction page fault',
  13: 'read page fault',
  15: 'write or AMO page fault',
  20: 'instruction guest page fault',
  21: 'read guest page fault',
  23: 'write or AMO guest page fault',
  256: 'all inbound transactions are disallowed',
  257: 'a device directory entry could not be read',
  258: 'a device directory entry is not valid',
  259: 'a device directory entry is misconfigured',
  260: 'the transaction type is disallowed',
  261: 'an MSI page table entry could not be read',
  262: 'an MSI page table entry is not valid',
  263: 'an MSI page table entry is misconfigured',
  264: 'an access fault on a memory-resident interrupt file',
  265: 'a process directory entry could not be read',
  266: 'a process directory entry is not valid',
  267: 'a process directory entry is misconfigured',
  268: 'the device directory is corrupt',
  269: 'the process directory is corrupt',
  270: 'an MSI page table is corrupt',
  271: 'a memory-resident interrupt file is corrupt',
  272: 'an error inside of the IOMMU',
  273: 'an access fault on a write of an interrupt of the IOMMU itself',
  274: 'a page table is corrupt',
}

const TYPES: Readonly<Record<number, string>> = {
  0: 'none: no transaction caused it',
  1: 'untranslated read for execution',
  2: 'untranslated read',
  3: 'untranslated write or AMO',
  5: 'translated read for execution',
  6: 'translated read',
  7: 'translated write or AMO',
  8: 'PCIe ATS translation request',
  9: 'PCIe message request',
}

const SECTION = { section: 'Fault/Event-Queue' }
const FIELDS: readonly Field[] = [
  field('CAUSE', 11, 0, 'the cause', { ...SECTION, values: CAUSES }),
  field('PID', 31, 12, 'process id', SECTION),
  field('PV', 32, 32, 'the process id is valid', SECTION),
  field('PRIV', 33, 33, 'privileged', { ...SECTION, values: { 0: 'user', 1: 'supervisor' } }),
  field('TTYP', 39, 34, 'the transaction', { ...SECTION, values: TYPES }),
  field('DID', 63, 40, 'device id', SECTION),
  field('custom', 95, 64, 'for custom use', SECTION),
  field('iotval', 191, 128, 'the input address, or what the cause says', SECTION),
  field('iotval2', 255, 192, 'of a guest page fault: the guest physical address; bit 0: implicit access, bit 1: of a write', SECTION),
]

/** Page faults do not tell why: the tables do. */
const TYPES_OF_CAUSES: Readonly<Record<number, FaultType>> = {
  1: 'walk-abort',
  4: 'misaligned',
  5: 'walk-abort',
  6: 'misaligned',
  7: 'walk-abort',
  12: 'translation',
  13: 'translation',
  15: 'translation',
  20: 'translation',
  21: 'translation',
  23: 'translation',
  256: 'blocked',
  257: 'walk-abort',
  258: 'bad-stream',
  259: 'bad-config',
  260: 'blocked',
  261: 'walk-abort',
  262: 'translation',
  263: 'misconfigured',
  265: 'walk-abort',
  266: 'bad-stream',
  267: 'bad-config',
  268: 'walk-abort',
  269: 'walk-abort',
  270: 'walk-abort',
  274: 'walk-abort',
}
const GUEST_FAULTS = [20, 21, 23]
const FIRST_STAGE_FAULTS = [12, 13, 15]
const WRITES = [3, 7]
const EXECUTIONS = [1, 5]
/** A PCIe message has no address. */
const MESSAGE = 9

/** Decodes one record: four words of 64 bits, or eight of 32. @throws `EINVAL` */
export function decodeRiscvIommuFault(words: readonly bigint[]): FaultReport {
  const raw = joinWords('fault riscv-iommu', words, 256)
  const cause = small(raw, 11, 0)
  const ttyp = small(raw, 39, 34)
  const isGuest = GUEST_FAULTS.includes(cause)
  const isFirst = FIRST_STAGE_FAULTS.includes(cause)
  const hasAddress = ttyp !== 0 && ttyp !== MESSAGE
  const told = fieldsOf(raw, FIELDS)
  const type = TYPES_OF_CAUSES[cause]
  const access =
    ttyp === 8
      ? {}
      : { type: EXECUTIONS.includes(ttyp) ? ('execute' as const) : WRITES.includes(ttyp) ? ('write' as const) : ('read' as const) }
  return {
    kind: 'riscv-iommu',
    manual: MANUAL,
    name: CAUSES[cause] ?? `cause ${cause}`,
    explanation: [
      `cause ${cause}: ${CAUSES[cause] ?? 'not known here'}`,
      ...(isGuest && bit(raw, 192) ? [`an access to a first-stage table: ${bit(raw, 193) ? 'a write' : 'a read'}`] : []),
      ...(told.reserved === 0n ? [] : [reservedText(told.reserved)]),
    ].join('; '),
    sid: small(raw, 63, 40),
    ...(bit(raw, 32) && { pasid: small(raw, 31, 12) }),
    facts: { cause },
    access: hasAddress ? { iova: bits(raw, 191, 128), ...access, ...(bit(raw, 32) && { privileged: bit(raw, 33) }) } : {},
    fault: { ...(type !== undefined && { type }), ...(isGuest ? { stage: 2 as const } : isFirst ? { stage: 1 as const } : {}) },
    ...(isGuest && { ipa: bits(raw, 255, 194) << 2n }),
    ...((isGuest || isFirst) && { codes: { cause } }),
    ...told,
  }
}
