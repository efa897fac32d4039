/** Rights of paths, by the declaration of the toy; meanings, compiled; and the rules between rights, memory types and Prot. */
import { describe, expect, test } from 'vitest'
import {
  AccessRules,
  type AnyFmt,
  assumedOf,
  CompiledMeaning,
  decode,
  field,
  type Geometry,
  type Kind,
  meaning,
  neededRight,
  nodeOf,
  Prot,
  protOfRights,
  type ReadMemory,
  Right,
  rightsByParty,
  trapAll,
  when,
} from '../src/index.ts'
import { toy } from './toy-format.ts'

const format = toy() as AnyFmt
const geometry = format.geometry({ ias: 24, oas: 32 })
const rules = new AccessRules(format, geometry, { readOnly: false })
const at = (level: number, raw: bigint) => decode(geometry, nodeOf(geometry, `L${level}`), raw)
const ALL = { access: 'read', privileged: true } as const

/** Toy descriptors: V 0, T 1, table RO 2; leaf R 2, W 3, C 4, X 5 (not executable), M 6. */
const TABLE = 0x3n
const RO = 0x7n

describe('the rights of a path', () => {
  test('what every table leaves and the leaf gives', () => {
    const path = (...tables: bigint[]) => rules.path([...tables.map((raw, i) => at(i + 1, raw | 0x1000n)), at(3, 0x5000dn)])
    expect(path(TABLE, TABLE)).toMatchObject({ path: 63, rights: 63, steps: [63, 63, 63], fault: undefined, level: 3 })
    const readOnly = Right.ALL & ~Right.WRITE
    expect(path(RO, TABLE)).toMatchObject({ path: readOnly, steps: [readOnly, readOnly, readOnly] })
    expect(path(TABLE, RO)).toMatchObject({ path: readOnly, steps: [63, readOnly, readOnly] })
    expect(rules.fault(path(TABLE, RO), { access: 'write', privileged: false })).toMatchObject({
      type: 'permission',
      level: 3,
      reason: 'a table 1 above the entry at level 3 allows no write',
    })
    expect(rules.fault(path(RO, RO), ALL)).toBeUndefined()
    expect(rightsByParty(path(RO, TABLE).rights, rules.parties)).toEqual({ all: 'r-x' })
  })
  test('a path without a leaf has none', () => {
    expect(rules.path([])).toMatchObject({ path: 0, rights: 0, steps: [], fault: undefined })
    expect(rules.path([at(1, TABLE)])).toMatchObject({ path: 0, steps: [63], level: 1 })
    expect(rules.path([at(1, TABLE), at(2, 0n)])).toMatchObject({ path: 0, fault: { type: 'translation', level: 2 } })
  })
  test('the leaf of a context that registers narrow', () => {
    const narrow = new AccessRules(format, geometry, { readOnly: true })
    expect(narrow.path([at(3, 0xdn)]).path).toBe(Right.ALL & ~Right.WRITE)
  })
})

