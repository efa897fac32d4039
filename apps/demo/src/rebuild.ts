/**
 * Rebuilding tables from what their leaves mean: merged ranges with decoded permissions go to the engine, and what the engine writes is
 * compared with what was read, descriptor by descriptor. Nothing but the ranges is carried over. Any format.
 */
import { type AnyFmt, type ConfigOf, hex, IoPageTable, type IoPgtableError, type LevelNode, type RegsOf, SZ_4K } from '@io-pgtable/core'
import type { PtPool } from '@io-pgtable/pt-allocator'
import { compareRows, type Row } from './compare.ts'
import type { Comparison, Difference } from './report.ts'
import { inherited, type Mapping, type Run, type Walked, walkGeometry } from './tables.ts'

export interface Rebuilt<F extends AnyFmt> {
  readonly regs: RegsOf<F>
  readonly tables: number
  readonly comparison: Comparison
}

/** The page sizes that a geometry's leaves can be written with, and its widths: what a driver of this hardware asks for. */
export function configOf({ geometry }: Walked): { pgsizeBitmap: bigint; ias: number; oas: number; cpuPageSize: number } {
  const sizes = geometry.nodes.flatMap(encodableSizes)
  return {
    pgsizeBitmap: sizes.reduce((bitmap, size) => bitmap | BigInt(size), 0n),
    ias: geometry.ias,
    oas: geometry.oas,
    cpuPageSize: sizes.reduce((a, b) => Math.min(a, b), SZ_4K),
  }
}

function encodableSizes(node: LevelNode): number[] {
  return node.kinds.flatMap((kind) =>
    kind.type === 'leaf' ? kind.sizes.filter((size) => size.encode !== false).map((size) => size.pgsize) : [],
  )
}

/** Builds `walked` again in a table of its own, compares, and frees it. */
export function rebuild<F extends AnyFmt>(format: F, config: ConfigOf<F>, walked: Walked, pool: PtPool): Rebuilt<F> {
  const table = IoPageTable.createRaw(format, { allocator: pool, name: 'rebuilt', ...config })
  try {
    const refused = walked.runs.flatMap((run) => mapRun(table, run))
    const ours = walkGeometry(table.geometry, table.roots, table.readMemory, (leaf) => format.prot(leaf.raw, leaf.kind, table.context))
    const comparison = compareRows(COLUMNS, walked.mappings.map(rowOf), ours.mappings.map(rowOf))
    return { regs: table.regs, tables: ours.tables.length, comparison: withRefused(comparison, refused) }
  } finally {
    table.free()
  }
}

/** Maps a run with its own page size: where the kernel has 4 KiB pages, a larger page would translate alike but not be the same. */
function mapRun<F extends AnyFmt>(table: IoPageTable<F>, run: Run): Difference[] {
  const { pgsize } = run.mapping.leaf.size
  const { error } = table.mapPages(run.iova, run.paddr, pgsize, Number(run.size) / pgsize, run.mapping.prot)
  return error === undefined ? [] : [refusal(run, error)]
}

function refusal(run: Run, error: IoPgtableError): Difference {
  return { where: hex(run.iova), column: 'mapPages', expected: 'mapped', got: error.message }
}

/** Refused ranges come first: they are why their mappings are missing. */
function withRefused(comparison: Comparison, refused: readonly Difference[]): Comparison {
  return { ...comparison, differences: [...refused.slice(0, 10), ...comparison.differences] }
}

/** A leaf is the same when its raw descriptor is, at the same address and level, below tables that restrict it alike. */
const COLUMNS = ['iova', 'level', 'descriptor', 'inherited']

function rowOf(mapping: Mapping): Row {
  const { leaf } = mapping
  return [hex(leaf.iova), leaf.node.level, hex(leaf.raw), inherited(mapping)]
}
