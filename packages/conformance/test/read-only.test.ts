/** A format that only reads, whose root stands in memory and whose directories have no empty entry: the laws that apply, and what they refuse. */
import {
  AccessRules,
  ALWAYS,
  checkConfig,
  type FormatConfig,
  field,
  forAll,
  type Geometry,
  IoPageTable,
  IoPgtableError,
  type Kind,
  type LevelNode,
  meaning,
  Prot,
  pgsizeBitmap,
  type ReadMemory,
  type ReadOnlyFmt,
  Right,
  readOnly,
  SZ_1M,
  SZ_4K,
  unknownMemory,
  walkTables,
  when,
} from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { runFormat } from '../src/index.ts'

interface Registers {
  /** Where the word is that holds the directory's address. */
  readonly pointer: bigint
}

/** Every entry of the directory is a table: walkers point those below which nothing is to one that is empty. */
const TABLE: Kind = { type: 'table', name: 'table', match: ALWAYS, set: 0n, address: [[31, 12, 12]], child: 'L2', fields: [] }
const EMPTY: Kind = { type: 'empty', name: 'empty', match: when(1n, 0n), fields: [] }
const PAGE: Kind = {
  type: 'leaf',
  name: 'page',
  match: ALWAYS,
  set: 1n,
  address: [[31, 12, 12]],
  sizes: [{ pgsize: SZ_4K, slots: 1 }],
  fields: [field('W', 1, 1, 'writable')],
  grants: meaning(['W'], ({ W }) => Right.READ | Right.EXECUTE | (W ? Right.WRITE : 0)),
}

function geometry({ ias, oas }: { readonly ias: number; readonly oas: number }): Geometry {
  const level1: LevelNode = { id: 'L1', level: 1, name: 'directory', shift: 22, bits: 10, entryBytes: 4, tableBytes: 4096, kinds: [TABLE] }
  const level2: LevelNode = { ...level1, id: 'L2', level: 2, name: 'page table', shift: 12, empty: 0n, kinds: [EMPTY, PAGE] }
  return { nodes: [level1, level2], top: 'L1', ias, oas, window: 'low' }
}

function word(value: bigint): Uint8Array {
  return new Uint8Array(Uint32Array.of(Number(value)).buffer)
}

/** The context that finds the root: one word in memory. */
function rootAt(pointer: bigint, read: ReadMemory | undefined): bigint {
  if (read === undefined) throw new IoPgtableError('EINVAL', 'rootsFromRegs', 'the memory is needed: the root stands in it')
  const bytes = read(pointer, 4)
  if (bytes === undefined || bytes.byteLength < 4) throw unknownMemory('rootsFromRegs', pointer, 4)
  return BigInt(new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true) & ~0xfff) & 0xffff_ffffn
}

const DECLARED: ReadOnlyFmt<FormatConfig, { readonly root: bigint }, { readonly ias: number; readonly oas: number }, undefined, Registers> =
  {
    FORMAT: 'reader',
    title: 'A toy that is only read',
    manual: 'none',
    configure: (request) => ({
      pgsizeBitmap: pgsizeBitmap(SZ_4K),
      ias: 32,
      oas: 32,
      quirks: checkConfig('reader', request, []),
      coherentWalk: true,
      cpuPageSize: SZ_4K,
    }),
    params: ({ ias, oas }) => ({ ias, oas }),
    geometry,
    prot: (raw) => Prot.READ | (raw & 2n ? Prot.WRITE : 0),
    context: () => undefined,
    parties: () => ['all'],
    regs: (_config, [root = 0n]) => ({ root }),
    hardware: () => ({ pointer: 0x8000n }),
    rootMemory: (_config, { root }) => [{ paddr: 0x8000n, bytes: word(root) }],
    rootsFromRegs: ({ pointer }, read) => [
      { name: 'root', params: { ias: 32, oas: 32 }, roots: [rootAt(pointer, read)], first: 0n, last: 0xffff_ffffn, context: undefined },
    ],
    configs: [{ name: '32 bits', config: { pgsizeBitmap: pgsizeBitmap(SZ_4K), ias: 32, oas: 32 } }],
  }
