/** Rows of mapping. "Present": the tables are there from an earlier mapping; "fresh": every table is allocated in the run. */
import { type IoPageTable, SZ_1G, SZ_2M, SZ_4K } from '@io-pgtable/core'
import { expectEqual, type Pass, type Row } from './row.ts'
import { addresses, mapAll, nameOf, newTable, PROT, type Subject, unmapAll, verifyMapped } from './subject.ts'

type Tables = 'present' | 'fresh'

function passOf(subject: Subject, table: IoPageTable, pgsize: number, tables: Tables, run: () => number): Pass {
  if (tables === 'present') {
    mapAll(subject, table, pgsize)
    unmapAll(subject, table, pgsize)
  }
  return {
    run,
    expected: subject.bytes,
    reset: () => unmapAll(subject, table, tables === 'present' ? pgsize : subject.slot),
    verify: () => verifyMapped(subject, table, pgsize),
  }
}

/** Maps the range, `perCall` pages a call. */
function calls(subject: Subject, pgsize: number, perCall: number, tables: Tables): Pass {
  const table = newTable(subject)
  const iovas = addresses(subject.iova, subject.bytes, pgsize * perCall)
  const paddrs = addresses(subject.paddr, subject.bytes, pgsize * perCall)
  return passOf(subject, table, pgsize, tables, () => {
    let mapped = 0
    for (let i = 0; i < iovas.length; i++) mapped += table.mapPages(iovas[i]!, paddrs[i]!, pgsize, perCall, PROT).mapped
    return mapped
  })
}

export function mapRow(subject: Subject, perCall: number, tables: Tables): Row {
  const pages = subject.bytes / subject.page
  const how = perCall === pages ? 'one call' : perCall === 1 ? 'one page a call' : `${perCall} a call`
  return {
    id: `${subject.format}/map/${perCall === pages ? 'all' : perCall}/${tables}`,
    title: `map ${subject.range} of ${nameOf(subject.page)} pages, ${how}, tables ${tables}`,
    unit: 'descriptor',
    units: pages,
    prepare: () => calls(subject, subject.page, perCall, tables),
  }
}

function blockRow(subject: Subject, tables: Tables): Row {
  const { name, pgsize } = subject.block
  const blocks = subject.bytes / pgsize
  // with one table for all blocks, "fresh" is the table of the blocks; formats whose blocks stand in the root have it always
  return {
    id: `${subject.format}/map/${name}-blocks/${tables}`,
    title: `map ${subject.range} as ${name} blocks in one call, table ${tables}`,
    unit: 'descriptor',
    units: blocks,
    prepare: () => calls(subject, pgsize, blocks, tables),
  }
}

export function mapRows(subject: Subject): Row[] {
  const pages = subject.bytes / subject.page
  return [
    mapRow(subject, subject.perCall, 'present'),
    mapRow(subject, subject.perCall, 'fresh'),
    mapRow(subject, pages, 'present'),
    mapRow(subject, pages, 'fresh'),
    mapRow(subject, 1, 'present'),
    mapRow(subject, 1, 'fresh'),
  ]
}

export function blockRows(subject: Subject): Row[] {
  return [blockRow(subject, 'present'), blockRow(subject, 'fresh')]
}

/** 64 GiB, once fresh: what more tables than the caches hold do to mapping. */
export function largeMapRow(subject: Subject): Row {
  const row = mapRow(subject, subject.bytes / subject.page, 'fresh')
  return { ...row, id: `${subject.format}/map-64G/all/fresh`, full: true }
}

/** Ranges of the mixed rows in one run: their start addresses are this far apart. */
const MIXED_RANGES = 64
const MIXED_STRIDE = 4 * SZ_1G
const SMALL_BYTES = 36 * 1024
const MIXED_BYTES = SMALL_BYTES + SZ_1G + SZ_2M

interface MixedRange {
  readonly iova: bigint
  readonly paddr: bigint
  /** How a caller would map it who knows the sizes. */
  readonly runs: readonly { readonly iova: bigint; readonly paddr: bigint; readonly pgsize: number; readonly pgcount: number }[]
}

/** The small pages come first, up to where the block of 1 GiB can begin. */
function mixedRange(subject: Subject, index: number): MixedRange {
  const at = BigInt(index * MIXED_STRIDE - SMALL_BYTES)
  const iova = subject.iova + at
  const paddr = subject.paddr + at
  const run = (offset: number, pgsize: number, pgcount: number) => {
    return { iova: iova + BigInt(offset), paddr: paddr + BigInt(offset), pgsize, pgcount }
  }
  const small = run(0, SZ_4K, SMALL_BYTES / SZ_4K)
  return { iova, paddr, runs: [small, run(SMALL_BYTES, SZ_1G, 1), run(SMALL_BYTES + SZ_1G, SZ_2M, 1)] }
}

function mapRuns(table: IoPageTable, { runs }: MixedRange): number {
  let mapped = 0
  for (let i = 0; i < runs.length; i++) {
    const { iova, paddr, pgsize, pgcount } = runs[i]!
    mapped += table.mapPages(iova, paddr, pgsize, pgcount, PROT).mapped
  }
  return mapped
}

function mixedPass(subject: Subject, map: (table: IoPageTable, range: MixedRange) => number): Pass {
  const table = newTable(subject)
  const ranges = Array.from({ length: MIXED_RANGES }, (_, i) => mixedRange(subject, i))
  return {
    run: () => {
      let mapped = 0
      for (let i = 0; i < ranges.length; i++) mapped += map(table, ranges[i]!)
      return mapped
    },
    expected: MIXED_RANGES * MIXED_BYTES,
    reset: () => {
      for (const { iova } of ranges) expectEqual('bytes unmapped', table.unmapRange(iova, MIXED_BYTES), MIXED_BYTES)
    },
    verify: () => {
      for (const { runs } of ranges)
        for (const { iova, paddr, pgsize } of runs) {
          expectEqual('address', table.iovaToPhys(iova), paddr)
          const leaf = table.walk(iova).at(-1)
          expectEqual('page size', leaf?.type === 'leaf' && leaf.size.pgsize, pgsize)
        }
    },
  }
}

/** A range that takes three page sizes and starts where only the smallest one can, beside the same runs mapped one by one. */
export function mixedRows(subject: Subject): Row[] {
  const row = { unit: 'call', units: MIXED_RANGES }
  return [
    {
      ...row,
      id: `${subject.format}/mapRange/mixed`,
      title: 'mapRange of 36 KiB + 1 GiB + 2 MiB from an odd page on',
      prepare: () => mixedPass(subject, (table, { iova, paddr }) => table.mapRange(iova, paddr, MIXED_BYTES, PROT).mapped),
    },
    {
      ...row,
      id: `${subject.format}/mapRange/its-runs`,
      title: 'the same range by three calls of mapPages',
      prepare: () => mixedPass(subject, mapRuns),
    },
  ]
}
