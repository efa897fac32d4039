/** Event records of an SMMUv3: Arm System Memory Management Unit Architecture Specification, version 3 (IHI 0070), 7.3 Event records. 32 bytes. */
import { type FaultType, type Field, field } from '@io-pgtable/core'
import { bit, bits, type FaultReport, fieldsOf, joinWords, reservedText, small } from './report.ts'

const MANUAL = 'Arm SMMU Architecture Specification version 3 (IHI 0070), 7.3 Event records'

/** What doublewords 1 to 3 hold. */
type Shape = 'input' | 'translation' | 'fetch' | 'page-request' | 'none'

interface Event {
  readonly name: string
  readonly shape: Shape
  readonly type: FaultType | undefined
  readonly meaning: string
}

const event = (name: string, shape: Shape, type: FaultType | undefined, meaning: string): Event => ({ name, shape, type, meaning })

const EVENTS: Readonly<Record<number, Event>> = {
  1: event('F_UUT', 'input', undefined, 'unsupported upstream transaction'),
  2: event('C_BAD_STREAMID', 'none', 'bad-stream', 'the StreamID is out of the stream table'),
  3: event('F_STE_FETCH', 'fetch', 'walk-abort', 'the stream table entry could not be read'),
  4: event('C_BAD_STE', 'none', 'bad-config', 'the stream table entry is invalid'),
  5: event('F_BAD_ATS_TREQ', 'input', 'blocked', 'an ATS translation request that is not allowed'),
  6: event('F_STREAM_DISABLED', 'none', 'blocked', 'a transaction without a SubstreamID where substreams are wanted'),
  7: event('F_TRANSL_FORBIDDEN', 'input', 'blocked', 'an already translated transaction is not allowed here'),
  8: event('C_BAD_SUBSTREAMID', 'none', 'bad-stream', 'the SubstreamID is out of the context descriptor table'),
  9: event('F_CD_FETCH', 'fetch', 'walk-abort', 'the context descriptor could not be read'),
  10: event('C_BAD_CD', 'none', 'bad-config', 'the context descriptor is invalid'),
  11: event('F_WALK_EABT', 'translation', 'walk-abort', 'an external abort on a read of a translation table'),
  16: event(
    'F_TRANSLATION',
    'translation',
    'translation',
    'no translation: an invalid descriptor on the way, or an address outside of the table',
  ),
  17: event('F_ADDR_SIZE', 'translation', 'address-size', 'an output address beyond the configured size'),
  18: event('F_ACCESS', 'translation', 'access-flag', 'the access flag of the leaf is 0'),
  19: event('F_PERMISSION', 'translation', 'permission', 'the tables do not allow this access'),
  32: event('F_TLB_CONFLICT', 'translation', undefined, 'two TLB entries match'),
  33: event('F_CFG_CONFLICT', 'fetch', undefined, 'two cached configurations match'),
  36: event('E_PAGE_REQUEST', 'page-request', undefined, 'a hint that a page is wanted'),
  37: event('F_VMS_FETCH', 'fetch', 'walk-abort', 'the VMS could not be read'),
}

const SECTION = { section: '7.3' }
const HEAD: readonly Field[] = [
  field('EventNumber', 7, 0, 'the event', SECTION),
  field('SSV', 11, 11, 'the SubstreamID is valid', SECTION),
  field('SubstreamID', 31, 12, 'the substream', SECTION),
  field('StreamID', 63, 32, 'the device', SECTION),
]
const ACCESS: readonly Field[] = [
  field('PnU', 97, 97, 'privileged', { ...SECTION, values: { 0: 'unprivileged', 1: 'privileged' } }),
  field('InD', 98, 98, 'instruction', { ...SECTION, values: { 0: 'data', 1: 'instruction' } }),
  field('RnW', 99, 99, 'read', { ...SECTION, values: { 0: 'write', 1: 'read' } }),
]
const CLASSES: Readonly<Record<number, string>> = { 0: 'CD', 1: 'TTD', 2: 'IN', 3: 'reserved' }
const INPUT = field('InputAddr', 191, 128, 'the input address', SECTION)
const STAGED: readonly Field[] = [
  field('STAG', 79, 64, 'what CMD_RESUME answers with, when stalled', SECTION),
  field('Stall', 95, 95, 'the transaction waits', SECTION),
  ...ACCESS,
  field('S2', 103, 103, 'the stage that faulted', { ...SECTION, values: { 0: 'stage 1', 1: 'stage 2' } }),
  field('CLASS', 105, 104, 'what was translated', {
    ...SECTION,
    values: {
      0: 'CD: the address of a context descriptor',
      1: 'TTD: the address of a stage 1 table',
      2: 'IN: the input address',
      3: 'reserved',
    },
  }),
  field('TTRnW', 108, 108, 'of CLASS TTD: the access to the stage 1 table', {
    ...SECTION,
    values: { 0: 'write: an update of the access flag or dirty state', 1: 'read' },
  }),
  INPUT,
]
const IPA = field('IPA', 243, 204, 'bits 51:12 of the address that stage 2 was given', SECTION)
const FETCH = field('FetchAddr', 243, 195, 'bits 51:3 of the address that was read', SECTION)

