/** Fault recording registers of VT-d: Intel VT-d Architecture Specification, revision 4.1, 11.4.14 FRCD_REG, 7.1.3 fault conditions. 16 bytes. */
import { type Field, field } from '@io-pgtable/core'
import { bit, bits, type FaultRecord, fieldsOf, joinWords } from './record.ts'

const MANUAL = 'Intel VT-d Architecture Specification, revision 4.1, 11.4.14 and 7.1.3'

/** Reasons of legacy mode and of interrupt remapping. */
const REASONS: Readonly<Record<number, string>> = {
  1: 'the root entry is not present',
  2: 'the context entry is not present',
  3: 'the context entry is programmed in an invalid way',
  4: 'the address is beyond what the context entry allows',
  5: 'a write without permission',
  6: 'a read without permission',
  7: 'a table of the next level could not be read',
  8: 'the root table could not be read',
  9: 'the context table could not be read',
  10: 'reserved bits of the root entry are set',
  11: 'reserved bits of the context entry are set',
  12: 'reserved bits of a paging entry are set',
  13: 'the context entry does not allow requests of this address type',
  32: 'reserved bits of a remappable interrupt request are set',
  33: 'the interrupt index is beyond the table',
  34: 'the interrupt remapping entry is not present',
  35: 'the interrupt remapping table could not be read',
  36: 'reserved bits of the interrupt remapping entry are set',
  37: 'a compatibility format interrupt is blocked',
  38: 'the interrupt is not of the device that the entry names',
}

/** Reasons of scalable mode, by the structure that they are about. */
const RANGES: readonly (readonly [first: number, last: number, what: string])[] = [
  [0x38, 0x3f, 'scalable mode: the root table'],
  [0x40, 0x4f, 'scalable mode: the context table'],
  [0x50, 0x57, 'scalable mode: the PASID directory'],
  [0x58, 0x6f, 'scalable mode: the PASID table'],
  [0x70, 0x77, 'scalable mode: the first-stage tables'],
  [0x78, 0x7f, 'scalable mode: the second-stage tables'],
  [0x80, 0xbf, 'scalable mode: the request is not allowed'],
]

const SECTION = { section: '11.4.14' }
const FIELDS: readonly Field[] = [
  field('FI', 63, 12, 'fault info: the page of the address, or the interrupt index', SECTION),
  field('SID', 79, 64, 'source id: bus, device, function', SECTION),
  field('T2', 92, 92, 'type of the request, with T1', SECTION),
  field('PRIV', 93, 93, 'privileged, of a request with a PASID', SECTION),
  field('EXE', 94, 94, 'execute, of a request with a PASID', SECTION),
  field('PP', 95, 95, 'a PASID is present', SECTION),
  field('FR', 103, 96, 'fault reason', { section: '7.1.3', values: REASONS }),
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

/** Decodes one record: two words of 64 bits, or four of 32. @throws `EINVAL` */
export function decodeVtdFault(words: readonly bigint[]): FaultRecord {
  const raw = joinWords('fault vtd', words, 128)
  const code = Number(bits(raw, 103, 96))
  const isInterrupt = code >= INTERRUPTS[0] && code <= INTERRUPTS[1]
  return {
    manual: MANUAL,
    raw,
    code,
    name: `reason 0x${code.toString(16)}`,
    meaning: `${meaningOf(code)}${bit(raw, 127) ? '' : '; F is 0: the register holds no fault'}`,
    sid: Number(bits(raw, 79, 64)),
    ...(bit(raw, 95) && { pasid: Number(bits(raw, 123, 104)) }),
    ...(!isInterrupt && { iova: bits(raw, 63, 12) << 12n, granule: 4096 }),
    access: isInterrupt ? {} : accessOf(raw),
    ...fieldsOf(raw, FIELDS),
  }
}

function meaningOf(code: number): string {
  return REASONS[code] ?? RANGES.find(([first, last]) => code >= first && code <= last)?.[2] ?? 'a reason that is not known here'
}

/** T2 T1: 00 write, 01 read, 11 atomic; 10 is a page request. */
function accessOf(raw: bigint): FaultRecord['access'] {
  const [t1, t2] = [bit(raw, 126), bit(raw, 92)]
  const withPasid = bit(raw, 95) ? { execute: bit(raw, 94), privileged: bit(raw, 93) } : {}
  return t2 && !t1 ? withPasid : { write: !t1 || t2, ...withPasid }
}
