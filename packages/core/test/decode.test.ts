/** Descriptor bits by declaration: pieces, kinds, sizes, fields, reserved bits. */
import {
  bitsOf,
  type DecodedTable,
  decode,
  deposit,
  entrySpan,
  extract,
  field,
  fieldValue,
  fieldValues,
  type Geometry,
  kindOf,
  leafSizeOf,
  matches,
  meaningOf,
  nodeOf,
  ones,
  type Piece,
  slotBytes,
  splitField,
  when,
} from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { type Shape, toy } from './toy-format.ts'

const geometryOf = (shape: Partial<Shape> = {}, ias = 24): Geometry => toy(shape).geometry({ ias, oas: 52 })

test('pieces: extract and deposit are inverse, and lose what no piece carries', () => {
  const pieces: Piece[] = [
    [47, 16, 16],
    [15, 12, 48],
  ]
  expect(extract(0x1234_5678_9abc_def1n, pieces)).toBe(0xd_5678_9abc_0000n)
  expect(deposit(0xd_5678_9abc_ffffn, pieces)).toBe(0x5678_9abc_d000n)
  expect(bitsOf(pieces)).toBe(0xffff_ffff_f000n)
  for (let bit = 0n; bit < 52n; bit++) {
    const value = 1n << bit
    expect(extract(deposit(value, pieces), pieces)).toBe(bit < 16n ? 0n : value)
  }
  expect([extract(~0n & ones(63), []), deposit(5n, []), bitsOf([])]).toEqual([0n, 0n, 0n])
})

test('ones and matches', () => {
  expect([ones(0), ones(3, 1), ones(63), ones(63, 63)]).toEqual([1n, 0xen, 2n ** 64n - 1n, 2n ** 63n])
  expect([matches(0x1234n, when(0xffn, 0x34n)), matches(0x1235n, when(0xffn, 0x34n)), matches(9n, when(0n, 0n))]).toEqual([
    true,
    false,
    true,
  ])
})

test('the first kind that matches', () => {
  const geometry = geometryOf()
  const upper = nodeOf(geometry, 'L1')
  const last = nodeOf(geometry, 'L3')
  expect([0n, 2n, 0xffff_fffen].map((raw) => decode(geometry, upper, raw).type)).toEqual(['empty', 'empty', 'empty'])
  expect(decode(geometry, upper, 0x12_3450_000dn)).toMatchObject({ type: 'leaf', kind: { name: 'block' }, paddr: 0x12_3450_0000n })
  expect(decode(geometry, upper, 0x12_3456_7fffn)).toMatchObject({ type: 'table', next: 0x12_3456_7f80n, child: { id: 'L2' } })
  expect(decode(geometry, last, 0x12_3456_700dn)).toMatchObject({ type: 'leaf', kind: { name: 'page' }, paddr: 0x12_3456_7000n })
  expect(decode(geometry, last, 3n)).toMatchObject({ type: 'invalid', raw: 3n, reserved: 0n, kind: { name: 'invalid' } })
})

test('reserved bits: those that a field calls so, and those that nothing names', () => {
  const geometry = geometryOf()
  const upper = nodeOf(geometry, 'L1')
  const all = 2n ** 64n - 1n
  // a leaf: bit 7 is RES0, 11 and 59:52 are unknown, and an upper leaf has no low address bits
  expect(decode(geometry, nodeOf(geometry, 'L3'), all & ~2n).reserved).toBe((1n << 7n) | (1n << 11n) | ones(59, 52))
  expect(decode(geometry, upper, all & ~2n).reserved).toBe((1n << 7n) | (1n << 11n) | ones(19, 12) | ones(59, 52))
  // a table
  expect(decode(geometry, upper, all).reserved).toBe(ones(6, 3) | ones(63, 52))
  // what is not valid has none
  expect(decode(geometry, upper, all & ~1n).reserved).toBe(0n)
  for (let bit = 0n; bit < 64n; bit++) {
    const raw = 1n | (1n << bit)
    const { type, reserved } = decode(geometry, nodeOf(geometry, 'L3'), raw)
    const unknown = bit === 7n || bit === 11n || (bit >= 52n && bit < 60n)
    expect([bit, reserved]).toEqual([bit, type === 'leaf' && unknown ? 1n << bit : 0n])
  }
  // our own entries have none
  expect(decode(geometry, upper, 0x1234_507dn & ~ones(19, 7)).reserved).toBe(0n)
})