const SHAPES: Readonly<Record<Shape, readonly Field[]>> = {
  none: HEAD,
  input: [...HEAD, ...ACCESS, INPUT],
  fetch: [...HEAD, FETCH],
  translation: [...HEAD, ...STAGED, IPA],
  'page-request': [...HEAD, field('InputAddr', 191, 140, 'bits 63:12 of the input address', SECTION)],
}

/** Decodes one event record: four words of 64 bits, or eight of 32. @throws `EINVAL` */
export function decodeSmmuv3Event(words: readonly bigint[]): FaultReport {
  const raw = joinWords('fault smmuv3', words, 256)
  const code = small(raw, 7, 0)
  const unknown = `an event that is not defined here, read as a translation fault`
  const known = EVENTS[code] ?? event(`event 0x${code.toString(16)}`, 'translation', undefined, unknown)
  const isWalk = known.name === 'F_WALK_EABT'
  const fields = isWalk ? [...HEAD, ...STAGED, FETCH] : SHAPES[known.shape]
  const told = fieldsOf(raw, fields)
  const hasAccess = known.shape === 'translation' || known.shape === 'input'
  const staged = known.shape === 'translation'
  return {
    kind: 'smmuv3',
    manual: MANUAL,
    name: known.name,
    explanation: [known.meaning, ...(staged ? [classText(raw)] : []), ...(told.reserved === 0n ? [] : [reservedText(told.reserved)])].join(
      '; ',
    ),
    sid: small(raw, 63, 32),
    ...(bit(raw, 11) && { pasid: small(raw, 31, 12) }),
    facts: {
      ...(staged && stagedFacts(raw)),
      ...(fields.includes(FETCH) && { fetch: bits(raw, 243, 195) << 3n }),
    },
    access: { ...iovaOf(raw, known.shape), ...(hasAccess && accessOf(raw)) },
    fault: { ...(known.type !== undefined && { type: known.type }), ...(staged && { stage: bit(raw, 103) ? (2 as const) : (1 as const) }) },
    ...(staged && bit(raw, 103) && !isWalk && { ipa: bits(raw, 243, 204) << 12n }),
    ...told,
  }
}

function iovaOf(raw: bigint, shape: Shape): { iova?: bigint } {
  if (shape === 'page-request') return { iova: bits(raw, 191, 140) << 12n }
  return shape === 'input' || shape === 'translation' ? { iova: bits(raw, 191, 128) } : {}
}

function stagedFacts(raw: bigint): FaultReport['facts'] {
  const stalled = bit(raw, 95)
  const isTable = small(raw, 105, 104) === 1
  return {
    stalled,
    ...(stalled && { stag: small(raw, 79, 64) }),
    class: CLASSES[small(raw, 105, 104)] ?? '',
    ...(isTable && { ttRnW: bit(raw, 108) ? 'read' : 'write' }),
  }
}

/** What was being translated, where it is not the device's own address. */
function classText(raw: bigint): string {
  const stage = bit(raw, 103) ? 'stage 2' : 'stage 1'
  const what = small(raw, 105, 104)
  if (what === 1) return `${stage} refused the ${bit(raw, 108) ? 'read' : 'write'} of a stage 1 table, not the access of the device`
  if (what === 0 && bit(raw, 103)) return `${stage}; CLASS 0: the address of a context descriptor (some models leave CLASS 0)`
  return stage
}

function accessOf(raw: bigint): Pick<FaultReport['access'], 'type' | 'privileged'> {
  return { type: bit(raw, 98) ? 'execute' : bit(raw, 99) ? 'read' : 'write', privileged: bit(raw, 97) }
}
