/** `walkTables` on memory that nobody vouches for, and `LeafRuns`. */
import {
  AccessRules,
  type DecodedLeaf,
  type EntryPlace,
  type Geometry,
  hex,
  IoPageTable,
  inputRanges,
  type Kind,
  LeafRuns,
  type ReadMemory,
  unknownMemory,
  type WalkVisitor,
  walkAddress,
  walkTables,
  when,
} from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { BLOCK, bench, codeOf, HUGE, PAGE, RW, thrownBy } from './helpers.ts'
import { toy } from './toy-format.ts'

const geometry: Geometry = toy().geometry({ ias: 24, oas: 52 })
/** 4 KiB of memory from 0x10000 on. */
const BASE = 0x1_0000n
const V = 1n
const T = 2n

class Memory {
  readonly bytes = new Uint8Array(4096)
  readonly reads: [bigint, number][] = []
  readonly read: ReadMemory = (paddr, byteLength) => {
    this.reads.push([paddr, byteLength])
    const at = Number(paddr - BASE)
    return at < 0 || at >= this.bytes.length ? undefined : this.bytes.subarray(at, at + byteLength)
  }

  write(table: bigint, index: number, raw: bigint): void {
    new DataView(this.bytes.buffer).setBigUint64(Number(table - BASE) + index * 8, raw, true)
  }
}

/** What a walk calls, in order. */
function eventsOf(memory: Memory, range?: { first: bigint; last: bigint }, stop?: string): { events: string[]; whole: boolean } {
  const events: string[] = []
  const note = (text: string): boolean | undefined => {
    events.push(text)
    return stop !== undefined && text.startsWith(stop) ? false : undefined
  }
  const visitor: WalkVisitor = {
    leaf: ({ iova, paddr, size }) => note(`leaf ${hex(iova)} ${hex(paddr)} ${hex(size.pgsize)}`),
    table: ({ iova, next, index, node }) => note(`table ${hex(iova)} ${hex(next)} [${index}] ${node.name}`),
    invalid: ({ iova, raw }) => note(`invalid ${hex(iova)} ${hex(raw)}`),
    unknown: ({ iova, table, missing, node }) => note(`unknown ${hex(iova)} ${hex(table)} ${missing} ${node.name}`),
  }
  const whole = walkTables(geometry, [BASE], memory.read, visitor, range)
  return { events, whole }
}

test('descriptors in the order of their addresses, tables before what is in them', () => {
  const memory = new Memory()
  memory.write(BASE, 15, 0x30_0000n | V)
  memory.write(BASE, 2, 0x1_0080n | T | V)
  memory.write(BASE + 0x80n, 3, 0x1_0100n | T | V)
  memory.write(BASE + 0x80n, 1, 0x7_0000n | V)
  memory.write(BASE + 0x100n, 5, 0x9000n | V)
  memory.write(BASE + 0x100n, 4, T | V)
  expect(eventsOf(memory)).toEqual({
    whole: true,
    events: [
      'table 0x200000 0x10080 [2] level 1',
      'leaf 0x210000 0x70000 0x10000',
      'table 0x230000 0x10100 [3] level 2',
      'invalid 0x234000 0x3',
      'leaf 0x235000 0x9000 0x1000',
      'leaf 0xf00000 0x300000 0x100000',
    ],
  })
  // whole tables were asked for
  expect(memory.reads).toEqual([
    [BASE, 128],
    [BASE + 0x80n, 128],
    [BASE + 0x100n, 128],
  ])
})

test('a visitor ends the walk by false, from each callback', () => {
  const memory = new Memory()
  memory.write(BASE, 0, 0x1_0080n | T | V)
  memory.write(BASE + 0x80n, 0, 0x7_0000n | V)
  memory.write(BASE, 1, 0xdead_0000n | T | V)
  memory.write(BASE, 2, 0x30_0000n | V)
  const whole = eventsOf(memory).events
  expect(whole).toHaveLength(5)
  for (const [i, event] of whole.entries()) {
    const kind = event.split(' ').slice(0, 2).join(' ')
    expect(eventsOf(memory, undefined, kind)).toEqual({
      whole: false,
      events: whole.slice(0, whole.findIndex((e) => e.startsWith(kind)) + 1),
    })
    expect(i).toBeGreaterThanOrEqual(whole.findIndex((e) => e.startsWith(kind)))
  }
})

