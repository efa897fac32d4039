/** The leaves of tables that somebody scribbled in: what lanes tell apart is what the declaration decodes. */
import { type DecodedLeaf, decode, type EntryPlace, entrySpan, type Leaf, Prot, walkTables } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { seededIntegers } from '../../conformance/src/seeded-integers.ts'
import { type Bench, BLOCK, bench, HUGE, PAGE, RW } from './helpers.ts'
import type { Shape } from './toy-format.ts'

const SHAPES: readonly Partial<Shape>[] = [
  {},
  { large: true, contiguous: 'encode' },
  { large: true, contiguous: 'decode', dirty: true },
  { entryBytes: 4, large: true },
  { scattered: true, indexBits: 9, ...{ levels: 2 } },
  { inverted: true, contiguous: 'encode' },
  { window: 'sign-extended', large: true },
]

/** Maps leaves of all sizes, and writes anything into entries of the last level that hold leaves. */
function scribbled(shape: Partial<Shape>, seed: number): Bench {
  const random = seededIntegers(seed)
  const b = bench(shape)
  const { table, pool } = b
  const sizes = [PAGE, PAGE, PAGE, PAGE, PAGE, BLOCK, BLOCK, HUGE]
  for (let i = 0; i < 40; i++) {
    const size = sizes[random(sizes.length)] ?? PAGE
    const slot = random(Math.floor(2 ** 22 / size))
    const bytes = Math.min(size * (1 + random(24)), 2 ** 22 - slot * size)
    table.mapRange(BigInt(slot * size), BigInt(random(256) * size), bytes, [RW, Prot.READ, RW | Prot.CACHE][random(3)] ?? RW)
  }
  const last = table.geometry.nodes.at(-1)
  const entries: { at: number; raw: bigint }[] = []
  walkTables(table.geometry, table.roots, table.readMemory, {
    leaf: ({ node, table: address, index, raw }) => {
      if (node === last) entries.push({ at: Number(address - pool.base) + index * node.entryBytes, raw })
    },
  })
  const view = new DataView(pool.words.buffer, pool.words.byteOffset)
  for (const { at, raw } of entries) {
    if (random(6) > 0) continue
    const changed = raw ^ (1n << BigInt([0, 1, 2, 3, 7, 8, 9, 10, 12, 13, 15, 16][random(12)] ?? 2))
    if (last?.entryBytes === 8) view.setBigUint64(at, changed, true)
    else view.setUint32(at, Number(changed), true)
  }
  return b
}

type Entry = DecodedLeaf & EntryPlace

/** The leaves by the declaration: entries that a mapping of several has in full are one. */
function expected({ table }: Bench): string[] {
  const entries: Entry[] = []
  walkTables(table.geometry, table.roots, table.readMemory, { leaf: (leaf) => void entries.push(leaf) })
  const found: string[] = []
  for (let i = 0; i < entries.length; ) {
    const head = entries[i] as Entry
    const { slots } = head.size
    const whole = slots > 1 && isWhole(entries.slice(i, i + slots))
    const inside = head.iova & BigInt(entrySpan(head.node, head.size) - 1)
    const prot = table.format.prot(head.raw, head.kind, table.context)
    found.push(text(head.iova, head.paddr | inside, whole ? head.size.pgsize : 2 ** head.node.shift, prot, head.raw))
    i += whole ? slots : 1
  }
  return found
}

function isWhole(entries: readonly Entry[]): boolean {
  const [head] = entries as [Entry]
  const { slots, pgsize, stepsAddress } = head.size
  const step = stepsAddress === true ? 2n ** BigInt(head.node.shift) : 0n
  if (entries.length < slots || head.index % slots !== 0 || head.paddr % BigInt(pgsize) !== 0n) return false
  return entries.every(
    ({ table, index, kind, size, paddr }, i) =>
      table === head.table &&
      index === head.index + i &&
      kind === head.kind &&
      size === head.size &&
      paddr === head.paddr + BigInt(i) * step,
  )
}

function text(iova: bigint, paddr: bigint, size: number, prot: Prot, raw: bigint): string {
  return [iova.toString(16), paddr.toString(16), size.toString(16), prot, raw.toString(16)].join(' ')
}

function leaves({ table }: Bench, range?: { first: bigint; last: bigint }): Leaf[] {
  const all: Leaf[] = []
  table.forEachLeaf(range, (leaf) => void all.push(leaf))
  return all
}

function found(b: Bench): string[] {
  return leaves(b).map(({ iova, paddr, size, prot, descriptor }) => text(iova, paddr, size, prot, descriptor))
}

describe.each(SHAPES)('%o', (shape) => {
  test('forEachLeaf visits what the declaration decodes', () => {
    let visited = 0
    for (let seed = 1; seed <= 12; seed++) {
      const b = scribbled(shape, seed)
      const want = expected(b)
      expect(found(b)).toEqual(want)
      visited += want.length
    }
    expect(visited).toBeGreaterThan(400)
  })

  test('a snapshot is the leaves, and a range the part of them that touches it', () => {
    const b = scribbled(shape, 77)
    const all = leaves(b)
    const bytes = b.table.snapshot().runs.reduce((sum, { size }) => sum + size, 0n)
    expect(bytes).toBe(all.reduce((sum, { size }) => sum + BigInt(size), 0n))
    for (const { iova, size, paddr, prot } of all) {
      const run = b.table.snapshot().runs.find((one) => one.iova <= iova && iova < one.iova + one.size)
      expect(run && [run.pgsize, run.prot, run.paddr + iova - run.iova]).toEqual([size, prot, paddr])
    }
    const random = seededIntegers(3)
    for (let i = 0; i < 50; i++) {
      const first = BigInt(random(2 ** 22))
      const last = first + BigInt(random(2 ** 18))
      const want = all.filter(({ iova, size }) => iova <= last && iova + BigInt(size) > first)
      expect(leaves(b, { first, last })).toEqual(want)
    }
  })

  test('protect rewrites each entry as its decoded leaf wants it, or refuses and changes nothing', () => {
    let changed = 0
    for (let seed = 1; seed <= 4; seed++) {
      const b = scribbled(shape, seed)
      const { table } = b
      for (const one of leaves(b).slice(0, 20)) {
        const before = found(b)
        const prot = one.prot & Prot.WRITE ? Prot.READ : RW
        try {
          expect(table.protect(one.iova, one.size, prot)).toBe(one.size)
        } catch (error) {
          expect((error as { code: string }).code).toBe('EINVAL')
          expect(found(b)).toEqual(before)
          continue
        }
        const after = leaves(b).find(({ iova }) => iova === one.iova) as Leaf
        expect([after.paddr, after.size, after.prot]).toEqual([one.paddr, one.size, prot])
        expect(found(b).filter((line) => !line.startsWith(`${one.iova.toString(16)} `))).toEqual(
          before.filter((line) => !line.startsWith(`${one.iova.toString(16)} `)),
        )
        const entry = decode(table.geometry, table.walk(one.iova).at(-1)?.node as never, after.descriptor)
        expect(entry.type).toBe('leaf')
        changed++
      }
    }
    expect(changed).toBeGreaterThan(20)
  })
})
