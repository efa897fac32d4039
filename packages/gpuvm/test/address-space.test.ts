/** Steps as table operations: page sizes, cuts, kept descriptors, one flush, eviction, locks. */
import { type AddressRange, diffSnapshots, type IotlbGather, SZ_4K, SZ_64K, type TlbFlushOps } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { type AddressSpaceOptions, GpuAddressSpace, GpuVm } from '../src/index.ts'
import { FORMATS, newPool, RW, type TestFormat } from './support/formats.ts'

interface Object {
  readonly name: string
  readonly size: bigint
  paddr: bigint
}

const START = 0x1000_0000n
const PADDR = 0x4000_0000n

function counting(): { tlb: TlbFlushOps; syncs: AddressRange[] } {
  const syncs: AddressRange[] = []
  const sync = ({ first, last }: IotlbGather): void => void syncs.push({ first, last })
  return { syncs, tlb: { flushAll() {}, flushWalk() {}, sync } }
}

function world({ create }: TestFormat, options: AddressSpaceOptions<Object> = {}) {
  const { tlb, syncs } = counting()
  const pool = newPool()
  const table = create(pool, tlb)
  const vm = new GpuVm<Object>({ start: START, range: 0x1000_0000n })
  const space = new GpuAddressSpace(vm, table, options)
  const bo = (name: string, paddr: bigint) => vm.obtain({ name, size: 0x1000_0000n, paddr })
  return { pool, table, vm, space, syncs, a: bo('a', PADDR), b: bo('b', 0x6000_0000n) }
}

const sizes = (table: ReturnType<TestFormat['create']>): number[] => {
  const seen: number[] = []
  table.forEachLeaf(undefined, ({ size }) => void seen.push(size))
  return seen
}