describe('hostile memory', () => {
  test('tables that point to themselves end at the last level, and a range bounds the work', () => {
    const memory = new Memory()
    for (let index = 0; index < 16; index++) memory.write(BASE, index, BASE | T | V)
    // at the last level a table is invalid
    const { events } = eventsOf(memory, { first: 0x12_3000n, last: 0x12_3fffn })
    expect(events).toEqual(['table 0x100000 0x10000 [1] level 1', 'table 0x120000 0x10000 [2] level 2', 'invalid 0x123000 0x10003'])
    expect(memory.reads).toHaveLength(3)
    const all = eventsOf(memory).events
    expect(all).toHaveLength(16 + 16 ** 2 + 16 ** 3)
    // a visitor's budget
    let left = 100
    expect(walkTables(geometry, [BASE], memory.read, { invalid: () => --left > 0 })).toBe(false)
    expect(walkAddress(geometry, [BASE], memory.read, 0x12_3456n).map(({ type, index }) => [type, index])).toEqual([
      ['table', 1],
      ['table', 2],
      ['invalid', 3],
    ])
  })

  test('all ones, and random bits, never throw', () => {
    const memory = new Memory()
    memory.bytes.fill(0xff)
    expect(eventsOf(memory).events.slice(0, 2)).toEqual([
      'table 0x0 0xfffffffffff80 [0] level 1',
      'unknown 0x0 0xfffffffffff80 128 level 2',
    ])
    let state = 1
    for (let round = 0; round < 50; round++) {
      for (let i = 0; i < 512; i++) memory.bytes[i * 8] = state = (state * 1103515245 + 12345) & 0xff
      for (let i = 0; i < 4096; i++) memory.bytes[i] = (memory.bytes[i] ?? 0) ^ (state = (state * 75 + 74) % 65537)
      let left = 2000
      walkTables(geometry, [BASE], memory.read, { leaf: () => --left > 0, table: () => --left > 0, unknown: () => --left > 0 })
    }
  })

  test('memory that is not known: told with its place, and the rest is walked', () => {
    const memory = new Memory()
    memory.write(BASE, 0, 0x50_0000n | T | V)
    memory.write(BASE, 1, 0x10_0000n | V)
    expect(eventsOf(memory).events).toEqual([
      'table 0x0 0x500000 [0] level 1',
      'unknown 0x0 0x500000 128 level 2',
      'leaf 0x100000 0x100000 0x100000',
    ])
    expect(walkTables(geometry, [0n], memory.read, {})).toBe(true)
    expect(walkAddress(geometry, [BASE], memory.read, 0n).map(({ type }) => type)).toEqual(['table'])
    expect(walkAddress(geometry, [0n], memory.read, 0n)).toEqual([])
  })

  test('truncated reads: what is there is walked, and what is missing is told', () => {
    const memory = new Memory()
    for (let index = 0; index < 16; index++) memory.write(BASE + 0xf80n, index, (BigInt(index) << 20n) | V)
    memory.write(BASE, 0, (BASE + 0xfc0n - 0x40n) | T | V)
    for (const [kept, entries] of [
      [128, 16],
      [127, 15],
      [64, 8],
      [7, 0],
      [0, 0],
    ] as const) {
      const read: ReadMemory = (paddr, bytes) => memory.read(paddr, Math.min(bytes, kept))
      const leaves: bigint[] = []
      const missing: unknown[] = []
      walkTables(geometry, [BASE + 0xf80n], read, {
        leaf: ({ iova }) => void leaves.push(iova),
        unknown: (place) => void missing.push([place.iova, place.missing]),
      })
      expect(leaves).toEqual(Array.from({ length: entries }, (_, i) => BigInt(i) << 20n))
      expect(missing).toEqual(entries === 16 ? [] : [[BigInt(entries) << 20n, 128 - entries * 8]])
    }
    // a descriptor that is cut off is not one
    expect(walkAddress(geometry, [BASE], (paddr) => memory.read(paddr, 7), 0n)).toEqual([])
  })

  test('more bytes than were asked for, at any alignment', () => {
    const memory = new Memory()
    memory.write(BASE, 3, 0x30_0000n | V)
    const shifted = new Uint8Array(4097)
    shifted.set(memory.bytes, 1)
    const leaves: bigint[] = []
    walkTables(geometry, [BASE], () => shifted.subarray(1), { leaf: ({ iova }) => void leaves.push(iova) })
    expect(leaves).toEqual([0x30_0000n])
    expect(walkAddress(geometry, [BASE], (paddr) => shifted.subarray(1 + Number(paddr - BASE)), 0x3f_ffffn)).toMatchObject([
      { type: 'leaf' },
    ])
  })
})