describe('translate', () => {
  const words = new Map<bigint, bigint>()
  const read: ReadMemory = (paddr) => {
    const word = words.get(paddr)
    return word === undefined ? undefined : new Uint8Array(new BigUint64Array([word]).buffer)
  }
  const map = (root: bigint, ...entries: bigint[]) => {
    words.clear()
    let table = root
    // every index is 1
    for (const entry of entries) {
      words.set(table + 8n, entry)
      table = entry & ~0xfffn
    }
  }
  const iova = 0x11_1234n

  test('to the byte, with the walk', () => {
    map(0x1000n, 0x2003n, 0x3003n, 0x5001dn)
    expect(rules.translate([0x1000n], read, iova)).toMatchObject({ paddr: 0x5_0234n, memory: { name: 'cached' }, walk: [{}, {}, {}] })
  })
  test('an address outside the window, a root beyond reach', () => {
    expect(rules.translate([0x1000n], read, 1n << 24n).fault).toMatchObject({ type: 'translation', level: undefined })
    expect(rules.translate([1n << 33n], read, iova).fault).toMatchObject({
      type: 'address-size',
      level: 0,
      reason: expect.stringContaining('the root') as string,
    })
    const signed = toy({ window: 'sign-extended' }) as AnyFmt
    const high = new AccessRules(signed, signed.geometry({ ias: 24, oas: 32 }), { readOnly: false })
    expect(high.translate([0x1000n], read, 1n << 24n).fault).toMatchObject({ type: 'not-canonical' })
  })
  test('tables and outputs beyond reach, at their level', () => {
    map(0x1000n, 0x1_0000_2003n)
    expect(rules.translate([0x1000n], read, iova)).toMatchObject({ paddr: undefined, fault: { type: 'address-size', level: 1 } })
    map(0x1000n, 0x2003n, 0x3003n, 0x1_0005_000dn)
    expect(rules.translate([0x1000n], read, iova)).toMatchObject({ paddr: undefined, fault: { type: 'address-size', level: 3 } })
    const other = new AccessRules(format, { ...geometry, beyond: 'reserved' }, rules.context)
    expect(other.translate([0x1000n], read, iova).fault).toMatchObject({ type: 'reserved', level: 3 })
  })
  test('memory that is not known, also the root', () => {
    map(0x1000n, 0x2003n)
    expect(rules.translate([0x1000n], read, iova).fault).toMatchObject({ type: 'unknown-memory', level: 2 })
    expect(rules.translate([0x9000n], read, iova).fault).toMatchObject({ type: 'unknown-memory', level: 1 })
  })
  test('a table that does not reach the address', () => {
    const skipping = toy({ skips: true }) as AnyFmt
    const skips = new AccessRules(skipping, skipping.geometry({ ias: 24, oas: 32 }), { readOnly: false })
    words.set(0x1008n, 0x2003n | (3n << 4n))
    words.set(0x2008n, 0x5000dn)
    expect(skips.translate([0x1000n], read, 0x10_1234n).paddr).toBe(0x5_0234n)
    expect(skips.translate([0x1000n], read, iova).fault).toMatchObject({ type: 'translation', level: 3 })
  })
  test('a tag is not translated', () => {
    map(0x1000n, 0x2003n, 0x3003n, 0x5000dn)
    const tagged = new AccessRules({ ...format, tagBits: () => 8 }, geometry, rules.context)
    expect(tagged.translate([0x1000n], read, iova | (0xabn << 56n)).paddr).toBe(0x5_0234n)
    expect(rules.translate([0x1000n], read, iova | (0xabn << 56n)).fault).toMatchObject({ type: 'translation' })
  })
})

describe('what stops an access', () => {
  const changed = (change: (kind: Kind) => object): Geometry => ({
    ...geometry,
    nodes: geometry.nodes.map((node) => ({ ...node, kinds: node.kinds.map((kind) => ({ ...kind, ...change(kind) }) as Kind) })),
  })
  const rulesOf = (change: (kind: Kind) => object, more: Partial<AnyFmt> = {}) => {
    const own = changed(change)
    const subject = new AccessRules({ ...format, ...more } as AnyFmt, own, { readOnly: false, assumed: ['CR 0'] })
    return { subject, leaf: (raw: bigint) => subject.path([decode(own, nodeOf(own, 'L3'), raw)]) }
  }

  test('reserved bits that fault, and no others', () => {
    const fields = (reserved: 'faults' | 'zero' | 'ignored') => [field('RES', 7, 7, 'reserved', { reserved })]
    for (const reserved of ['faults', 'zero', 'ignored'] as const) {
      const { leaf } = rulesOf(() => ({ fields: fields(reserved), grants: undefined, memory: undefined, limits: undefined }))
      expect(leaf(0x1n).fault).toBeUndefined()
      expect(leaf(0x81n).fault).toEqual(
        reserved === 'faults'
          ? { type: 'reserved', level: 3, bits: 0x80n, reason: 'reserved bits 0x80 are set in the entry at level 3' }
          : undefined,
      )
    }
  })
  test('an entry that does not translate says how', () => {
    const { leaf } = rulesOf((kind) => (kind.type === 'invalid' ? { fault: 'misconfigured' } : {}))
    expect(leaf(0x3n).fault).toMatchObject({ type: 'misconfigured', level: 3 })
    expect(leaf(0x0n).fault).toMatchObject({ type: 'translation' })
  })
  test('traps by access, before rights; rights stay', () => {
    const traps = meaning(['C'], ({ C }) => (C ? { write: 'access-flag' as const } : trapAll('domain')))
    const { subject, leaf } = rulesOf((kind) => (kind.type === 'leaf' ? { traps } : {}))
    const clean = leaf(0x1dn)
    expect(clean.rights).toBe(63)
    expect(subject.fault(clean, { access: 'write', privileged: true })).toMatchObject({ type: 'access-flag', level: 3 })
    expect(subject.fault(clean, ALL)).toBeUndefined()
    expect(subject.fault(leaf(0x01n), { access: 'write', privileged: true })).toMatchObject({ type: 'domain' })
  })
  test('the regime, and the state of the moment', () => {
    const regime: AnyFmt['regime'] = (_context, state) => (path) =>
      state?.AC ? path : path & (state === undefined ? 63 : Right.PRIVILEGED)
    const { subject, leaf } = rulesOf(() => ({}), { regime })
    const verdict = leaf(0xdn)
    expect(verdict).toMatchObject({ path: 63, rights: 63, assumed: ['CR 0'] })
    const user = { access: 'read', privileged: false } as const
    expect(subject.fault(verdict, user)).toMatchObject({ type: 'permission', reason: 'registers allow no read' })
    expect(subject.fault(verdict, user, { AC: true })).toBeUndefined()
  })
})

