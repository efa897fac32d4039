/** What the laws of a declaration say of one that cannot be built upon; and that nothing else is said then. */
import { type AnyFmt, type Geometry, type Kind, type LevelNode, when } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { runFormat } from '../src/index.ts'
import { toy } from '../src/toy.ts'

/** The teaching format in its first configuration, with changed nodes. */
function declared(change: (node: LevelNode) => Partial<LevelNode>): AnyFmt {
  const changed = (geometry: Geometry): Geometry => ({ ...geometry, nodes: geometry.nodes.map((node) => ({ ...node, ...change(node) })) })
  return { ...toy, configs: toy.configs.slice(0, 1), geometry: (params) => changed(toy.geometry(params as never)) } as AnyFmt
}

function rekinded(name: string, changes: Partial<Kind>): AnyFmt {
  return declared((node) => ({ kinds: node.kinds.map((kind) => (kind.name === name ? ({ ...kind, ...changes } as Kind) : kind)) }))
}

/** What each law said that was broken, and the summary. */
async function check(format: AnyFmt): Promise<{ broken: string[]; summary: string }> {
  const broken: string[] = []
  let summary = ''
  const log = (text: string): void => void (summary = text)
  await runFormat({ format, log }, (_name, error) => {
    if (error instanceof Error) broken.push(error.message.split('\n')[0] ?? '')
  })
  return { broken, summary }
}

/** Tables of 1 KiB at multiples of 4 KiB: their parents' entries have no lower address bits. */
const coarse = { address: [[31, 12, 12]] } as const

test('tables of a lower level that are aligned to more than their size pass every law', async () => {
  const { name } = toy.geometry({ ias: 28, oas: 32 }).nodes[1] as LevelNode
  const kinds = (node: LevelNode): Kind[] => node.kinds.map((kind) => (kind.type === 'table' ? { ...kind, ...coarse } : kind))
  const format = declared((node) => ({ kinds: kinds(node), ...(node.name === name && { align: 4096 }) }))
  expect((await check(format)).broken).toEqual([])
}, 60_000)

test('without their alignment one law says so, and the others are not checked', async () => {
  const { broken, summary } = await check(rekinded('table', coarse))
  expect(broken).toEqual([
    'law format/geometry is broken: toy, configuration "28 bits": a table can only point to multiples of 0x1000: tables of page table lie at those of 0x400 (align)',
  ])
  expect(summary).toContain('skipped table/model: format/geometry is broken (all configurations)')
  expect(summary).toContain('skipped format/addresses: format/geometry is broken (all configurations)')
})

test('a leaf kind before a table kind that only the order tells apart passes every law', async () => {
  const mark = when(1n << 8n, 1n << 8n)
  const format = declared((node) => ({
    kinds: node.kinds.map((kind): Kind => {
      if (kind.name === 'section') return { ...kind, match: mark, set: 1n | mark.value } as Kind
      return kind.name === 'table' ? ({ ...kind, match: when(1n, 1n), set: 1n } as Kind) : kind
    }),
  }))
  expect((await check(format)).broken).toEqual([])
}, 60_000)

test('a table that only its address tells from a kind before it is named, and the other laws of tables are not checked', async () => {
  const { broken, summary } = await check(rekinded('section', { match: when(1n << 12n, 1n << 12n) }))
  expect(broken).toHaveLength(1)
  expect(broken[0]).toMatch(
    /format\/kinds is broken: .*table does not exclude section, which comes before it, by any bit beside its address/,
  )
  expect(summary).toContain('skipped table/model: format/kinds is broken')
})

test('a declaration of which no table can be built is told once', async () => {
  const { broken } = await check(rekinded('table', { child: 'nowhere' } as Partial<Kind>))
  expect(broken).toEqual(['law format/configuration is broken: toy, configuration "28 bits": Error: geometry has no node nowhere'])
})
