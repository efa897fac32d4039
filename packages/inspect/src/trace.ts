/**
 * Traces of a Linux kernel's IOMMU: the tracepoints `iommu:map` and `iommu:unmap` as ftrace prints them (the files `trace` and `trace_pipe`
 * of tracefs), read line by line, and replayed on a table.
 *
 *     TASK-PID     [CPU] FLAGS TIME: map: IOMMU: iova=0x… - 0x… paddr=0x… size=4096
 *     TASK-PID     [CPU] FLAGS TIME: unmap: IOMMU: iova=0x… - 0x… size=4096 unmapped_size=4096
 *
 * Line format: the kernel's documentation of ftrace ("Output format"). The end of a range is exclusive.
 */
import { hex, type IoPageTable, IoPgtableError, IotlbGather, type Prot } from '@io-pgtable/core'

/** What each event has, whatever it says. */
interface TraceLine {
  /** Line in the file, from 1 on. */
  readonly line: number
  /** The task's name, which may have any characters, and its process id. */
  readonly task: string
  readonly pid: number
  readonly cpu: number
  /** Seconds. */
  readonly time: number
  readonly iova: bigint
  /** Bytes. */
  readonly size: number
}

/** One contiguous piece of a mapping request; a request of several pieces is several events. */
export interface MapEvent extends TraceLine {
  readonly op: 'map'
  readonly paddr: bigint
}

export interface UnmapEvent extends TraceLine {
  readonly op: 'unmap'
  /** Bytes that the kernel unmapped. */
  readonly unmapped: number
}

export type TraceEvent = MapEvent | UnmapEvent

/** A task's name may look like anything, also like what follows it: it ends where all of that does follow. */
const TASK = /(.+?)-(\d+)\s+(?=(?:\([^)]*\)\s+)?\[\d+\]\s+(?:\S{4,6}\s+)?\d+\.\d+: )/y

/** Characters of a line that ftrace prints, by far; a file without lines would fill our memory. */
const LONGEST_LINE = 2 ** 20

/** Reads a trace line by line. Other events and comments are passed over; a line that cannot be read is `EBADMSG` with its line and column. */
export class TraceParser {
  /** Lines read so far. */
  lines = 0
  /** Events of other kinds, by name. */
  readonly skipped: Map<string, number> = new Map()

