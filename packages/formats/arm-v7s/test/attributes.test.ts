/** Access permissions and memory types: the manual's tables row by row, and leaves that a real kernel made. */
import { decode, deposit, fieldValue, type LeafKind, type LevelNode, Prot } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { type ArmV7sContext, armV7s, explainLeaf, memoryType } from '../src/index.ts'
import { type LeavesFile, readJson } from './files.ts'

const geometry = armV7s.geometry({ ias: 32, oas: 40, mtk: false, mtkTables: false })
const [level1, level2] = geometry.nodes as [LevelNode, LevelNode]
const LEAVES = [...level1.kinds, ...level2.kinds].filter((kind): kind is LeafKind => kind.type === 'leaf')
const PLAIN: ArmV7sContext = {
  tre: false,
  afe: false,
  prrr: 0,
  nmrr: 0,
  dacr: 0x5555_5555,
  permissions: true,
  ...{ ha: false, wxn: false, uwxn: false, assumed: [] },
}

function rawOf(kind: LeafKind, values: Record<string, number>): bigint {
  return kind.fields.reduce((raw, f) => raw | deposit(BigInt(values[f.name] ?? 0), f.pieces), kind.set)
}

describe.each(LEAVES.map((kind) => [kind.name, kind] as const))('%s', (_name, kind) => {
  const access = (ap: number, context: ArmV7sContext) =>
    explainLeaf(rawOf(kind, { 'AP[2]': ap >> 2, 'AP[1:0]': ap & 3 }), kind, context, 0).access
  const prot = (ap: number, context: ArmV7sContext) =>
    armV7s.prot(rawOf(kind, { TEX: 1, 'AP[2]': ap >> 2, 'AP[1:0]': ap & 3 }), kind, context)
  const { READ, WRITE, PRIV, NOEXEC } = Prot

  test('AP[2:0]', () => {
    expect([0, 1, 2, 3, 4, 5, 6, 7].map((ap) => access(ap, PLAIN))).toEqual([
      'PL1 and PL0: none',
      'PL1: read/write, PL0: none',
      'PL1: read/write, PL0: read',
      'PL1 and PL0: read/write',
      'PL1 and PL0: none',
      'PL1: read, PL0: none',
      'PL1 and PL0: read',
      'PL1 and PL0: read',
    ])
    const rw = READ | WRITE
    expect([0, 1, 2, 3, 4, 5, 6, 7].map((ap) => prot(ap, PLAIN))).toEqual([0, rw | PRIV, READ, rw, 0, READ | PRIV, READ, READ])
  })
  test('AP[2:1] and the access flag', () => {
    const afe = { ...PLAIN, afe: true }
    expect([1, 3, 5, 7].map((ap) => access(ap, afe))).toEqual([
      'PL1: read/write, PL0: none',
      'PL1 and PL0: read/write',
      'PL1: read, PL0: none',
      'PL1 and PL0: read',
    ])
    expect(access(2, afe)).toBe('PL1 and PL0: read/write, access flag clear: the first access faults')
    expect(prot(2, afe)).toBe(READ | WRITE)
  })
  test('XN, PXN', () => {
    const raw = rawOf(kind, { 'AP[1:0]': 3, XN: 1, PXN: 1 })
    const pxn = kind.fields.some((f) => f.name === 'PXN') ? ', privileged execute never' : ''
    expect(explainLeaf(raw, kind, PLAIN).access).toBe(`PL1 and PL0: read/write, execute never${pxn}`)
    expect(armV7s.prot(raw, kind, PLAIN) & NOEXEC).toBe(NOEXEC)
  })
  test('domains', () => {
    const context = { ...PLAIN, dacr: 0b11_10_00_01 }
    const words = (domain: number) => explainLeaf(rawOf(kind, { Domain: domain, 'AP[1:0]': 3 }), kind, context, domain).access
    const all = [
      'PL1 and PL0: read/write',
      'no access: domain 1 is shut in DACR',
      'no access: domain 2 is reserved in DACR',
      'every access: domain 3 is a manager',
    ]
    expect([0, 1, 2, 3].map(words)).toEqual(kind.name === 'Supersection' ? all.map(() => all[0]) : all)
  })
  test('no permission bits', () => {
    expect(explainLeaf(rawOf(kind, {}), kind, { ...PLAIN, permissions: false }).access).toMatch(/^every access/)
  })

  const memory = (tex: number, cb: number, s: number, context: ArmV7sContext) =>
    explainLeaf(rawOf(kind, { TEX: tex, C: cb >> 1, B: cb & 1, S: s }), kind, context).memory

  test('TEX, C, B without TEX remap', () => {
    const codes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
    expect(codes.map((code) => memory(code >> 2, code & 3, 1, PLAIN))).toEqual([
      'Strongly-ordered',
      'Device, Shareable',
      'Normal, Write-Through, Shareable',
      'Normal, Write-Back, Shareable',
      'Normal, Non-cacheable, Shareable',
      'reserved',
      'IMPLEMENTATION DEFINED',
      'Normal, Write-Back Write-Allocate, Shareable',
      'Device, Non-shareable',
      ...Array.from({ length: 7 }, () => 'reserved'),
    ])
    expect(memory(5, 2, 0, PLAIN)).toBe('Normal, inner Write-Through, outer Write-Back Write-Allocate, Non-shareable')
    expect(memory(4, 3, 1, PLAIN)).toBe('Normal, inner Write-Back, outer Non-cacheable, Shareable')
    expect(memory(7, 3, 0, PLAIN)).toBe('Normal, Write-Back, Non-shareable')
  })
  test('TEX[0], C, B through PRRR and NMRR as io-pgtable sets them', () => {
    const context = armV7s.context(armV7s.configure({ pgsizeBitmap: 0x1000n, ias: 32, oas: 32 }))
    const words = [0, 1, 2, 3, 4, 5, 6, 7].map((n) => memory(n >> 2, n & 3, 1, context))
    expect([words[1], words[4], words[6], words[7]]).toEqual([
      'Device, Outer Shareable',
      'Normal, Non-cacheable, Outer Shareable',
      'IMPLEMENTATION DEFINED',
      'Normal, Write-Back Write-Allocate, Inner Shareable',
    ])
    // TEX[2:1] are the system's own
    expect(memory(7, 3, 1, context)).toBe(words[7])
    // NS0 is clear: what is not S is not shareable; DS0 is set: Device memory is shareable all the same
    expect([memory(1, 3, 0, context), memory(0, 1, 0, context)]).toEqual([
      'Normal, Write-Back Write-Allocate, Non-shareable',
      'Device, Outer Shareable',
    ])
  })
  test('every entry of PRRR and NMRR', () => {
    for (const n of [0, 1, 2, 3, 4, 5, 7]) {
      const context = { ...PLAIN, tre: true, prrr: (2 << (2 * n)) | (1 << 18), nmrr: (2 << (2 * n)) | (3 << (16 + 2 * n)) }
      const raw = (s: number) => rawOf(kind, { TEX: n >> 2, C: (n >> 1) & 1, B: n & 1, S: s })
      expect(memoryType(raw(0), kind, context)).toEqual({
        type: 'Normal',
        shareability: 'Outer Shareable',
        inner: 'Write-Through',
        outer: 'Write-Back',
      })
      expect(memoryType(raw(0), kind, { ...context, prrr: context.prrr | (1 << (24 + n)) }).shareability).toBe('Inner Shareable')
      expect(memoryType(raw(1), kind, context).shareability).toBe('Non-shareable')
    }
  })
})