describe.each(FORMATS)('$name', (format) => {
  const BLOCK = BigInt(format.block)
  const PAGE = BigInt(SZ_4K)

  test('a map takes the largest page sizes, an unmap takes them away', () => {
    const { table, space, a } = world(format)
    space.map({ addr: START, range: 2n * BLOCK + PAGE, bo: a, flags: RW })
    expect(sizes(table)).toEqual([format.block, format.block, SZ_4K])
    expect(table.iovaToPhys(START + BLOCK + 5n)).toBe(PADDR + BLOCK + 5n)
    space.unmap({ addr: START, range: BLOCK })
    expect(sizes(table)).toEqual([format.block, SZ_4K])
  })

  test('a remap cuts a block where its boundary is inside of it; what stays translates as before', () => {
    const { table, space, vm, a, syncs } = world(format)
    space.map({ addr: START, range: 2n * BLOCK, bo: a, flags: RW })
    syncs.length = 0
    space.unmap({ addr: START + 3n * PAGE, range: PAGE })
    expect(space.stats.cuts).toBeGreaterThan(0)
    expect([...vm.mappings()].map(({ addr, end, offset }) => [addr - START, end - START, offset])).toEqual([
      [0n, 3n * PAGE, 0n],
      [4n * PAGE, 2n * BLOCK, 4n * PAGE],
    ])
    for (let at = 0n; at < 2n * BLOCK; at += PAGE) expect(table.iovaToPhys(START + at)).toBe(at === 3n * PAGE ? undefined : PADDR + at)
    expect(sizes(table).at(-1)).toBe(format.block)
    expect(syncs.length).toBe(1 + (format.breaks ? space.stats.cuts : 0))
  })

  test('a boundary between two leaves cuts nothing', () => {
    const { table, space, a } = world(format)
    space.map({ addr: START, range: 2n * BLOCK, bo: a, flags: RW })
    space.unmap({ addr: START + BLOCK, range: BLOCK })
    expect([space.stats.cuts, sizes(table)]).toEqual([0, [format.block]])
  })

  test('keep: descriptors that stay right are not touched, and nothing is flushed', () => {
    const { table, space, a, syncs } = world(format)
    space.map({ addr: START, range: 2n * BLOCK, bo: a, flags: RW })
    const before = table.snapshot()
    space.map({ addr: START, range: 2n * BLOCK, bo: a, flags: RW })
    space.map({ addr: START + PAGE, range: PAGE, bo: a, offset: PAGE, flags: RW })
    expect(diffSnapshots(before, table.snapshot())).toEqual([])
    expect([space.stats.cuts, syncs.length, space.stats.kept]).toEqual([0, 0, 2n * BLOCK + PAGE])
  })

  test('keep: only what is missing is mapped', () => {
    const { table, space, a, syncs } = world(format)
    for (const at of [1n, 4n]) space.map({ addr: START + at * PAGE, range: PAGE, bo: a, offset: at * PAGE, flags: RW })
    space.map({ addr: START, range: 6n * PAGE, bo: a, flags: RW })
    expect(table.snapshot().runs).toMatchObject([{ iova: START, paddr: PADDR, size: 6n * PAGE }])
    expect([space.vm.size, syncs.length]).toEqual([1, 0])
  })

  test('other flags keep nothing', () => {
    const { space, a, syncs } = world(format)
    space.map({ addr: START, range: PAGE, bo: a, flags: RW })
    const { steps } = space.map({ addr: START, range: PAGE, bo: a, flags: 1 })
    expect(steps[0]).toMatchObject({ op: 'unmap', keep: false })
    expect(syncs.length).toBe(1)
  })

  test('one flush a request, of all that it unmapped, before anything is mapped there', () => {
    let mapped: (bigint | undefined)[] = []
    const pool = newPool()
    const syncs: AddressRange[] = []
    const table = format.create(pool, {
      flushAll() {},
      flushWalk() {},
      sync({ first, last }) {
        syncs.push({ first, last })
        mapped = [0n, 1n, 2n, 3n, 4n].map((at) => table.iovaToPhys(START + at * PAGE))
      },
    })
    const vm = new GpuVm<Object>({ start: START, range: 0x1000_0000n })
    const space = new GpuAddressSpace(vm, table)
    const a = vm.obtain({ name: 'a', size: 0x100_0000n, paddr: PADDR })
    for (const at of [0n, 1n, 2n, 3n, 4n])
      space.map({ addr: START + at * PAGE, range: PAGE, bo: a, offset: 64n * PAGE * (at + 1n), flags: RW })
    space.map({ addr: START + PAGE, range: 3n * PAGE, bo: a, flags: RW })
    expect(syncs).toEqual([{ first: START + PAGE, last: START + 4n * PAGE - 1n }])
    expect(mapped).toEqual([PADDR + 64n * PAGE, undefined, undefined, undefined, PADDR + 320n * PAGE])
  })

  test('evict takes all translations of an object away, and restore brings them back where it is then', () => {
    const { table, space, vm, a, b, syncs } = world(format)
    space.map({ addr: START, range: 2n * PAGE, bo: a, flags: RW })
    space.map({ addr: START + 2n * PAGE, range: PAGE, bo: b, flags: RW })
    space.map({ addr: START + BLOCK, range: BLOCK, bo: a, flags: RW })
    syncs.length = 0
    expect(space.evict(a).steps.length).toBe(2)
    expect([a.evicted, vm.size, syncs.length, sizes(table)]).toEqual([true, 3, 1, [SZ_4K]])
    // while it is away, requests work on the VA space alone
    space.unmap({ addr: START, range: PAGE })
    space.map({ addr: START + 8n * PAGE, range: PAGE, bo: a, flags: RW })
    expect(sizes(table)).toEqual([SZ_4K])
    a.object.paddr = 0x7000_0000n
    space.restore(a)
    expect(a.evicted).toBe(false)
    expect([0n, 1n, 2n, 8n].map((at) => table.iovaToPhys(START + at * PAGE))).toEqual([
      undefined,
      0x7000_0000n + PAGE,
      b.object.paddr,
      0x7000_0000n,
    ])
    expect(table.iovaToPhys(START + BLOCK)).toBe(0x7000_0000n)
    expect([space.restore(a).steps, space.stats.flushes]).toEqual([[], 1])
  })

  test('mappings that share a leaf go together, and nothing is cut; one of them alone is cut out', () => {
    const { table, space, vm, a } = world(format)
    space.map({ addr: START, range: BLOCK, bo: a, flags: RW })
    space.map({ addr: START + PAGE, range: PAGE, bo: a, offset: PAGE, flags: RW })
    expect([vm.size, sizes(table)]).toEqual([3, [format.block]])
    space.evict(a)
    expect([sizes(table), space.stats.cuts]).toEqual([[], 0])
    space.restore(a)
    expect(sizes(table)).toEqual([format.block])
    space.unmap({ addr: START, range: BLOCK })
    space.map({ addr: START, range: BLOCK, bo: a, flags: RW })
    space.map({ addr: START + PAGE, range: PAGE, bo: a, offset: PAGE, flags: RW })
    space.unmap({ addr: START + PAGE, range: PAGE })
    expect([0n, 1n, 2n].map((at) => table.iovaToPhys(START + at * PAGE))).toEqual([PADDR, undefined, PADDR + 2n * PAGE])
    expect(space.stats.cuts).toBeGreaterThan(0)
  })

  test('memory in pieces, neighbours joined', () => {
    const backing = function* (_: Object, offset: bigint, bytes: number) {
      for (let at = 0; at < bytes; at += SZ_4K) yield { paddr: PADDR + offset + BigInt(at), size: SZ_4K }
    }
    const { table, space, a } = world(format, { backing })
    space.map({ addr: START, range: BLOCK, bo: a, flags: RW })
    expect(sizes(table)).toEqual([format.block])
  })

  test('locked for what changes, a cut block whole, once a request', () => {
    const calls: unknown[] = []
    const { space, a } = world(format, { lock: (range) => calls.push(['lock', range]), unlock: (range) => calls.push(['unlock', range]) })
    const pair = (first: bigint, last: bigint) => [
      ['lock', { first: START + first, last: START + last }],
      ['unlock', { first: START + first, last: START + last }],
    ]
    space.map({ addr: START, range: 2n * BLOCK, bo: a, flags: RW })
    expect(calls.splice(0)).toEqual(pair(0n, 2n * BLOCK - 1n))
    space.unmap({ addr: START + PAGE, range: PAGE })
    expect(calls.splice(0)).toEqual(pair(0n, BLOCK - 1n))
    space.map({ addr: START + BLOCK, range: PAGE, bo: a, offset: BLOCK, flags: RW })
    expect(calls).toEqual([])
  })

  test('flags become a prot as the driver says', () => {
    const { table, space, a } = world(format, { prot: (flags) => (flags === 7 ? 1 : RW) })
    space.map({ addr: START, range: PAGE, bo: a, flags: 7 })
    space.map({ addr: START + PAGE, range: PAGE, bo: a, offset: 16n * PAGE })
    const prots: number[] = []
    table.forEachLeaf(undefined, ({ prot }) => void prots.push(prot & RW))
    expect(prots).toEqual([1, RW])
  })

  test('an unmap takes a range of pages in large steps, even where their tables stay', () => {
    const { table, space, a } = world(format)
    for (let at = 0n; at < BLOCK; at += BigInt(SZ_64K))
      space.map({ addr: START + at, range: BigInt(SZ_64K), bo: a, offset: at + PAGE, flags: RW })
    space.unmap({ addr: START, range: BLOCK })
    expect([sizes(table), space.vm.size]).toEqual([[], 0])
  })
})