test('range limits: what touches the range, by one byte too', () => {
  const memory = new Memory()
  memory.write(BASE, 0, (BASE + 0x80n) | T | V)
  memory.write(BASE, 1, 0x10_0000n | V)
  memory.write(BASE, 2, (BASE + 0x900n) | T | V)
  memory.write(BASE + 0x80n, 15, 0xf_0000n | V)
  const starts = (first: bigint, last: bigint): string[] =>
    eventsOf(memory, { first, last }).events.map((e) => e.split(' ').slice(0, 2).join(' '))
  expect(starts(0xf_ffffn, 0x10_0000n)).toEqual(['table 0x0', 'leaf 0xf0000', 'leaf 0x100000'])
  expect(starts(0x10_0000n, 0x10_0000n)).toEqual(['leaf 0x100000'])
  expect(starts(0x1f_ffffn, 0x1f_ffffn)).toEqual(['leaf 0x100000'])
  expect(starts(0x30_0000n, 2n ** 64n - 1n)).toEqual([])
  // a table outside of the range is not read
  memory.reads.length = 0
  starts(0x10_0000n, 0x1f_ffffn)
  expect(memory.reads).toHaveLength(1)
})

test('entries of a root beyond the input addresses are not visited', () => {
  const memory = new Memory()
  for (const index of [0, 1, 2, 15]) memory.write(BASE, index, (BigInt(index) << 20n) | V)
  for (const [ias, wanted] of [
    [20, [0n]],
    [21, [0n, 0x10_0000n]],
  ] as const) {
    const seen: bigint[] = []
    walkTables({ ...geometry, ias }, [BASE], memory.read, { leaf: ({ iova }) => void seen.push(iova) })
    expect(seen).toEqual(wanted)
  }
})

test("the number of roots must be the geometry's", () => {
  const read: ReadMemory = () => undefined
  for (const roots of [[], [0n, 0n]])
    expect(codeOf(thrownBy(() => walkTables(geometry, roots, read, {})))).toEqual(['EINVAL', roots.length])
  const two = toy({ roots: 2 }).geometry({ ias: 25, oas: 32 })
  expect(codeOf(thrownBy(() => walkTables(two, [0n], read, {})))).toEqual(['EINVAL', 1])
  const unknown: unknown[] = []
  walkTables(two, [0x1000n, 0x9000n], read, { unknown: ({ table, iova, missing }) => void unknown.push([table, iova, missing]) })
  expect(unknown).toEqual([
    [0x1000n, 0n, 128],
    [0x9000n, 2n ** 24n, 128],
  ])
})

test('unknownMemory is the error for a walk that needs all memory', () => {
  expect(codeOf(unknownMemory('dump', 0x1234_0000n, 64))).toEqual(['EFAULT', 0x1234_0000n])
})

describe('LeafRuns', () => {
  const runsOf = (map: (table: ReturnType<typeof bench>['table']) => void, shape = {}): unknown[] => {
    const { table } = bench(shape)
    map(table)
    const runs = new LeafRuns<number>((a, b) => a === b)
    walkTables(table.geometry, table.roots, table.readMemory, {
      leaf: (leaf: DecodedLeaf & EntryPlace) => runs.add(leaf, table.format.prot(leaf.raw, leaf.kind, table.context)),
    })
    return runs.runs.map(({ iova, paddr, size, attributes, count }) => [hex(iova), hex(paddr), hex(size), attributes, count])
  }

  test('joins what is contiguous in both spaces, of one kind, size and attributes', () => {
    const runs = runsOf((table) => {
      table.mapPages(0x8000n, 0x4000_8000n, PAGE, 24, RW)
      table.mapPages(0x2_0000n, 0x4002_0000n, PAGE, 2, 1)
      table.mapPages(0x2_3000n, 0x4002_3000n, PAGE, 1, 1)
      table.mapPages(0x2_4000n, 0x5002_4000n, PAGE, 1, 1)
      table.mapPages(0x3_0000n, 0x5003_0000n, BLOCK, 2, 1)
      table.mapPages(0x10_0000n, 0x5010_0000n, HUGE, 1, 1)
      table.mapPages(0x20_0000n, 0x5020_0000n, BLOCK, 1, 1)
    })
    expect(runs).toEqual([
      ['0x8000', '0x40008000', '0x18000', 3, 24],
      ['0x20000', '0x40020000', '0x2000', 1, 2],
      ['0x23000', '0x40023000', '0x1000', 1, 1],
      ['0x24000', '0x50024000', '0x1000', 1, 1],
      ['0x30000', '0x50030000', '0x20000', 1, 2],
      ['0x100000', '0x50100000', '0x100000', 1, 1],
      ['0x200000', '0x50200000', '0x10000', 1, 1],
    ])
  })

  test('the entries of a repeated mapping are one run, and join with the next mapping', () => {
    const runs = runsOf((table) => void table.mapPages(0x4000n, 0x4000_4000n, 0x4000, 3, RW), { large: true })
    expect(runs).toEqual([['0x4000', '0x40004000', '0xc000', 3, 12]])
  })

  test('a mapping of another size begins a run', () => {
    const map = (table: ReturnType<typeof bench>['table']): void => {
      table.mapPages(0x4000n, 0x4000_4000n, 0x4000, 1, RW)
      table.mapPages(0x8000n, 0x4000_8000n, PAGE, 1, RW)
    }
    expect(runsOf(map, { large: true })).toEqual([
      ['0x4000', '0x40004000', '0x4000', 3, 4],
      ['0x8000', '0x40008000', '0x1000', 3, 1],
    ])
  })

  test('so are those of a contiguous one', () => {
    const runs = runsOf((table) => void table.mapPages(0x8000n, 0x4000_8000n, 0x8000, 1, RW), { contiguous: 'encode' })
    expect(runs).toEqual([['0x8000', '0x40008000', '0x8000', 3, 8]])
  })
})