describe('leaves of a Linux kernel and process', () => {
  const { registers, columns, rows } = readJson<LeavesFile>('linux-armv7-leaves.json')
  const raws = Object.fromEntries(Object.entries(registers).map(([name, value]) => [name, BigInt(value)])) as Record<
    keyof typeof registers,
    bigint
  >
  const [process] = armV7s.rootsFromRegs(raws)
  const context = process?.context ?? PLAIN

  test.each(rows.map((row) => [row[0], row] as const))('%s', (_va, row) => {
    const value = Object.fromEntries(columns.map((name, i) => [name, row[i]]))
    const raw = BigInt(value.descriptor ?? 0)
    const entry = decode(geometry, value.kind === 'section' ? level1 : level2, raw)
    expect(entry).toMatchObject({ type: 'leaf', paddr: BigInt(value.pa ?? 0), size: { pgsize: value.size }, reserved: 0n })
    expect(entry.kind.name.toLowerCase()).toContain(value.kind)
    for (const name of ['AP[2]', 'AP[1:0]', 'XN', 'TEX', 'C', 'B', 'S', 'nG'])
      expect(fieldValue(entry.kind, raw, name), name).toBe(value[name])
    if (value.kind === 'section') expect(fieldValue(entry.kind, raw, 'Domain')).toBe(value.domain)
  })

  test.each([
    [level1, 0x4031_940en, 0, 'PL1: read, PL0: none', 'Normal, Write-Back Write-Allocate, Inner Shareable'],
    [level2, 0x5eaf_6e7en, 1, 'PL1 and PL0: read', 'Normal, Write-Back Write-Allocate, Inner Shareable'],
    [level2, 0x413e_ec7fn, 1, 'PL1 and PL0: read/write, execute never', 'Normal, Write-Back Write-Allocate, Inner Shareable'],
    [level2, 0x0802_0453n, 0, 'PL1: read/write, PL0: none, execute never', 'Device, Inner Shareable'],
    [level2, 0x3f00_0013n, 0, 'PL1: read/write, PL0: none, execute never', 'Strongly-ordered'],
    [level2, 0x5f00_0417n, 0, 'PL1: read/write, PL0: none, execute never', 'Normal, Non-cacheable, Inner Shareable'],
    [level2, 0x5eff_467en, 9, 'no access: domain 9 is shut in DACR', 'Normal, Write-Back Write-Allocate, Inner Shareable'],
  ])('%o %s', (node, raw, domain, access, memory) => {
    const { kind } = decode(geometry, node, raw)
    if (kind.type !== 'leaf') throw new Error('not a leaf')
    expect(explainLeaf(raw, kind, context, domain)).toEqual({ access, memory })
  })
})
