/** Rows of making tables, and of the JavaScript heap that tables and calls take. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type IoPageTable, SZ_4K } from '@io-pgtable/core'
import type { PtPool } from '@io-pgtable/pt-allocator'
import { expectEqual, type HeapRow, type Pass, type Row, WrongResult } from './row.ts'
import { median } from './stats.ts'
import { addresses, mapAll, newPool, newTable, PROT, type Subject, unmapAll } from './subject.ts'

const TABLES = 64

function createPass(subject: Subject, create: (pool: PtPool) => IoPageTable): Pass {
  const pool = newPool(subject.poolBytes)
  const tables: IoPageTable[] = []
  return {
    run: () => {
      for (let i = 0; i < TABLES; i++) tables.push(create(pool))
      return tables.length
    },
    expected: TABLES,
    reset: () => {
      for (const table of tables) table.free()
      tables.length = 0
    },
    verify: () => {
      expectEqual('tables', new Set(tables.map(({ roots }) => roots[0])).size, TABLES)
      for (const table of tables) expectEqual('translation in an empty table', table.iovaToPhys(subject.iova), undefined)
    },
  }
}

/** Registers are made when they are asked for. */
function withRegisters(table: IoPageTable): IoPageTable {
  if (table.regs === undefined) throw new WrongResult('no registers')
  return table
}

export function createRows(subject: Subject): Row[] {
  const row = { unit: 'table', units: TABLES }
  return [
    {
      ...row,
      id: `${subject.format}/create/seen`,
      title: 'create a table of a configuration seen before',
      prepare: () => createPass(subject, subject.create),
    },
    {
      ...row,
      id: `${subject.format}/create/registers`,
      title: 'the same, and read its registers',
      prepare: () => createPass(subject, (pool) => withRegisters(subject.create(pool))),
    },
    {
      ...row,
      id: `${subject.format}/create/first`,
      title: 'create a table of a configuration for the first time',
      prepare: () => createPass(subject, subject.createFirst),
    },
  ]
}

/** The collector, without a command line flag. */
function collector(): () => void {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  return () => {
    // the second time takes what finalizers of the first let go
    gc()
    gc()
  }
}

/** Bytes of the heap and of the buffers outside of it. */
function usedBytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const IDLE_TABLES = 512
/** More than a root table takes in any format, bytes. */
const ROOT_LIMIT = 65_536

function idleBytes(subject: Subject): number {
  const collect = collector()
  const pool = newPool(IDLE_TABLES * ROOT_LIMIT)
  const tables: IoPageTable[] = Array.from({ length: IDLE_TABLES + 1 })
  tables[IDLE_TABLES] = subject.create(pool)
  collect()
  const before = usedBytes()
  for (let i = 0; i < IDLE_TABLES; i++) tables[i] = subject.create(pool)
  collect()
  const bytes = (usedBytes() - before) / IDLE_TABLES
  for (const table of tables) table.free()
  return bytes
}

const SLICE = 4096
const ROUNDS = 4

/**
 * Bytes that a single-page map allocates, from slices of calls short enough that most see no collection: the median slice. 1,048,576 calls.
 */
function mapBytes(subject: Subject): number {
  const table = newTable(subject)
  const iovas = addresses(subject.iova, subject.bytes, SZ_4K)
  const paddrs = addresses(subject.paddr, subject.bytes, SZ_4K)
  const slices: number[] = []
  const slice = (at: number): number => {
    let mapped = 0
    const before = process.memoryUsage().heapUsed
    for (let i = at; i < at + SLICE; i++) mapped += table.mapPages(iovas[i]!, paddrs[i]!, SZ_4K, 1, PROT).mapped
    const after = process.memoryUsage().heapUsed
    expectEqual('bytes mapped', mapped, SLICE * SZ_4K)
    return after - before
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (let at = 0; at < iovas.length; at += SLICE) slices.push(slice(at))
    unmapAll(subject, table, SZ_4K)
  }
  const nothing: number[] = []
  for (let i = 0; i < 64; i++) {
    const before = process.memoryUsage().heapUsed
    nothing.push(process.memoryUsage().heapUsed - before)
  }
  const measured = median(slices) - median(nothing)
  return Math.max(measured, 0) / SLICE
}

/** The pool's bookkeeping for a range full of pages, in per cent of the tables' bytes. */
function bookkeeping(subject: Subject): number {
  const pool = newPool(subject.poolBytes)
  const table = subject.create(pool)
  mapAll(subject, table)
  const { overhead, live } = pool.stats()
  expectEqual('bytes of tables', live, table.tableBytes)
  table.free()
  return (100 * overhead) / live
}

export function heapRows(subject: Subject): HeapRow[] {
  return [
    {
      id: `${subject.format}/pool/bookkeeping`,
      title: `bookkeeping of a pool with the tables of ${subject.range}`,
      unit: 'per cent of table bytes',
      measure: () => bookkeeping(subject),
    },
    {
      id: `${subject.format}/heap/idle`,
      title: 'heap of an idle table, its pool memory not counted',
      unit: 'bytes a table',
      measure: () => idleBytes(subject),
    },
    {
      id: `${subject.format}/heap/map`,
      title: 'heap allocated by 1M maps of one page',
      unit: 'bytes a call',
      measure: () => mapBytes(subject),
    },
  ]
}