test('a child that a field chooses; a value that it does not know is invalid', () => {
  const geometry = geometryOf({ skips: true })
  const upper = nodeOf(geometry, 'L1')
  for (let level = 0n; level < 8n; level++) {
    const entry = decode(geometry, upper, 0x5_0003n | (level << 4n))
    if (level === 2n || level === 3n) expect(entry).toMatchObject({ type: 'table', next: 0x5_0000n, child: { id: `L${level}` } })
    else expect(entry).toMatchObject({ type: 'invalid', kind: { name: 'table' } })
  }
  expect((decode(geometry, nodeOf(geometry, 'L2'), 0x5_0033n) as DecodedTable).child.level).toBe(3)
  expect(decode(geometry, nodeOf(geometry, 'L2'), 0x5_0023n).type).toBe('invalid')
})

test('leaf sizes: slots, spans, and the address of an entry', () => {
  const geometry = geometryOf({ large: true, contiguous: 'decode' })
  const node = nodeOf(geometry, 'L3')
  const at = (code: bigint) => decode(geometry, node, 0x7_7000n | (code << 8n) | 0xdn)
  expect(at(0n)).toMatchObject({ size: { pgsize: 0x1000, slots: 1 }, paddr: 0x7_7000n })
  expect(at(1n)).toMatchObject({ size: { pgsize: 0x4000, slots: 4 }, paddr: 0x7_4000n })
  expect(at(2n)).toMatchObject({ size: { pgsize: 0x8000, slots: 8, encode: false }, paddr: 0x7_7000n })
  const kind = kindOf(node, 1n)
  if (kind.type !== 'leaf') throw new Error('a leaf expected')
  expect(kind.sizes.map((size) => entrySpan(node, size))).toEqual([0x4000, 0x1000, 0x1000])
  expect([slotBytes(node), leafSizeOf(kind, 0x300n).pgsize]).toEqual([0x1000, 0x1000])
})

test('fields by name, with their meanings', () => {
  const node = nodeOf(geometryOf({ large: true }), 'L3')
  const raw = 0xa000_0000_7654_0175n
  const kind = kindOf(node, raw)
  expect(fieldValues(kind, raw)).toEqual({ R: 1n, W: 0n, C: 1n, X: 1n, M: 1n, RES0: 0n, S: 1n, D: 0n, Software: 10n })
  expect([fieldValue(kind, raw, 'S'), fieldValue(kind, raw, 'NL')]).toEqual([1, undefined])
  const meanings = kind.fields.map((f) => meaningOf(f, raw)).filter((meaning) => meaning !== undefined)
  expect(meanings).toEqual(['device', 'large'])
  const split = splitField(
    'both',
    [
      [1, 0, 2],
      [9, 8, 0],
    ],
    'two parts',
  )
  expect(fieldValues({ ...kind, fields: [split, field('low', 3, 0, 'low')] }, 0x102n)).toEqual({ both: 9n, low: 2n })
})

test('decoding never throws, whatever the value, at any node of any shape', () => {
  const shapes: Partial<Shape>[] = [
    {},
    { skips: true, large: true, contiguous: 'decode' },
    { inverted: true },
    { scattered: true, indexBits: 9 },
  ]
  for (const shape of shapes) {
    const geometry = geometryOf(shape)
    for (const node of geometry.nodes) {
      for (let i = 0; i < 64; i++)
        for (let j = 0; j < 64; j++) {
          const raw = (1n << BigInt(i)) | (1n << BigInt(j))
          for (const value of [raw, raw ^ ones(63)]) {
            const entry = decode(geometry, node, value)
            if (entry.raw !== value || (entry.reserved & ~value) !== 0n) throw new Error(`${node.id}: ${value}`)
          }
        }
    }
  }
})

test('faults of a declaration say what is wrong', () => {
  const geometry = geometryOf()
  const node = nodeOf(geometry, 'L3')
  expect(() => nodeOf(geometry, 'L9')).toThrow('geometry has no node L9')
  expect(() => kindOf({ ...node, kinds: node.kinds.slice(0, 1) }, 1n)).toThrow('node L3: no kind matches 0x1')
  const kind = kindOf(node, 1n)
  if (kind.type !== 'leaf') throw new Error('a leaf expected')
  expect(() => leafSizeOf({ ...kind, sizes: [{ pgsize: 1, slots: 1, match: when(1n, 0n) }] }, 1n)).toThrow('kind page: no size matches')
  const table = nodeOf(geometryOf({ skips: true }), 'L1').kinds.at(-1)
  if (table?.type !== 'table') throw new Error('a table expected')
  const fieldless = { ...nodeOf(geometry, 'L1'), kinds: [{ ...table, fields: [] }] }
  expect(() => decode(geometry, fieldless, 3n)).toThrow('chooses its child by a field NL that it lacks')
})
