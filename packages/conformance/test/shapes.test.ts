/** Shapes of trees that few formats have, each on the teaching format: the whole kit passes, or names what is wrong. */
import { type Geometry, type Kind, type LevelNode, meaning, Right, SZ_1M, when } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { runFormat } from '../src/index.ts'
import { toy } from '../src/toy.ts'

type Toy = typeof toy

/** The teaching format with other nodes, in one configuration of its own. */
function shaped(ias: number, change: (node: LevelNode) => Partial<LevelNode>, more: Partial<Toy> = {}): Toy {
  const changed = (geometry: Geometry): Geometry => ({ ...geometry, nodes: geometry.nodes.map((node) => ({ ...node, ...change(node) })) })
  return {
    ...toy,
    configure: (request) => toy.configure({ ...request, ias: Math.min(request.ias, ias) }),
    geometry: (params) => changed(toy.geometry(params)),
    configs: toy.configs.slice(0, 1).map(({ name, config }) => ({ name, config: { ...config, ias } })),
    ...more,
  }
}

async function broken(format: Toy): Promise<string[]> {
  const said: string[] = []
  await runFormat({ format, log: () => {} }, (_name, error) => {
    if (error instanceof Error) said.push(error.message.split('\n')[0] ?? '')
  })
  return said
}

/** Two bits of address at each of two levels: tables of 16 bytes. */
const LARGE = SZ_1M / 4

function small(node: LevelNode): Partial<LevelNode> {
  const table = (kind: Kind): Kind =>
    kind.type === 'table' ? { ...kind, address: [[31, 6, 6]], fields: [], limits: meaning([], () => Right.ALL) } : kind
  if (node.id === 'L1') return { bits: 2, tableBytes: 16, kinds: node.kinds.map(table) }
  const page = (kind: Kind): Kind =>
    kind.type === 'leaf' ? { ...kind, address: [[31, 18, 18]], sizes: [{ pgsize: LARGE, slots: 1 }], set: 1n } : kind
  return { shift: 18, bits: 2, tableBytes: 16, kinds: node.kinds.filter(({ name }) => name !== 'large page').map(page) }
}

test('tables of 16 bytes, of the root and below, pass every law: what is behind them in their block is not read', async () => {
  const configure: Toy['configure'] = (request) => {
    const sizes = request.pgsizeBitmap & BigInt(LARGE | SZ_1M)
    return { ...toy.configure({ ...request, pgsizeBitmap: BigInt(SZ_1M) }), pgsizeBitmap: sizes, ias: 22 }
  }
  const config = { pgsizeBitmap: BigInt(LARGE | SZ_1M), ias: 22, oas: 32 }
  const rootsFromRegs: Toy['rootsFromRegs'] = ({ base }) => [
    { name: 'base', params: { ias: 22, oas: 32 }, roots: [base & ~0x3fn], first: 0n, last: 0x3f_ffffn, context: undefined },
  ]
  expect(await broken(shaped(22, small, { configure, rootsFromRegs, configs: [{ name: 'small', config }] }))).toEqual([])
}, 60_000)

test('an empty value that the configuration gives, as a scratch page is, passes every law', async () => {
  const SCRATCH = 0xabcd_0000n
  const empties = (node: LevelNode): Partial<LevelNode> => ({
    empty: SCRATCH,
    kinds: node.kinds.map((kind): Kind => (kind.type === 'empty' ? { ...kind, match: when(0xffff_ffffn, SCRATCH) } : kind)),
  })
  expect(await broken(shaped(28, empties))).toEqual([])
}, 60_000)

test('aliases are ids, and others than the format has', async () => {
  const said = async (aliases: readonly string[]): Promise<string> => (await broken({ ...toy, configs: [], aliases })).join('\n')
  expect(await said(['Toy 2'])).toMatch(/format\/declaration .*alias "Toy 2"/)
  expect(await said(['toy-2', 'toy_2'])).toMatch(/alias "toy_2" is what the format is called anyway/)
})
