/** Lines of a log as somebody pasted it: what stands before the kernel's text is taken off, wrapped lines are joined again. */

/** Characters of a line that are looked at. */
export const LINE_LIMIT: number = 2 ** 16

export interface LogLine {
  /** Counted from 1. */
  readonly number: number
  readonly text: string
  /** The task or CPU that printed it, where the log has that: `T123`, `C1`. */
  readonly caller: string
  /** Seconds, where the log has them. */
  readonly time: number | undefined
  /** Something was taken off that only a log has. */
  readonly stamped: boolean
}

/** Each is tried in turn, as long as one fits: quotes, syslog's and journalctl's head, priorities, times, callers. */
const PREFIXES: readonly RegExp[] = [
  /^[ \t]*[>|][ \t]?/,
  /^[ \t]*<\d{1,3}>/,
  /^[ \t]*\[[ \t]*(?<time>\d{1,12}\.\d{1,9})(?:,[ \t]*\d+)?\](?:@\d+)?[ \t]?/,
  /^[ \t]*\[[ \t]*(?<caller>[TC]\d{1,8})\][ \t]?/,
  /^\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\][ \t]?/,
  /^(?:[A-Z][a-z]{2} [ \d]?\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[^ \t]{0,16})[ \t]+(?:[^ \t]{1,64}[ \t]+)?kernel(?:\[\d+\])?:[ \t]?/,
  /^[a-z]{1,8}[ \t]*:[a-z]{1,8}[ \t]*:[ \t]?/,
  /^kernel:[ \t]/,
]
const MOST_PREFIXES = 8
const FIRST_CHARACTERS = /^[ \t>|<[\dA-Za-z]/

/** Takes off what stands before the kernel's text. */
export function stripLine(line: string, number: number): LogLine {
  let text = line.length > LINE_LIMIT ? line.slice(0, LINE_LIMIT) : line
  let time: number | undefined
  let caller = ''
  let stamped = false
  for (let i = 0; i < MOST_PREFIXES && FIRST_CHARACTERS.test(text); i++) {
    const found = matchPrefix(text)
    if (found === undefined) break
    text = text.slice(found[0].length)
    time = found.groups?.time === undefined ? time : Number(found.groups.time)
    caller = found.groups?.caller ?? caller
    // a quote is no stamp: wrapped lines have it, too
    stamped ||= !/^[ \t]*[>|][ \t]?$/.test(found[0])
  }
  return { number, text: text.trim(), caller, time, stamped }
}

function matchPrefix(text: string): RegExpExecArray | undefined {
  for (const prefix of PREFIXES) {
    const found = prefix.exec(text)
    if (found !== null) return found
  }
  return undefined
}

/** A line that cannot end there: a mail program has broken it. */
const UNFINISHED =
  /(?:\b(?:at|occurred|FAULT|Page|Faulted|address|addr|virtual|type|device|fault|reason|status|to|of|for|Request|domain|flags|VA|P[G4UMT][DE]|[A-Z0-9]+_[A-Z0-9_]+)|[=:,(])$/

/** Characters at the end of a line that tell. */
const TAIL = 40

/** Whether a line seems to be the first part of one. */
export function isUnfinished(text: string): boolean {
  return UNFINISHED.test(text.length > TAIL ? text.slice(-TAIL) : text)
}

/** A line that is shorter was not broken by a mail program. */
const SHORTEST = 40

/** Whether a line goes on in the next one, as mail programs break lines. `opens`: the next one begins a report by itself. */
export function goesOn(before: LogLine, next: LogLine, opens: boolean): boolean {
  if (next.stamped || next.text === '' || before.text.length + next.text.length > LINE_LIMIT) return false
  return isUnfinished(before.text) || (before.stamped && before.text.length >= SHORTEST && !opens)
}

/** The same of raw lines, at a glance: a line without anything before it follows one that has. */
export function mayGoOn(before: string, next: string): boolean {
  const [first, second] = [before.charCodeAt(0), next.charCodeAt(0)]
  return isBracket(first) && !isBracket(second) && before.length >= SHORTEST
}

/** `[`, `<` or `>`. */
function isBracket(code: number): boolean {
  return code === 0x5b || code === 0x3c || code === 0x3e
}
