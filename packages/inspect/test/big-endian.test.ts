/** Big-endian tables are read as the same tables in little-endian memory: by every reader, in entries of both sizes. */

import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { type AnyFmt, type FormatConfig, type Geometry, IoPageTable, Prot, pgsizeBitmap, SZ_1M, SZ_2M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { sv32 } from '@io-pgtable/sv32'
import { describe, expect, test } from 'vitest'
import { bytesSource, checkTables, dumpLeaves, openImage, type Tables, tablesAt, translate, walkTree } from '../src/index.ts'

const BASE = 0x4000_0000n

function big(geometry: Geometry): Geometry {
  return { ...geometry, nodes: geometry.nodes.map((node) => ({ ...node, byteOrder: 'big' })) }
}

/** All that the readers say. Runs are used again: what they are is written down. */
function told(tables: Tables): unknown {
  const runs: unknown[] = []
  dumpLeaves(tables, ({ iova, paddr, size, descriptor }) => void runs.push([iova, paddr, size, descriptor]))
  const tree: unknown[] = []
  walkTree(tables, ({ depth, entry }) => void tree.push([depth, entry.iova, entry.index, entry.raw, entry.kind.name]))
  const { findings, counts, tables: count, mappings } = checkTables([tables])
  const at = [0x1234n, 0x20_5678n, 0x60_0000n].map((iova) => {
    const { paddr, fault, walk } = translate(tables, iova)
    return [paddr, fault, walk.map(({ raw }) => raw)]
  })
  return { runs, tree, findings: findings.map(({ code, message }) => [code, message]), counts, count, mappings, at }
}

const FORMATS: readonly (readonly [AnyFmt, FormatConfig])[] = [
  [arm64LpaeS1, { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: 39, oas: 40 }],
  [sv32, { pgsizeBitmap: pgsizeBitmap(SZ_4K, 2 ** 22), ias: 32, oas: 34 }],
]

describe.each(FORMATS.map(([format, config]) => [format.FORMAT, format, config] as const))('%s', (_, format, config) => {
  const pool = new PtPool({ base: BASE, size: SZ_1M })
  const table = IoPageTable.createRaw(format, { ...config, allocator: pool })
  for (const [iova, paddr, size] of [
    [0n, 0x1000_0000n, 0x80_0000],
    [0x100_0000n, 0x2000_0000n, 0x7000],
    [0x140_1000n, 0x3000_0000n, SZ_4K],
  ] as const)
    table.map(iova, paddr, size, Prot.READ | Prot.WRITE)
  table.unmap(0x40_0000n, 0x40_0000)
  const params = format.params(table.config)
  const found = { name: 'root', params, roots: table.roots, first: 0n, last: (1n << BigInt(table.config.ias)) - 1n, context: table.context }
  const little = (table.readMemory(BASE, SZ_1M) as Uint8Array).slice()
  const width = table.geometry.nodes[0]?.entryBytes ?? 8
  const swapped = little.slice()
  for (let i = 0; i < swapped.length; i += width) swapped.subarray(i, i + width).reverse()
  const reader = (bytes: Uint8Array) => (paddr: bigint, n: number) => {
    const at = Number(paddr - BASE)
    return at < 0 || at >= bytes.length ? undefined : bytes.subarray(at, at + n)
  }

  test.each(['bytes', 'an image'])('%s', async (kind) => {
    const image = kind === 'bytes' ? undefined : await openImage([bytesSource(swapped)], { base: BASE })
    const own = tablesAt(format, found, reader(little))
    const geometry = big(own.geometry)
    const expected = told(own)
    const run = (): unknown => told({ ...own, geometry, read: image?.read ?? reader(swapped) })
    expect(image === undefined ? run() : await image.loading(run)).toEqual(expected)
    expect((expected as { runs: unknown[] }).runs.length).toBeGreaterThan(2)
  })
})
