/** Entries with two halves, which lead to two tables for the same addresses: both walkers and the readers agree on which half translates. */
import {
  AccessRules,
  ALWAYS,
  checkConfig,
  type FormatConfig,
  field,
  type Geometry,
  type Kind,
  type LevelNode,
  meaning,
  Prot,
  pgsizeBitmap,
  Right,
  readOnly,
  SZ_2M,
  SZ_4K,
  SZ_64K,
  type TableKind,
  walkAddress,
  walkTables,
  when,
} from '@io-pgtable/core'
import { describe, expect, it, test } from 'vitest'
import { checkTables, dumpLeaves, type Tables, translate, walkTree } from '../src/index.ts'
import { Pages } from './support/memory.ts'
import { compare } from './support/model.ts'

const leaf = (shift: number): Kind => ({
  type: 'leaf',
  name: `${2 ** shift} bytes`,
  match: when(1n, 1n),
  set: 1n,
  address: [[39, shift, shift]],
  sizes: [{ pgsize: 2 ** shift, slots: 1 }],
  fields: [field('RO', 6, 6, 'read-only')],
  grants: meaning(['RO'], ({ RO }) => (RO ? Right.READ : Right.READ | Right.WRITE)),
})
const table = (child: string): TableKind => ({
  type: 'table',
  name: `to ${child}`,
  match: when(2n, 2n),
  set: 2n,
  address: [[39, 12, 12]],
  child,
  fields: [],
})
const SPARSE: Kind = { type: 'sparse', name: 'sparse', match: when(8n, 8n), fields: [] }
const CLOSED: Kind = { type: 'empty', name: 'no small pages here', match: when(0x20n, 0x20n), fields: [] }
const EMPTY: Kind = { type: 'empty', name: 'empty', match: ALWAYS, fields: [] }
const PASSES: Kind = { ...EMPTY, passes: true }
const ENTRIES = { entryBytes: 8, empty: 0n } as const

/** Both halves in 16 bytes; or in one word, the second with an address and a bit of its own. */
function geometry(isWide: boolean): Geometry {
  const half: Partial<LevelNode> = isWide ? { stride: 16, offset: 8 } : {}
  const small: Kind = isWide
    ? table('small')
    : { ...table('small'), match: when(1n << 40n, 1n << 40n), set: 1n << 40n, address: [[63, 41, 12]] }
  const nodes: LevelNode[] = [
    { ...ENTRIES, id: 'PD1', level: 2, name: 'PD1', shift: 25, bits: 4, tableBytes: 128, kinds: [table('PD0'), EMPTY] },
    {
      ...ENTRIES,
      ...(isWide && { stride: 16 }),
      id: 'PD0',
      level: 1,
      name: 'PD0',
      shift: 21,
      bits: 4,
      tableBytes: 256,
      next: 'PD0 small',
      kinds: [leaf(21), table('big'), SPARSE, PASSES],
    },
    { ...ENTRIES, ...half, id: 'PD0 small', level: 1, name: 'PD0', shift: 21, bits: 4, tableBytes: 256, kinds: [small, EMPTY] },
    { ...ENTRIES, id: 'big', level: 0, name: 'big pages', shift: 16, bits: 5, tableBytes: 256, kinds: [leaf(16), SPARSE, CLOSED, PASSES] },
    { ...ENTRIES, id: 'small', level: 0, name: 'small pages', shift: 12, bits: 9, tableBytes: 4096, kinds: [leaf(12), SPARSE, EMPTY] },
  ]
  return { nodes, top: 'PD1', ias: 29, oas: 40, window: 'low' }
}

function format(isWide: boolean) {
  const config: FormatConfig = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, SZ_2M), ias: 29, oas: 40 }
  return readOnly({
    FORMAT: 'halves',
    title: 'Entries with two halves',
    manual: 'none',
    configure: (request: FormatConfig) => ({
      ...config,
      quirks: checkConfig('halves', request, []),
      coherentWalk: true,
      cpuPageSize: SZ_4K,
    }),
    params: () => undefined,
    geometry: () => geometry(isWide),
    prot: (raw) => (raw & 0x40n ? Prot.READ : Prot.READ | Prot.WRITE),
    context: () => undefined,
    parties: () => ['all'] as const,
    rootsFromRegs: () => [],
    configs: [{ name: 'only', config }],
  })
}

