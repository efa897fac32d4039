/** Rows of unmapping. */
import { type IoPageTable, IotlbGather, SZ_4K, type TlbFlushOps } from '@io-pgtable/core'
import { expectEqual, type Pass, type Row } from './row.ts'
import { addresses, mapAll, nameOf, newTable, type Subject, verifyMapped, verifyUnmapped } from './subject.ts'

/** Unmaps the range, `perCall` pages a call, under one gather or none. */
function calls(subject: Subject, table: IoPageTable, perCall: number, gather: IotlbGather | undefined): () => number {
  // subjects differ in shape: looking at one for each call would be measured, too
  const { page } = subject
  const iovas = addresses(subject.iova, subject.bytes, page * perCall)
  return () => {
    let unmapped = 0
    for (let i = 0; i < iovas.length; i++) unmapped += table.unmapPages(iovas[i]!, page, perCall, gather)
    gather?.sync()
    return unmapped
  }
}

/** Without `addPages` the engine notes in the gather what was unmapped; `sync` looks at it as a driver would. */
function rangeDriver(): TlbFlushOps & { pages: number } {
  return {
    pages: 0,
    flushAll() {},
    flushWalk() {},
    sync({ first, last, granule }) {
      this.pages = Number(last - first + 1n) / granule
    },
  }
}

function prepare(subject: Subject, perCall: number, withGather: boolean): Pass {
  const driver = rangeDriver()
  const table = withGather ? newTable(subject, driver) : newTable(subject)
  mapAll(subject, table)
  verifyMapped(subject, table, subject.page)
  return {
    run: calls(subject, table, perCall, withGather ? new IotlbGather() : undefined),
    expected: subject.bytes,
    reset: () => mapAll(subject, table),
    verify: () => {
      verifyUnmapped(subject, table)
      if (withGather) expectEqual('pages to invalidate', driver.pages, subject.bytes / subject.page)
    },
  }
}

export function unmapRow(subject: Subject, perCall: number, withGather: boolean): Row {
  const pages = subject.bytes / subject.page
  const how = perCall === pages ? 'one call' : perCall === 1 ? 'one page a call' : `${perCall} a call`
  return {
    id: `${subject.format}/unmap/${perCall === pages ? 'all' : perCall}${withGather ? '/gather' : ''}`,
    title: `unmap ${subject.range} of ${nameOf(subject.page)} pages, ${how}, ${withGather ? 'with a gather' : 'no gather'}`,
    unit: 'descriptor',
    units: pages,
    prepare: () => prepare(subject, perCall, withGather),
  }
}

export function unmapRows(subject: Subject): Row[] {
  return [
    unmapRow(subject, subject.perCall, false),
    unmapRow(subject, subject.perCall, true),
    unmapRow(subject, 1, false),
    unmapRow(subject, 1, true),
  ]
}

/** One unmap of one slot that holds the tables of all its pages: they are all freed. */
export function dropRow(subject: Subject): Row {
  return {
    id: `${subject.format}/drop`,
    title: `unmap ${subject.range} full of 4K pages as one slot, which frees its tables`,
    unit: 'call',
    units: 1,
    prepare: () => {
      const table = newTable(subject)
      const empty = table.tableBytes
      mapAll(subject, table)
      return {
        run: () => table.unmapPages(subject.iova, subject.slot, 1),
        expected: subject.bytes,
        reset: () => mapAll(subject, table),
        verify: () => {
          verifyUnmapped(subject, table)
          // the tables above the slot stay
          expectEqual('leaf tables left', (table.tableBytes - empty) / SZ_4K < 3, true)
        },
      }
    },
  }
}
