/** Writes values as the vector files do, for comparison and for messages. */
import { hex } from '@io-pgtable/core'
import type { Invalidation, TableEntry, TlbEvent } from './operations.ts'

/** One entry of `leaves` or `tables`, unfolded. */
export function entryText({ iova, level, raw }: TableEntry): string {
  return JSON.stringify([hex(iova), level, hex(raw)])
}

export function eventText(e: TlbEvent): string {
  if (e.event === 'flushAll') return JSON.stringify([e.event])
  if (e.event === 'flushWalk') return JSON.stringify([e.event, hex(e.iova), e.size, e.granule])
  return JSON.stringify([e.event, hex(e.iova), e.granule, e.count])
}

/** TLB events in order, where an `addPage` that continues the one before it is folded into it. */
export function eventsText(events: readonly TlbEvent[]): string {
  return `[${foldEvents(events).map(eventText).join()}]`
}

/** Joins neighbouring `addPage` events of one granule and of successive addresses. */
export function foldEvents(events: readonly TlbEvent[]): TlbEvent[] {
  const folded: TlbEvent[] = []
  for (const event of events) {
    const last = folded.at(-1)
    if (event.event === 'addPage' && last?.event === 'addPage' && continues(last, event)) {
      folded[folded.length - 1] = { ...last, count: last.count + event.count }
    } else folded.push(event)
  }
  return folded
}

function continues(last: TlbEvent & { event: 'addPage' }, next: TlbEvent & { event: 'addPage' }): boolean {
  return last.granule === next.granule && last.iova + BigInt(last.granule) * BigInt(last.count) === next.iova
}

export function invalidationText({ start, end, ...counts }: Invalidation): string {
  return canonical({ start: hex(start), end: hex(end), ...counts })
}

/** JSON with members in the order of their names, so that equal values have equal texts; `undefined` where a value is absent. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) => (isPlain(v) ? Object.fromEntries(Object.entries(v).sort(byName)) : v)) ?? 'undefined'
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1
}
