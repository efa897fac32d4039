/** The declaration by itself: descriptors, fields, configurations and registers against the manual (48882, 2.2.3 and 2.2.2.1). */
import { bitsOf, decode, fieldValues, type LeafKind, type LevelNode, nodeOf, Prot } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { type AmdV1Config, amdV1 } from '../src/index.ts'

const ALL_SIZES = (1n << 52n) - 0x1000n
const CONFIG: AmdV1Config = { pgsizeBitmap: ALL_SIZES, ias: 64, oas: 52 }
const OPEN = { ir: true, iw: true }
const geometry = amdV1.geometry({ topLevel: 6, ias: 64, oas: 52 })
const level = (n: number): LevelNode => nodeOf(geometry, `L${n}`)
const leavesOf = (node: LevelNode): LeafKind[] => node.kinds.filter((kind) => kind.type === 'leaf')

test('levels', () => {
  expect(geometry.nodes.map(({ level, shift, bits }) => [level, shift, bits])).toEqual([
    [6, 57, 7],
    [5, 48, 9],
    [4, 39, 9],
    [3, 30, 9],
    [2, 21, 9],
    [1, 12, 9],
  ])
})

describe('what an entry is', () => {
  test('every value of NextLevel at every level', () => {
    const kinds = geometry.nodes.map((node) =>
      Array.from({ length: 8 }, (_, next) => {
        // an address field with the code of twice the level's default size
        const address = ((1n << BigInt(node.shift)) - 1n) & 0xf_ffff_ffff_f000n
        const entry = decode(geometry, node, 1n | (BigInt(next) << 9n) | address)
        return entry.type === 'table' ? entry.child.level : entry.type
      }).join(' '),
    )
    expect(kinds).toEqual([
      'invalid 1 2 3 4 5 invalid invalid',
      'leaf 1 2 3 4 invalid invalid leaf',
      'leaf 1 2 3 invalid invalid invalid leaf',
      'leaf 1 2 invalid invalid invalid invalid leaf',
      'leaf 1 invalid invalid invalid invalid invalid leaf',
      'leaf invalid invalid invalid invalid invalid invalid leaf',
    ])
    for (const node of geometry.nodes) expect(decode(geometry, node, 0xffff_ffff_ffff_fffen).type).toBe('empty')
  })

  test.each([
    // level, lowest zero of the address field
    [1, 12, 13],
    [1, 13, 14],
    [1, 19, 20],
    [1, 20, undefined],
    [1, 40, undefined],
    [2, 12, undefined],
    [2, 20, undefined],
    [2, 21, 22],
    [2, 28, 29],
    [2, 29, undefined],
    [3, 37, 38],
    [3, 38, undefined],
    [4, 39, 40],
    [5, 48, 49],
    [5, 51, 52],
    [6, 51, undefined],
  ])('level %i, NextLevel 7, lowest zero %i: 2^%s bytes', (n, zero, lg) => {
    const raw = 0x6000_0000_0000_0e01n | ((1n << BigInt(zero)) - 0x1000n)
    const entry = decode(geometry, level(n), raw)
    if (lg === undefined) expect(entry.type).toBe('invalid')
    else expect(entry).toMatchObject({ type: 'leaf', size: { pgsize: 2 ** lg, slots: 2 ** (lg - level(n).shift) }, reserved: 0n })
  })
  test('no address bit is zero: no size', () => {
    for (const node of geometry.nodes) expect(decode(geometry, node, 0x600f_ffff_ffff_fe01n).type).toBe('invalid')
  })

  test('fields by name', () => {
    const page = decode(geometry, level(1), 0xfc00_1234_5678_9063n)
    expect(page).toMatchObject({ type: 'leaf', paddr: 0x1234_5678_9000n, reserved: 0x0400_0000_0000_0000n })
    expect(fieldValues(page.kind, page.raw)).toEqual({
      ...{ Ignored: 1n, A: 1n, D: 1n, IgnoredLow: 0n, Reserved: 0x40n, U: 1n, FC: 1n, IR: 1n, IW: 1n, IgnoredTop: 1n },
    })
    const large = decode(geometry, level(2), 0x7000_0000_805f_fe01n)
    expect(large).toMatchObject({ type: 'leaf', paddr: 0x8040_0000n, size: { pgsize: 0x40_0000, slots: 2 }, reserved: 0n })
    expect(fieldValues(large.kind, large.raw)).toMatchObject({ PageSize: 0x1ffn, FC: 1n })
    const table = decode(geometry, level(4), 0x7000_0000_1234_5221n)
    expect(table).toMatchObject({ type: 'table', next: 0x1234_5000n, child: { level: 1 }, reserved: 1n << 60n })
    expect(fieldValues(table.kind, table.raw)).toMatchObject({ NextLevel: 1n, A: 1n, IR: 1n, IW: 1n })
  })
})