const reader = readOnly(DECLARED)

async function check(changes: Partial<typeof DECLARED> = {}): Promise<{ broken: string[]; summary: string; passed: number }> {
  const broken: string[] = []
  let summary = ''
  const { passed } = await runFormat(
    { format: readOnly({ ...DECLARED, ...changes }), log: (text) => void (summary = text) },
    (_name, error) => {
      if (error instanceof Error) broken.push(error.message.split('\n')[0] ?? '')
    },
  )
  return { broken, summary, passed }
}

function nodesWith(change: (node: LevelNode) => Partial<LevelNode>): typeof DECLARED.geometry {
  return (params) => ({ ...geometry(params), nodes: geometry(params).nodes.map((node) => ({ ...node, ...change(node) })) })
}

test('it passes the laws of declaration and decoding, and no other is run', async () => {
  const { broken, summary, passed } = await check()
  expect(broken).toEqual([])
  expect(passed).toBeGreaterThan(10)
  expect(summary).toContain('skipped table/..., tlb/..., workers/...: the format only reads')
})

test('what they refuse: a prot that is not the rights, an empty value of no empty kind, a root that its memory does not hold', async () => {
  const said = async (changes: Partial<typeof DECLARED>): Promise<string> => (await check(changes)).broken.join('\n')
  expect(await said({ prot: () => Prot.READ })).toMatch(/format\/rights is broken: .*prot\(\)/)
  expect(await said({ geometry: nodesWith(({ id }) => (id === 'L2' ? { empty: 1n } : {})) })).toMatch(/format\/kinds .*the empty entry/)
  expect(await said({ rootMemory: (_config, { root }) => [{ paddr: 0x8000n, bytes: word(root & 0x7fff_ffffn) }] })).toMatch(
    /format\/registers .*a root at 0xfffff000 is found at 0x7ffff000/,
  )
})

test('tables are walked from registers through memory; none is made or adopted', () => {
  const memory = new Map<bigint, Uint8Array>([
    [0x8000n, word(0x1000n)],
    [0x1000n, new Uint8Array(4096)],
    [0x2000n, new Uint8Array(4096)],
    [0n, new Uint8Array(4096)],
  ])
  new DataView(memory.get(0x1000n)?.buffer as ArrayBuffer).setUint32(4, 0x2000, true)
  new DataView(memory.get(0x2000n)?.buffer as ArrayBuffer).setUint32(8, 0x7000_0003, true)
  const read: ReadMemory = (paddr, length) => memory.get(paddr & ~0xfffn)?.subarray(Number(paddr & 0xfffn), Number(paddr & 0xfffn) + length)
  const [root] = reader.rootsFromRegs({ pointer: 0x8000n }, read)
  if (root === undefined) throw new Error('no root')
  const tree = reader.geometry(root.params)
  const found: bigint[] = []
  let tables = 0
  walkTables(tree, root.roots, read, { leaf: ({ iova }) => void found.push(iova), table: () => void tables++ })
  expect([found, tables]).toEqual([[0x40_2000n], 1024])
  const verdict = new AccessRules(reader, tree, undefined).translate(root.roots, read, 0x40_2123n)
  expect([verdict.paddr, verdict.rights]).toEqual([0x7000_0123n, forAll(Right.READ | Right.WRITE | Right.EXECUTE)])
  expect(() => reader.rootsFromRegs({ pointer: 0x8000n })).toThrow(expect.objectContaining({ code: 'EINVAL' }))
  expect(() => reader.rootsFromRegs({ pointer: 0x9000n }, read)).toThrow(expect.objectContaining({ code: 'EFAULT' }))

  const pool = new PtPool({ base: 0n, size: SZ_1M })
  const request = { ...(DECLARED.configs[0]?.config as FormatConfig), allocator: pool }
  const refused = expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining('reader only reads tables') })
  expect(() => IoPageTable.createRaw(reader, request)).toThrow(refused)
  expect(() => IoPageTable.adopt(reader, { ...request, roots: [0n] })).toThrow(refused)
})
