/** Entries with two halves, for which the fast walks have no form: the cold walk goes by the half that translates. */
import {
  checkConfig,
  type FormatConfig,
  type Geometry,
  type Kind,
  type LevelNode,
  Prot,
  pgsizeBitmap,
  readOnly,
  SZ_4K,
  SZ_64K,
  type TableKind,
  when,
} from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { Access, Mmu } from '../src/index.ts'

const EMPTY: Kind = { type: 'empty', name: 'empty', match: when(0n, 0n), fields: [], passes: true }
const CLOSED: Kind = { type: 'empty', name: 'closed', match: when(0x20n, 0x20n), fields: [] }
const table = (child: string): TableKind => {
  return { type: 'table', name: child, match: when(2n, 2n), set: 2n, address: [[39, 12, 12]], child, fields: [] }
}
const leaf = (shift: number): Kind => {
  const sizes = [{ pgsize: 2 ** shift, slots: 1 }]
  return { type: 'leaf', name: `2^${shift} bytes`, match: when(1n, 1n), set: 1n, address: [[39, shift, shift]], sizes, fields: [] }
}
const NODE = { entryBytes: 8, empty: 0n } as const
const DIRECTORY = { ...NODE, level: 1, name: 'directory', shift: 21, bits: 4, stride: 16, tableBytes: 256 } as const
const NODES: readonly LevelNode[] = [
  { ...DIRECTORY, id: 'D', next: 'D small', kinds: [table('big'), EMPTY] },
  { ...DIRECTORY, id: 'D small', offset: 8, kinds: [table('small'), EMPTY] },
  { ...NODE, id: 'big', level: 0, name: 'big', shift: 16, bits: 5, tableBytes: 256, kinds: [leaf(16), CLOSED, EMPTY] },
  { ...NODE, id: 'small', level: 0, name: 'small', shift: 12, bits: 9, tableBytes: 4096, kinds: [leaf(12), EMPTY] },
]
const GEOMETRY: Geometry = { nodes: NODES, top: 'D', ias: 25, oas: 40, window: 'low' }
const config: FormatConfig = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K), ias: 25, oas: 40 }
const halves = readOnly({
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
  geometry: () => GEOMETRY,
  prot: () => Prot.READ | Prot.WRITE,
  context: () => undefined,
  rootsFromRegs: ({ root }: { readonly root: bigint }) => [
    { name: 'root', params: undefined, roots: [root], first: 0n, last: 0x1ff_ffffn, context: undefined },
  ],
  configs: [{ name: 'only', config }],
})

test('an access goes by the half that translates, or meets the fault of the one that ends the walk', () => {
  const bytes = new Uint8Array(0x4000)
  const put = (at: number, value: bigint): void => new DataView(bytes.buffer).setBigUint64(at, value, true)
  put(0, 0x1002n)
  put(8, 0x2002n)
  put(0x1000, 0x10_0001n)
  put(0x1010, 0x20n)
  put(0x2000, 0x50_0001n)
  put(0x2088, 0x60_0001n)
  put(0x2108, 0x70_0001n)
  const mmu = new Mmu(halves, { memory: [{ base: 0n, bytes }], registers: { root: 0n } })
  expect(mmu.access(0x1234n, Access.READ)).toBe(0x10_1234n)
  expect(mmu.access(0x1_1234n, Access.READ)).toBe(0x60_0234n)
  expect(mmu.access(0x2_1234n, Access.READ)).toBe(-1n)
  expect(mmu.fault()).toMatchObject({ type: 'translation', level: 0 })
})
