/** Event records of an SMMUv3: Arm System Memory Management Unit Architecture Specification, version 3 (IHI 0070), 7.3 Event records. 32 bytes. */
import { type Field, field } from '@io-pgtable/core'
import { bit, bits, type FaultRecord, fieldsOf, joinWords } from './record.ts'

const MANUAL = 'Arm SMMU Architecture Specification version 3 (IHI 0070), 7.3 Event records'

interface Event {
  readonly name: string
  readonly meaning: string
  /** What doublewords 1 to 3 hold. */
  readonly shape: 'input' | 'translation' | 'fetch' | 'page-request' | 'none'
}

const event = (name: string, shape: Event['shape'], meaning: string): Event => ({ name, shape, meaning })

const EVENTS: Readonly<Record<number, Event>> = {
  1: event('F_UUT', 'input', 'unsupported upstream transaction'),
  2: event('C_BAD_STREAMID', 'none', 'the StreamID is out of the stream table'),
  3: event('F_STE_FETCH', 'fetch', 'the stream table entry could not be read'),
  4: event('C_BAD_STE', 'none', 'the stream table entry is invalid'),
  5: event('F_BAD_ATS_TREQ', 'input', 'an ATS translation request that is not allowed'),
  6: event('F_STREAM_DISABLED', 'none', 'a transaction without a SubstreamID where substreams are wanted'),
  7: event('F_TRANSL_FORBIDDEN', 'input', 'an already translated transaction is not allowed here'),
  8: event('C_BAD_SUBSTREAMID', 'none', 'the SubstreamID is out of the context descriptor table'),
  9: event('F_CD_FETCH', 'fetch', 'the context descriptor could not be read'),
  10: event('C_BAD_CD', 'none', 'the context descriptor is invalid'),
  11: event('F_WALK_EABT', 'translation', 'an external abort on a read of a translation table'),
  16: event('F_TRANSLATION', 'translation', 'no translation: an invalid descriptor on the way, or an address outside of the table'),
  17: event('F_ADDR_SIZE', 'translation', 'an output address beyond the configured size'),
  18: event('F_ACCESS', 'translation', 'the access flag of the leaf is 0'),
  19: event('F_PERMISSION', 'translation', 'the leaf does not allow this access'),
  32: event('F_TLB_CONFLICT', 'translation', 'two TLB entries match'),
  33: event('F_CFG_CONFLICT', 'fetch', 'two cached configurations match'),
  36: event('E_PAGE_REQUEST', 'page-request', 'a hint that a page is wanted'),
  37: event('F_VMS_FETCH', 'fetch', 'the VMS could not be read'),
}

const SECTION = { section: '7.3' }
const HEAD: readonly Field[] = [
  field('EventNumber', 7, 0, 'the event', { section: '7.3' }),
  field('SSV', 11, 11, 'the SubstreamID is valid', SECTION),
  field('SubstreamID', 31, 12, 'the substream', SECTION),
  field('StreamID', 63, 32, 'the device', SECTION),
]
const ACCESS: readonly Field[] = [
  field('PnU', 97, 97, 'privileged', { ...SECTION, values: { 0: 'unprivileged', 1: 'privileged' } }),
  field('InD', 98, 98, 'instruction', { ...SECTION, values: { 0: 'data', 1: 'instruction' } }),
  field('RnW', 99, 99, 'read', { ...SECTION, values: { 0: 'write', 1: 'read' } }),
]
const INPUT = field('InputAddr', 191, 128, 'the input address', SECTION)
const STAGED: readonly Field[] = [
  field('STAG', 79, 64, 'what CMD_RESUME answers with, when stalled', SECTION),
  field('Stall', 95, 95, 'the transaction waits', SECTION),
  ...ACCESS,
  field('S2', 103, 103, 'the stage that faulted', { ...SECTION, values: { 0: 'stage 1', 1: 'stage 2' } }),
  field('CLASS', 105, 104, 'what was translated', {
    ...SECTION,
    values: { 0: 'CD: the context descriptor', 1: 'TTD: a table of stage 1', 2: 'IN: the input address', 3: 'reserved' },
  }),
  INPUT,
]
const IPA = field('IPA', 243, 204, 'bits 51:12 of the address that stage 2 was given', SECTION)
const FETCH = field('FetchAddr', 243, 195, 'bits 51:3 of the address that was read', SECTION)

const SHAPES: Readonly<Record<Event['shape'], readonly Field[]>> = {
  none: HEAD,
  input: [...HEAD, ...ACCESS, INPUT],
  fetch: [...HEAD, FETCH],
  translation: [...HEAD, ...STAGED, IPA],
  'page-request': [...HEAD, field('InputAddr', 191, 140, 'bits 63:12 of the input address', SECTION)],
}

/** Decodes one event record: four words of 64 bits, or eight of 32. @throws `EINVAL` */
export function decodeSmmuv3Event(words: readonly bigint[]): FaultRecord {
  const raw = joinWords('fault smmuv3', words, 256)
  const code = Number(bits(raw, 7, 0))
  const known =
    EVENTS[code] ?? event(`event 0x${code.toString(16)}`, 'translation', 'an event that is not defined here, read as a translation fault')
  const isWalk = code === 0x0b
  const fields = isWalk ? [...HEAD, ...STAGED, FETCH] : SHAPES[known.shape]
  const hasInput = fields.some(({ name }) => name === 'InputAddr')
  return {
    manual: MANUAL,
    raw,
    code,
    name: known.name,
    meaning: known.meaning,
    sid: Number(bits(raw, 63, 32)),
    ...(bit(raw, 11) && { pasid: Number(bits(raw, 31, 12)) }),
    ...(hasInput && { iova: known.shape === 'page-request' ? bits(raw, 191, 140) << 12n : bits(raw, 191, 128) }),
    ...(known.shape === 'page-request' && { granule: 4096 }),
    ...(fields.includes(FETCH) && { fetch: bits(raw, 243, 195) << 3n }),
    ...(known.shape === 'translation' && stagedFacts(raw, isWalk)),
    access: known.shape === 'translation' || known.shape === 'input' ? accessOf(raw) : {},
    ...fieldsOf(raw, fields),
  }
}

function stagedFacts(raw: bigint, isWalk: boolean): Pick<FaultRecord, 'stage' | 'stalled' | 'ipa'> {
  const stage = bit(raw, 103) ? 2 : 1
  return { stage, stalled: bit(raw, 95), ...(stage === 2 && !isWalk && { ipa: bits(raw, 243, 204) << 12n }) }
}

function accessOf(raw: bigint): FaultRecord['access'] {
  return { write: !bit(raw, 99), execute: bit(raw, 98), privileged: bit(raw, 97) }
}