  /**
   * The event of the next line, without its line break; undefined for comments, empty lines, and events of other kinds.
   * @throws `EBADMSG` with line and column; also for events that the trace says are lost, since the rest of it then means nothing
   */
  next(text: string): TraceEvent | undefined {
    this.lines++
    const at = new Cursor(text.endsWith('\r') ? text.slice(0, -1) : text, this.lines)
    if (/^\s*$/.test(text)) return undefined
    if (text.startsWith('#')) return checkHeader(at, text)
    if (/^CPU:\d+ \[LOST /.test(text)) throw at.error('a trace without lost events', 'the kernel lost events here')
    at.take(/\s*/y, 'an event')
    const [, task = '', pid] = at.take(at.sees(TASK) ? TASK : /(.+?)-(\d+)\s+(?=[([])/y, 'TASK-PID')
    at.skip(/\(\s*(?:\d+|-+)\)\s+/y)
    const [, cpu] = at.take(/\[(\d+)\]\s+/y, '[CPU]')
    at.skip(/(?!\d+\.\d+:)[\w.#]{4,6}\s+/y)
    const [, time] = at.take(/(\d+\.\d+):\s+/y, 'a time in seconds')
    const [, name = ''] = at.take(/(\w+):(?:\s|$)/y, 'the name of an event')
    if (name !== 'map' && name !== 'unmap') {
      this.skipped.set(name, (this.skipped.get(name) ?? 0) + 1)
      return undefined
    }
    return eventOf(at, name, { line: this.lines, task, pid: Number(pid), cpu: Number(cpu), time: Number(time) })
  }
}

/** The events of a whole trace. @throws as {@link TraceParser.next} */
export function* parseTrace(text: string, parser: TraceParser = new TraceParser()): Generator<TraceEvent, TraceParser> {
  for (let from = 0; from < text.length; ) {
    const end = text.indexOf('\n', from)
    const event = parser.next(text.slice(from, end < 0 ? text.length : end))
    if (event !== undefined) yield event
    from = end < 0 ? text.length : end + 1
  }
  return parser
}

/** The events of a trace that comes in pieces of any length: a stream, a file too large to hold. @throws as {@link TraceParser.next} */
export async function* readTrace(
  chunks: AsyncIterable<string> | Iterable<string>,
  parser: TraceParser = new TraceParser(),
): AsyncGenerator<TraceEvent> {
  let rest = ''
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > LONGEST_LINE)
      throw new IoPgtableError(
        'EBADMSG',
        'trace',
        `line ${parser.lines + lines.length + 1} has more than ${LONGEST_LINE} characters: no trace`,
      )
    for (const line of lines) {
      const event = parser.next(line)
      if (event !== undefined) yield event
    }
  }
  const event = rest === '' ? undefined : parser.next(rest)
  if (event !== undefined) yield event
}

/** The kernel's ring buffer holds the newest events: where more were written than are in it, the first ones are gone. */
function checkHeader(at: Cursor, text: string): undefined {
  const counts = /entries-in-buffer\/entries-written:\s*(\d+)\/(\d+)/.exec(text)
  if (counts === null || counts[1] === counts[2]) return undefined
  at.skip(/.*entries-written:\s*/y)
  throw at.error('a trace without lost events', `${counts[1]} of ${counts[2]} events are here`)
}

function eventOf(at: Cursor, op: 'map' | 'unmap', line: Omit<TraceLine, 'iova' | 'size'>): TraceEvent {
  at.take(/\s*IOMMU:\s+/y, '"IOMMU:"')
  const iova = at.address('iova')
  at.take(/\s+-\s+/y, '" - "')
  const [end] = at.hex('the end of the range')
  at.take(/\s+/y, 'a space')
  if (op === 'map') {
    const paddr = at.address('paddr')
    at.take(/\s+/y, 'a space')
    return { ...line, op, iova, size: at.size(iova, end, true), paddr }
  }
  const size = at.size(iova, end, false)
  at.take(/\s+/y, 'a space')
  const unmapped = at.bytes('unmapped_size', true)
  return { ...line, op, iova, size, unmapped }
}

/** A place in one line. */
class Cursor {
  readonly #text: string
  readonly #line: number
  #at = 0

  constructor(text: string, line: number) {
    this.#text = text
    this.#line = line
  }

  /** What the sticky pattern matches here. */
  take(pattern: RegExp, what: string): RegExpExecArray {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (match === null) throw this.error(what)
    this.#at = pattern.lastIndex
    return match
  }

  sees(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at
    return pattern.test(this.#text)
  }

  skip(pattern: RegExp): void {
    if (this.sees(pattern)) this.#at = pattern.lastIndex
  }

  address(name: string): bigint {
    this.take(new RegExp(`${name}=`, 'y'), `"${name}="`)
    return this.hex(name)[0]
  }

  hex(what: string): [value: bigint] {
    return [BigInt(this.take(/0x[0-9a-f]{1,16}(?![0-9a-z])/iy, `${what} as 0x and up to 16 digits`)[0])]
  }

  /** A number of bytes, and the end of the line if it is the last thing there. */
  bytes(name: string, last: boolean): number {
    this.take(new RegExp(`${name}=`, 'y'), `"${name}="`)
    const at = this.#at
    const value = Number(this.take(last ? /\d+(?=\s*$)/y : /\d+(?!\w)/y, `a number of bytes${last ? ', and nothing after it' : ''}`)[0])
    if (Number.isSafeInteger(value)) return value
    this.#at = at
    throw this.error('a number of bytes below 2^53')
  }

  /** The size of a range, which its ends say, too. */
  size(iova: bigint, end: bigint, last: boolean): number {
    const start = this.#at
    const size = this.bytes('size', last)
    if (size > 0 && iova + BigInt(size) === end) return size
    this.#at = start
    throw this.error(size === 0 ? 'a size above 0' : `a size of ${hex(end - iova)} bytes, as the range ${hex(iova)} - ${hex(end)} has`)
  }

  error(expected: string, why?: string): IoPgtableError {
    const found = this.#text.slice(this.#at, this.#at + 40)
    const what =
      why ?? (found === '' ? `${expected} expected at the end of the line` : `${expected} expected, got ${JSON.stringify(found)}`)
    return new IoPgtableError('EBADMSG', 'trace', `line ${this.#line}, column ${this.#at + 1}: ${what}`, { value: found })
  }
}

/** An event that the table did not do as the kernel did. */
export interface ReplayProblem {
  readonly event: TraceEvent
  readonly message: string
}

/** What a replay counted. */
export interface ReplayTotals {
  readonly maps: number
  readonly unmaps: number
  readonly mappedBytes: number
  readonly unmappedBytes: number
  /** Events that went otherwise than in the kernel. */
  readonly problems: number
}

/** Problems that are kept; the others are counted. */
const PROBLEMS_KEPT = 20

/** Does on a table what a trace says, event by event. */
export class TraceReplay {
  readonly table: IoPageTable
  readonly prot: Prot
  /** The first problems; `totals.problems` counts all. */
  readonly problems: ReplayProblem[] = []
  #totals: ReplayTotals = { maps: 0, unmaps: 0, mappedBytes: 0, unmappedBytes: 0, problems: 0 }

  /** @param prot of every mapping: a trace says nothing of permissions */
  constructor(table: IoPageTable, prot: Prot) {
    this.table = table
    this.prot = prot
  }

  get totals(): ReplayTotals {
    return this.#totals
  }

  /**
   * Applies one event: `mapRange` or `unmapRange`. What the table refuses is a problem, not an exception; what a callback throws passes
   * through. Without a gather an unmap has one of its own.
   */
  apply(event: TraceEvent, gather?: IotlbGather): void {
    const t = this.#totals
    if (event.op === 'map') {
      const { mapped, error } = this.table.mapRange(event.iova, event.paddr, event.size, this.prot)
      this.#totals = { ...t, maps: t.maps + 1, mappedBytes: t.mappedBytes + mapped }
      if (error !== undefined) this.#problem(event, error.message)
      return
    }
    const unmapped = this.#unmap(event, gather)
    this.#totals = { ...t, unmaps: t.unmaps + 1, unmappedBytes: t.unmappedBytes + (typeof unmapped === 'number' ? unmapped : 0) }
    if (typeof unmapped === 'string') this.#problem(event, unmapped)
    else if (unmapped !== event.unmapped) this.#problem(event, `${hex(unmapped)} bytes unmapped, by the kernel ${hex(event.unmapped)}`)
  }

  /** Bytes, or why it was refused. */
  #unmap({ iova, size }: UnmapEvent, gather: IotlbGather | undefined): number | string {
    try {
      const used = gather ?? new IotlbGather()
      const unmapped = this.table.unmapRange(iova, size, used)
      if (gather === undefined) used.sync()
      return unmapped
    } catch (error) {
      if (error instanceof IoPgtableError && (error.code === 'EINVAL' || error.code === 'ERANGE')) return error.message
      throw error
    }
  }

  #problem(event: TraceEvent, message: string): void {
    if (this.problems.length < PROBLEMS_KEPT) this.problems.push({ event, message })
    this.#totals = { ...this.#totals, problems: this.#totals.problems + 1 }
  }
}
