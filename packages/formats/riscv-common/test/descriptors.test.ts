/** The kinds and fields of every scheme, against the manual's translation process and tables. */
import { bitsOf, type Decoded, decode, fieldValues, type Geometry, type Kind, type LevelNode, ones } from '@io-pgtable/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type RiscvExtension, type RiscvScheme, riscvNodes } from '../src/index.ts'
import { reservedOf, type Verdict, verdictOf } from './manual.ts'

const EXTENSIONS: readonly RiscvExtension[] = ['Svnapot', 'Svpbmt', 'Svrsw60t59b', 'Zicfiss']
const SCHEMES: readonly (readonly [string, RiscvScheme])[] = [
  ['Sv32', { levels: 2, entryBytes: 4, gStage: false, extensions: [] }],
  ['Sv32 with Zicfiss', { levels: 2, entryBytes: 4, gStage: false, extensions: ['Zicfiss'] }],
  ['Sv39', { levels: 3, entryBytes: 8, gStage: false, extensions: [] }],
  ['Sv39 with Svnapot', { levels: 3, entryBytes: 8, gStage: false, extensions: ['Svnapot'] }],
  ['Sv48 with Svpbmt', { levels: 4, entryBytes: 8, gStage: false, extensions: ['Svpbmt'] }],
  ['Sv57 with everything', { levels: 5, entryBytes: 8, gStage: false, extensions: EXTENSIONS }],
  ['Sv39x4', { levels: 3, entryBytes: 8, gStage: true, extensions: [] }],
  ['Sv57x4 with everything', { levels: 5, entryBytes: 8, gStage: true, extensions: EXTENSIONS }],
]

function geometryOf(scheme: RiscvScheme): Geometry {
  return { nodes: riscvNodes(scheme), top: `L${scheme.levels - 1}`, ias: 32, oas: 34, window: 'low' }
}

function verdict(entry: Decoded): Verdict {
  if (entry.type === 'table') return { is: 'pointer', next: entry.next }
  if (entry.type !== 'leaf') return { is: entry.type === 'empty' ? 'empty' : 'fault' }
  const is = entry.kind.name.startsWith('shadow stack') ? 'shadow stack' : 'leaf'
  return { is, paddr: entry.paddr, bytes: entry.size.pgsize }
}

/** Entries that are likely to be on an edge: any permissions, low PPN bits that are mostly zero, any high bits. */
function entries(bytes: 4 | 8): fc.Arbitrary<bigint> {
  const low = fc.bigInt(0n, 0x3ffn)
  const zeros = fc.nat(bytes === 8 ? 43 : 21)
  const ppn = fc.tuple(fc.bigInt(0n, bytes === 8 ? ones(43) : ones(21)), zeros).map(([value, n]) => (value >> BigInt(n)) << BigInt(n))
  const high = bytes === 8 ? fc.oneof(fc.constant(0n), fc.constant(1n << 9n), fc.bigInt(0n, 0x3ffn)) : fc.constant(0n)
  return fc.tuple(low, ppn, high).map(([l, p, h]) => l | (p << 10n) | (h << 54n))
}

describe.each(SCHEMES)('%s', (_name, scheme) => {
  const geometry = geometryOf(scheme)

  test.each(geometry.nodes.map((node) => [node.level, node] as const))('level %i: every entry is what the manual says', (level, node) => {
    fc.assert(
      fc.property(entries(scheme.entryBytes), (raw) => {
        const entry = decode(geometry, node, raw)
        expect(verdict(entry)).toEqual(verdictOf(scheme, level, raw))
        if (entry.type === 'leaf' || entry.type === 'table') expect(entry.reserved).toBe(raw & reservedOf(scheme, entry.type === 'leaf'))
      }),
      { numRuns: 500 },
    )
  })

  const named = geometry.nodes.flatMap((node) => node.kinds.filter(hasAddress).map((kind) => [`${node.name}, ${kind.name}`, kind] as const))
  test.each(named)('%s: every bit is of one field, the address or the match', (_kind, kind) => {
    let taken = kind.match.mask
    for (const bits of [bitsOf(kind.address), ...kind.fields.map((f) => bitsOf(f.pieces))]) {
      expect(taken & bits).toBe(0n)
      taken |= bits
    }
    expect(taken).toBe(ones(scheme.entryBytes * 8 - 1))
  })

  test('the root of the G-stage is four times as large', () => {
    const [root, ...below] = geometry.nodes
    const bits = scheme.entryBytes === 8 ? 9 : 10
    expect(root).toMatchObject(scheme.gStage ? { bits: bits + 2, tableBytes: 16_384 } : { bits, tableBytes: 4096 })
    for (const node of below) expect(node).toMatchObject({ bits, tableBytes: 4096 })
  })
})

function hasAddress(kind: Kind): kind is Extract<Kind, { type: 'table' | 'leaf' }> {
  return kind.type === 'table' || kind.type === 'leaf'
}

function nodeAt(geometry: Geometry, level: number): LevelNode {
  return geometry.nodes.find((node) => node.level === level) as LevelNode
}

describe('entries by hand', () => {
  const geometry = geometryOf({ levels: 5, entryBytes: 8, gStage: false, extensions: EXTENSIONS })

  test('fields', () => {
    const raw = 0xd800_0000_0000_03dbn | (0x1234_5678n << 10n)
    expect(fieldValues(decode(geometry, nodeAt(geometry, 0), raw & ~(1n << 63n)).kind, raw & ~(1n << 63n))).toEqual({
      ...{ V: 1n, R: 1n, W: 0n, X: 1n, U: 1n, G: 0n, A: 1n, D: 1n, RSW: 3n, Reserved: 0n, RSW60T59: 3n, PBMT: 2n },
    })
  })
  test.each([
    ['64 KiB', 0x8n, 'leaf'],
    ['8 KiB', 0x1n, 'invalid'],
    ['16 KiB', 0x2n, 'invalid'],
    ['32 KiB', 0x4n, 'invalid'],
    ['128 KiB', 0x10n, 'invalid'],
  ])('a NAPOT range of %s', (_size, low, type) => {
    const raw = (1n << 63n) | ((0x1_2300n | low) << 10n) | 0x5bn
    expect(decode(geometry, nodeAt(geometry, 0), raw)).toMatchObject(
      type === 'leaf' ? { type, paddr: 0x1230_0000n, size: { pgsize: 0x1_0000, slots: 16 } } : { type, kind: { name: 'reserved NAPOT' } },
    )
    expect(decode(geometry, nodeAt(geometry, 1), raw)).toMatchObject({ type: 'invalid', kind: { name: 'reserved NAPOT' } })
  })
  test('names of the leaves', () => {
    const names = [0, 1, 2, 3, 4].map((level) => decode(geometry, nodeAt(geometry, level), 0x5bn).kind.name)
    expect(names).toEqual(['page', 'megapage', 'gigapage', 'terapage', 'petapage'])
  })
  test('a megapage at 0x90200000, and one that is misaligned', () => {
    expect(decode(geometry, nodeAt(geometry, 1), 0x2408_00dfn)).toMatchObject({
      type: 'leaf',
      paddr: 0x9020_0000n,
      size: { pgsize: 0x20_0000 },
    })
    expect(decode(geometry, nodeAt(geometry, 1), 0x2408_04dfn)).toMatchObject({ type: 'invalid', kind: { name: 'misaligned megapage' } })
  })
})