describe('meanings', () => {
  const kind: Kind = {
    type: 'invalid',
    name: 'k',
    match: when(0n, 0n),
    fields: [
      field('A', 5, 4, 'a'),
      {
        name: 'B',
        pieces: [
          [9, 9, 1],
          [2, 2, 0],
        ],
        doc: 'b',
      },
    ],
  }
  const above: Kind = { type: 'invalid', name: 't', match: when(0n, 0n), fields: [field('A', 7, 5, 'a'), field('Wide', 20, 10, 'w')] }

  test('every value of every field, of the entry above too', () => {
    const compiled = new CompiledMeaning(
      meaning(['A', 'B', '^A'], (values) => values),
      kind,
      above,
      undefined,
    )
    expect(compiled.table.length).toBe(128)
    expect([compiled.mask, compiled.maskAbove]).toEqual([0x234n, 0xe0n])
    for (let raw = 0n; raw < 1024n; raw++)
      expect(compiled.of(raw, raw)).toEqual({
        A: Number((raw >> 4n) & 3n),
        B: Number(((raw >> 2n) & 1n) | ((raw >> 8n) & 2n)),
        '^A': Number((raw >> 5n) & 7n),
      })
  })
  test('where the entry above is not known its fields are 0', () => {
    expect(
      new CompiledMeaning(
        meaning(['A', '^A'], (values) => values),
        kind,
        undefined,
        undefined,
      ).of(0x30n, ~0n),
    ).toEqual({ A: 3, '^A': 0 })
  })
  test('fields that are not there, and too many bits', () => {
    expect(
      () =>
        new CompiledMeaning(
          meaning(['C'], () => 0),
          kind,
          above,
          undefined,
        ),
    ).toThrow('kind k has no field C')
    expect(
      () =>
        new CompiledMeaning(
          meaning(['^C'], () => 0),
          kind,
          above,
          undefined,
        ),
    ).toThrow('kind t has no field ^C')
    expect(
      () =>
        new CompiledMeaning(
          meaning(['^Wide'], () => 0),
          kind,
          above,
          undefined,
        ),
    ).toThrow('11 bits')
  })
})

test('Prot of rights: what users may do, or the privileged where users get no data', () => {
  const memory = { name: 'WB', caching: 'cached' } as const
  const { READ, WRITE, NOEXEC, PRIV, CACHE, MMIO } = Prot
  expect(protOfRights(Right.ALL, memory)).toBe(READ | WRITE | CACHE)
  expect(protOfRights(Right.USER & Right.READ, undefined)).toBe(READ | NOEXEC)
  expect(protOfRights(Right.PRIVILEGED, { name: 'UC', caching: 'device' })).toBe(READ | WRITE | PRIV | MMIO)
  // executable by users alone, data for the privileged
  expect(protOfRights(Right.PRIVILEGED | (Right.USER & Right.EXECUTE), undefined)).toBe(READ | WRITE | PRIV)
  expect(protOfRights(Right.EXECUTE & Right.USER, undefined)).toBe(0)
  expect(protOfRights(0, undefined)).toBe(NOEXEC)
})

test('names and numbers', () => {
  expect(rightsByParty(0b011_101)).toEqual({ user: 'r-x', privileged: 'rw-' })
  expect(['read', 'write', 'execute'].map((access) => neededRight(access as 'read', true))).toEqual([8, 16, 32])
  expect(assumedOf(undefined)).toEqual([])
})