describe.each([
  ['in 16 bytes', true],
  ['in one word', false],
])('halves %s', (_, isWide) => {
  const it16 = format(isWide)
  it('are dumped, and judged, as core walks them', () => {
    let leaves = 0
    for (let seed = 1; seed < 4 || leaves < 300; seed++) {
      const { got, want, complete, judged } = compare({ id: 'halves', format: it16, config: it16.configs[0]?.config as FormatConfig }, seed)
      expect(complete).toBe(true)
      expect(got, `seed ${seed}`).toEqual(want)
      for (const [run, walk] of judged) expect(run, `seed ${seed}`).toBe(walk)
      leaves += want.length
    }
  })
})

describe('one entry of which both halves have a table', () => {
  const pages = new Pages()
  const tree = geometry(true)
  pages.words(0x1000n, [0x2002n])
  pages.words(0x2000n, [0x3002n, 0x4002n, 0n, 0x5002n, 8n, 0x4002n])
  // big: a page, passes, closed, sparse; passes from there on
  pages.words(0x3000n, [0x10_0001n, 0n, 0x20n, 8n])
  for (let i = 0; i < 512; i++) pages.words(0x4000n + BigInt(8 * i), [(0x100n + BigInt(i)) * 0x1000n + 1n])
  pages.words(0x5000n, [0x7_0001n])
  const tables: Tables = {
    name: 'root',
    format: format(true),
    geometry: tree,
    context: undefined,
    roots: [0x1000n],
    first: 0n,
    last: 0x1fff_ffffn,
    read: pages.read,
  }
  const at = (iova: bigint) => walkAddress(tree, [0x1000n], pages.read, iova).map(({ node, type }) => `${node.id} ${type}`)

  test('an address goes by the half that translates it', () => {
    expect(at(0x1234n)).toEqual(['PD1 table', 'PD0 table', 'big leaf'])
    expect(at(0x1_1234n)).toEqual(['PD1 table', 'PD0 small table', 'small leaf'])
    expect(at(0x2_0000n)).toEqual(['PD1 table', 'PD0 table', 'big empty'])
    expect(at(0x3_0000n)).toEqual(['PD1 table', 'PD0 table', 'big sparse'])
    expect(at(0x20_0000n)).toEqual(['PD1 table', 'PD0 small table', 'small leaf'])
    expect(at(0x60_0000n)).toEqual(['PD1 table', 'PD0 small empty'])
    expect(at(0x40_0000n)).toEqual(['PD1 table', 'PD0 sparse'])
    expect(translate(tables, 0x1_1234n).paddr).toBe(0x11_1234n)
    const rules = new AccessRules(tables.format, tree, undefined)
    expect(rules.translate([0x1000n], pages.read, 0x1_1234n)).toMatchObject({ paddr: 0x11_1234n, fault: undefined })
    expect(rules.translate([0x1000n], pages.read, 0x2_0000n).fault).toMatchObject({ type: 'translation', level: 0 })
  })
  test('walks in order, each table once', () => {
    const iovas: bigint[] = []
    const nexts: bigint[] = []
    walkTables(tree, [0x1000n], pages.read, { leaf: ({ iova }) => void iovas.push(iova), table: ({ next }) => void nexts.push(next) })
    expect(iovas.slice(0, 3)).toEqual([0n, 0x1_0000n, 0x1_1000n])
    expect(iovas).toEqual([...iovas].sort((a, b) => (a < b ? -1 : 1)))
    // a big page; small ones where nothing is big or closed; and twice by the other entries
    expect(iovas.length).toBe(1 + 16 + 28 * 16 + 1)
    expect(nexts).toEqual([0x2000n, 0x3000n, 0x4000n, 0x5000n])
    const entries: string[] = []
    walkTree(tables, ({ depth, entry }) => void (entry.type === 'table' && entries.push(`${depth} ${entry.node.id} ${entry.index}`)))
    expect(entries).toEqual(['0 PD1 0', '1 PD0 0', '1 PD0 small 0', '1 PD0 small 1', '1 PD0 small 2'])
  })
  test('dumped in runs, and each table counted once', () => {
    const read: number[] = []
    const runs: bigint[] = []
    const { complete } = dumpLeaves(tables, ({ iova }) => void runs.push(iova), { onTable: (n) => void read.push(n) })
    expect(complete).toBe(true)
    expect(runs[1]).toBe(0x1_0000n)
    expect(read.at(-1)).toBe(5)
    expect(checkTables([tables]).counts.error).toBe(0)
  })
})
