/**
 * Tables built again by the engine from what their leaves mean: address, page size, decoded permissions. Nothing else is carried over, so
 * that what comes out alike was understood.
 */
import { type AnyFmt, type ConfigOf, type Geometry, IoPageTable, type LevelNode, type RegsOf, SZ_4K } from '@io-pgtable/core'
import type { PtPool } from '@io-pgtable/pt-allocator'
import type { LeafRun, Tables } from '../../src/index.ts'
import { type Below, below } from './kernel.ts'

/** The page sizes that a geometry's leaves can be written with, and its widths: what a driver of this hardware asks for. */
export function configOf(geometry: Geometry): { pgsizeBitmap: bigint; ias: number; oas: number; cpuPageSize: number } {
  const sizes = geometry.nodes.flatMap(encodableSizes)
  return {
    pgsizeBitmap: sizes.reduce((bitmap, size) => bitmap | BigInt(size), 0n),
    ias: geometry.ias,
    oas: geometry.oas,
    cpuPageSize: sizes.reduce((a, b) => Math.min(a, b), SZ_4K),
  }
}

function encodableSizes({ kinds }: LevelNode): number[] {
  return kinds.flatMap((kind) =>
    kind.type === 'leaf' ? kind.sizes.filter((size) => size.encode !== false).map((size) => size.pgsize) : [],
  )
}

export interface Rebuilt<F extends AnyFmt> extends Below {
  readonly regs: RegsOf<F>
  /** What the engine said of runs that it did not map. */
  readonly refused: readonly string[]
}

/** Maps each run with its own page size: where the kernel has 4 KiB pages, a larger page would translate alike but not be the same. */
export function rebuild<F extends AnyFmt>(format: F, config: ConfigOf<F>, runs: readonly LeafRun[], pool: PtPool): Rebuilt<F> {
  const table = IoPageTable.createRaw(format, { allocator: pool, name: 'rebuilt', ...config })
  try {
    const refused = runs.flatMap(({ iova, paddr, leafSize, count, prot }) => {
      const { error } = table.mapPages(iova, paddr, leafSize, count, prot)
      return error === undefined ? [] : [error.message]
    })
    return { ...below(tablesIn(table)), regs: table.regs, refused }
  } finally {
    table.free()
  }
}

/** A table of the engine as one that was found. */
export function tablesIn<F extends AnyFmt>(table: IoPageTable<F>): Tables {
  const { format, geometry, context, roots, readMemory } = table
  return { name: 'rebuilt', format, geometry, context, roots, first: 0n, last: (1n << 64n) - 1n, read: readMemory }
}