test('no bit belongs to two fields', () => {
  for (const node of geometry.nodes)
    for (const kind of node.kinds) {
      if (kind.type !== 'leaf' && kind.type !== 'table') continue
      let taken = kind.fields.some(({ name }) => name === 'PageSize' || name === 'NextLevel') ? 0n : kind.match.mask
      for (const bits of [bitsOf(kind.address), ...kind.fields.map((f) => bitsOf(f.pieces))]) {
        expect(taken & bits).toBe(0n)
        taken |= bits
      }
    }
})

test.each(amdV1.configs)('$name: every prot comes back from every size', ({ config }) => {
  const agreed = amdV1.configure(config)
  const forced = agreed.quirks.includes('FORCE_COHERENCE') ? Prot.CACHE : 0
  for (const node of geometry.nodes)
    for (const kind of leavesOf(node))
      for (let prot = 0; prot < 64; prot++) {
        const raw = kind.set | (amdV1.encodeLeaf(agreed, node, kind, prot) ?? 0n)
        expect(amdV1.prot(raw, kind, OPEN)).toBe((prot & (Prot.READ | Prot.WRITE)) | forced)
        expect(amdV1.prot(raw, kind, { ir: true, iw: false })).toBe((prot & Prot.READ) | forced)
        expect(decode(geometry, node, raw)).toMatchObject({ type: 'leaf', kind, reserved: 0n })
      }
})

describe('configure', () => {
  test('fills what is left out', () => {
    const agreed = { quirks: [], coherentWalk: true, cpuPageSize: 4096, topLevel: 3 }
    expect(amdV1.configure({ ...CONFIG, pgsizeBitmap: (1n << 64n) - 1n })).toEqual({
      ...CONFIG,
      ...agreed,
      pgsizeBitmap: 0xf_ff7f_ffff_f000n,
    })
    expect(amdV1.configure({ ...CONFIG, ias: 25 })).toMatchObject({ pgsizeBitmap: 0xff_f000n, topLevel: 2 })
    expect(amdV1.configure({ ...CONFIG, ias: 20, topLevel: 6 })).toMatchObject({ topLevel: 6 })
  })
  test.each<[Partial<AmdV1Config>, RegExp]>([
    [{ ias: 13 }, /ias 13: 14 to 64/],
    [{ oas: 53 }, /oas 53: 13 to 52/],
    [{ oas: 12 }, /oas 12/],
    [{ topLevel: 0 }, /topLevel 0: 1 to 6/],
    [{ topLevel: 7 }, /topLevel 7/],
    [{ topLevel: 2.5 }, /topLevel 2.5/],
    [{ pgsizeBitmap: 0x20_0000n }, /4K must be among/],
    [{ quirks: ['ENCRYPT' as 'NO_WARN'] }, /quirk ENCRYPT/],
  ])('%o is refused and the limit named', (change, message) => {
    const error = expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) })
    expect(() => amdV1.configure({ ...CONFIG, ...change })).toThrow(error)
  })
})

describe('the device table entry', () => {
  const root = 0xa_5a5a_5a40_0000n
  test.each([1, 2, 3, 4, 5, 6])('mode %i leads back to the root', (mode) => {
    const { dte, ...regs } = amdV1.regs(amdV1.configure(CONFIG), [root], `L${mode}`)
    expect(regs).toEqual({ root, mode })
    expect(dte).toBe(0x6000_0000_0000_0003n | root | (BigInt(mode) << 9n))
    const ias = Math.min(64, 12 + 9 * mode)
    // HAD, PPR, GV and what else a driver sets
    expect(amdV1.rootsFromRegs({ dte: dte | (0x1f5n << 52n) | (3n << 7n) })).toEqual([
      { name: 'root', params: { topLevel: mode, ias, oas: 52 }, roots: [root], first: 0n, last: (1n << BigInt(ias)) - 1n, context: OPEN },
    ])
    const found = amdV1.geometry({ topLevel: mode, ias, oas: 52 })
    expect([found.top, found.growsTo, found.nodes.length]).toEqual([`L${mode}`, undefined, mode])
  })
  test('what it does not allow, no page does', () => {
    const [found] = amdV1.rootsFromRegs({ dte: 0x2000_0000_0000_0603n | root })
    expect(found?.context).toEqual({ ir: true, iw: false })
  })
  test('without V, TV or a mode there is no table; mode 7 is reserved', () => {
    for (const dte of [0n, 1n, 2n, 3n, 0x601n, 0x602n]) expect(amdV1.rootsFromRegs({ dte })).toEqual([])
    expect(() => amdV1.rootsFromRegs({ dte: 0xe03n })).toThrow(/Mode 7/)
  })
})