describe('a window with a base', () => {
  const START = 0x100_3000n
  const based: Geometry = { ...geometry, base: START }
  const memory = new Memory()
  memory.write(BASE, 0, 0x1_0080n | T | V)
  memory.write(BASE + 0x80n, 0, 0x1_0100n | T | V)
  memory.write(BASE + 0x100n, 2, 0x5_0000n | V)
  memory.write(BASE, 15, 0x30_0000n | V)

  test('index 0 stands for its first address', () => {
    const found: [bigint, bigint][] = []
    walkTables(based, [BASE], memory.read, { leaf: ({ iova, paddr }) => void found.push([iova, paddr]) })
    expect(found).toEqual([
      [START + 0x2000n, 0x5_0000n],
      [START + 0xf0_0000n, 0x30_0000n],
    ])
    expect(inputRanges(based)).toEqual([{ first: START, last: START + 0xff_ffffn }])
  })
  test('one address', () => {
    const way = walkAddress(based, [BASE], memory.read, START + 0x2123n)
    expect(way.map(({ type, iova, index }) => [type, iova, index])).toEqual([
      ['table', START, 0],
      ['table', START, 0],
      ['leaf', START + 0x2000n, 2],
    ])
    expect(walkAddress(based, [BASE], memory.read, START - 1n)).toEqual([])
    expect(walkAddress(based, [BASE], memory.read, START + 0x100_0000n)).toEqual([])
    const rules = new AccessRules(toy(), based, { readOnly: false })
    expect(rules.translate([BASE], memory.read, START + 0x2123n).paddr).toBe(0x5_0123n)
    expect(rules.translate([BASE], memory.read, START - 1n).fault?.type).toBe('translation')
  })
  test('the engine does not write it', () => {
    const format = { ...toy(), geometry: () => based }
    const make = () =>
      IoPageTable.createRaw(format, { allocator: new PtPool({ base: 0n, size: 0x10_0000 }), ias: 24, oas: 52, pgsizeBitmap: 0x1000n })
    expect(make).toThrow('a window with a base is only read')
  })
})

test('sparse entries are no leaves, no faults and not empty', () => {
  const SPARSE = 1n << 5n
  const sparse: Kind = { type: 'sparse', name: 'sparse', match: when(V | SPARSE, SPARSE), fields: [] }
  const nodes = geometry.nodes.map((node) => ({ ...node, kinds: [sparse, ...node.kinds] }))
  const memory = new Memory()
  memory.write(BASE, 3, SPARSE)
  const found: bigint[] = []
  const events: string[] = []
  const tree = { ...geometry, nodes }
  walkTables(tree, [BASE], memory.read, {
    sparse: ({ iova }) => void found.push(iova),
    leaf: () => void events.push('leaf'),
    invalid: () => void events.push('invalid'),
  })
  expect([found, events]).toEqual([[0x30_0000n], []])
  const rules = new AccessRules(toy(), tree, { readOnly: false })
  const verdict = rules.translate([BASE], memory.read, 0x31_2345n)
  expect(verdict).toMatchObject({ sparse: true, fault: undefined, paddr: undefined, path: 0, level: 1 })
  expect(rules.fault(verdict, { access: 'write', privileged: false })).toBeUndefined()
  const hole = rules.translate([BASE], memory.read, 0x41_0000n)
  expect(hole).toMatchObject({ sparse: false, fault: { type: 'translation' } })
})
