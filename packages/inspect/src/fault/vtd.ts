/** Fault recording registers of VT-d: Intel VT-d Architecture Specification, revision 4.1, 11.4.14 FRCD_REG, 7.1.3 fault conditions. 16 bytes. */
import { type Field, field } from '@io-pgtable/core'
import { bit, bits, type FaultAccess, type FaultReport, fieldsOf, joinWords, reservedText, small } from './report.ts'
import { VTD_REASONS } from './vtd-reasons.ts'

const MANUAL = 'Intel VT-d Architecture Specification, revision 4.1, 11.4.14 and 7.1.3'

const SECTION = { section: '11.4.14' }
const MEANINGS = Object.fromEntries(Object.entries(VTD_REASONS).map(([code, { meaning }]) => [code, meaning]))
const FIELDS: readonly Field[] = [
  field('FI', 63, 12, 'fault info: the page of the address, or the interrupt index', SECTION),
  field('SID', 79, 64, 'source id: bus, device, function', SECTION),
  field('T2', 92, 92, 'type of the request, with T1', SECTION),
  field('PRIV', 93, 93, 'privileged, of a request with a PASID', SECTION),
  field('EXE', 94, 94, 'execute, of a request with a PASID', SECTION),
  field('PP', 95, 95, 'a PASID is present', SECTION),
  field('FR', 103, 96, 'fault reason', { section: '7.1.3', values: MEANINGS }),
  field('PV', 123, 104, 'the PASID', SECTION),
  field('AT', 125, 124, 'address type', {
    ...SECTION,
    values: { 0: 'untranslated', 1: 'translation request', 2: 'translated', 3: 'reserved' },
  }),
  field('T1', 126, 126, 'type of the request', {
    ...SECTION,
    values: { 0: 'write (or page request, with T2)', 1: 'read (or atomic, with T2)' },
  }),
  field('F', 127, 127, 'the register holds a fault', SECTION),
]

const INTERRUPTS = [0x20, 0x2f] as const
/** The last reason of legacy mode that a format's `fault` gives. */
const LAST_OF_TABLES = 0x0c

/** Decodes one record: two words of 64 bits, or four of 32. @throws `EINVAL` */
export function decodeVtdFault(words: readonly bigint[]): FaultReport {
  const raw = joinWords('fault vtd', words, 128)
  const reason = small(raw, 103, 96)
  const isInterrupt = reason >= INTERRUPTS[0] && reason <= INTERRUPTS[1]
  const { meaning, type, stage } = VTD_REASONS[reason] ?? { meaning: 'a reason that the specification does not define' }
  const told = fieldsOf(raw, FIELDS)
  return {
    kind: 'vtd',
    manual: MANUAL,
    name: `reason 0x${reason.toString(16)}`,
    explanation: [
      meaning,
      ...(bit(raw, 127) ? [] : ['F is 0: the register holds no fault']),
      ...(told.reserved === 0n ? [] : [reservedText(told.reserved)]),
    ].join('; '),
    sid: small(raw, 79, 64),
    ...(bit(raw, 95) && { pasid: small(raw, 123, 104) }),
    facts: { reason, ...(isInterrupt && { index: small(raw, 63, 48) }) },
    access: isInterrupt ? {} : { iova: bits(raw, 63, 12) << 12n, ...accessOf(raw) },
    fault: { ...(type !== undefined && { type }), ...(stage !== undefined && { stage }) },
    ...(reason <= LAST_OF_TABLES && { codes: { reason } }),
    ...told,
  }
}

/** T2 T1: 00 write, 01 read, 11 atomic; 10 is a page request. */
function accessOf(raw: bigint): FaultAccess {
  const [t1, t2, hasPasid] = [bit(raw, 126), bit(raw, 92), bit(raw, 95)]
  const who = hasPasid ? { privileged: bit(raw, 93) } : {}
  if (hasPasid && bit(raw, 94)) return { type: 'execute', ...who }
  return t2 && !t1 ? who : { type: !t1 || t2 ? 'write' : 'read', ...who }
}
