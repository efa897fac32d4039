/** The two formats of the demo, which are as unlike as two can be: what runs on both knows neither. */
import { armV7s } from '@io-pgtable/arm-v7s'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { type AnyFmt, type ConfigOf, type IoPageTable, pgsizeBitmap, SZ_1G, SZ_1M, SZ_2M, SZ_4K, SZ_16M, SZ_64K } from '@io-pgtable/core'
import { bytes } from './text.ts'

/** 64-bit descriptors, four levels, 48-bit addresses; and 32-bit descriptors, two levels, pages of 16 equal entries. */
export const ARM64 = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G), ias: 48, oas: 48 }
export const V7S = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M, SZ_16M), ias: 32, oas: 32 }

/** Runs the same code on both. */
export function onBoth<T>(run: <F extends AnyFmt>(format: F, config: ConfigOf<F>) => T): readonly [T, T] {
  return [run(arm64LpaeS1, ARM64), run(armV7s, V7S)]
}

/** How a range is mapped: `17×2M 5×4K`. */
export function pagesOf<F extends AnyFmt>(table: IoPageTable<F>, iova: bigint, size: number): string {
  const counts = new Map<number, number>()
  const range = { first: iova, last: iova + BigInt(size) - 1n }
  table.forEachLeaf(range, (leaf) => void counts.set(leaf.size, (counts.get(leaf.size) ?? 0) + 1))
  return [...counts].map(([pgsize, count]) => `${count}×${bytes(pgsize)}`).join(' ')
}
