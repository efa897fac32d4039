/** What formats share before there is a table: configurations, page sizes, protections, errors; and faults of a declaration. */
import {
  agreedConfig,
  checkConfig,
  configError,
  type FormatConfig,
  field,
  hex,
  IoPageTable,
  type LevelNode,
  Prot,
  pageSizes,
  pgsizeBitmap,
  protNames,
  protOf,
  SZ_1G,
  SZ_2M,
  SZ_4K,
  SZ_4T,
  SZ_512G,
  splitField,
} from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { codeOf, newPool, thrownBy } from './helpers.ts'
import { type Toy, toy } from './toy-format.ts'

describe('checkConfig', () => {
  const good: FormatConfig<'A' | 'B'> = { pgsizeBitmap: 0x1000n, ias: 32, oas: 32 }
  const check = (change: object): unknown => checkConfig('fmt', { ...good, ...change }, ['A', 'B'])

  test('gives the quirks, each once', () => {
    expect(check({})).toEqual([])
    expect(check({ quirks: ['B', 'A', 'B'] })).toEqual(['B', 'A'])
    expect(check({ ias: 1, oas: 64, cpuPageSize: 65536 })).toEqual([])
  })

  test.each([
    [{ pgsizeBitmap: 0n }, 0n],
    [{ pgsizeBitmap: -4096n }, -4096n],
    [{ pgsizeBitmap: 4096 }, 4096],
    [{ ias: 0 }, 0],
    [{ ias: -32 }, -32],
    [{ ias: 65 }, 65],
    [{ ias: 32.5 }, 32.5],
    [{ ias: Number.NaN }, Number.NaN],
    [{ oas: 0 }, 0],
    [{ oas: 128 }, 128],
    [{ oas: '32' }, '32'],
    [{ cpuPageSize: 0 }, 0],
    [{ cpuPageSize: 4097 }, 4097],
    [{ cpuPageSize: 0.5 }, 0.5],
    [{ quirks: ['C'] }, 'C'],
    [{ quirks: ['A', 'toString'] }, 'toString'],
  ])('refuses %o', (change, value) => {
    const error = thrownBy(() => check(change))
    expect([error.op, ...(codeOf(error) as unknown[])]).toEqual(['fmt config', 'EINVAL', value])
    expect(error.message).toMatch(new RegExp(`^EINVAL: fmt config: ${Object.keys(change)[0]?.replace('quirks', 'quirk')} .+: .+`))
  })

  test('names what is known', () => {
    expect(thrownBy(() => check({ quirks: ['C'] })).message).toContain('A, B')
    expect(thrownBy(() => checkConfig('fmt', { ...good, quirks: ['A'] as never[] }, [])).message).toContain('none')
    expect(configError('fmt', 'pgsizeBitmap', 0x1234n, 'something').message).toBe('EINVAL: fmt config: pgsizeBitmap 0x1234: something')
  })
})
describe('members that a configuration does not have', () => {
  const fmt = toy()
  const good = { pgsizeBitmap: 0x1000n, ias: 24, oas: 32 }
  const refused = (make: () => unknown): string => {
    const error = thrownBy(make)
    expect(error.code).toBe('EINVAL')
    return error.message
  }

  test('are refused, with those that there are', () => {
    expect(refused(() => agreedConfig(fmt, { ...good, quirk: ['NO_WARN'] } as never))).toBe(
      'EINVAL: toy config: there is no member "quirk": pgsizeBitmap, ias, oas, quirks, coherentWalk, cpuPageSize expected',
    )
    // also by what every object has
    expect(refused(() => agreedConfig(fmt, { ...good, constructor: 1 } as never))).toContain('"constructor"')
    expect(agreedConfig(fmt, { ...good, quirks: ['NO_WARN'] })).toMatchObject({ ...good, quirks: ['NO_WARN'] })
    // what is left out by its value
    expect(agreedConfig(fmt, { ...good, quirk: undefined } as never)).toMatchObject(good)
  })

  test('in an object of it, too', () => {
    const nested = { ...fmt, configure: (request: FormatConfig) => ({ ...fmt.configure(request as never), mtk: { ias: 34 } }) } as never
    expect(refused(() => agreedConfig(nested, { ...good, mtk: { isa: 34 } } as never))).toContain(
      'there is no member "mtk.isa": ias expected',
    )
  })

  test('when a table is made or adopted', () => {
    const allocator = newPool()
    const make = (more: object) => () => IoPageTable.createRaw(fmt, { ...good, allocator, ...more } as never)
    expect(refused(make({ quirk: [] }))).toContain('"quirk"')
    // a callback that would never be called
    expect(refused(make({ onwarn: () => {} }))).toMatch(/"onwarn": .*, onWarn, /)
    const table = IoPageTable.createRaw(fmt, { ...good, allocator })
    const adopt = (more: object) => () => IoPageTable.adopt(fmt, { allocator, ...more } as never)
    expect(refused(adopt({ ...good, roots: table.roots, isa: 1 }))).toMatch(/"isa": .*, onForeign/)
    table.free()
    expect(allocator.leaks()).toEqual([])
  })
})

test('page sizes and their bitmap', () => {
  expect(pgsizeBitmap()).toBe(0n)
  expect(pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G, SZ_4T)).toBe(0x400_4020_1000n)
  expect(pgsizeBitmap(SZ_4K, SZ_4K)).toBe(0x1000n)
  expect(pageSizes(pgsizeBitmap(SZ_512G, SZ_4K, SZ_2M))).toEqual([SZ_4K, SZ_2M, SZ_512G])
  expect(pageSizes((1n << 60n) | 1n)).toEqual([1])
  expect(pgsizeBitmap(2 ** 52)).toBe(1n << 52n)
  for (const size of [0, 3, -4096, 4096.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY, '4096' as never, 4096n as never])
    expect(codeOf(thrownBy(() => pgsizeBitmap(SZ_4K, size)))).toEqual(['EINVAL', size])
})

test('protections by name and back', () => {
  for (let prot = 0; prot < 64; prot++) expect(protOf(protNames(prot))).toBe(prot)
  expect(protNames(Prot.WRITE | Prot.READ | Prot.PRIV)).toEqual(['READ', 'WRITE', 'PRIV'])
  expect(Prot).toEqual({ READ: 1, WRITE: 2, CACHE: 4, NOEXEC: 8, MMIO: 16, PRIV: 32 })
  expect(protNames(64)).toEqual([])
})

test('fields and numbers in words', () => {
  expect(field('AP', 7, 6, 'permissions', { section: 'D8', values: { 1: 'one' }, reserved: 'zero' })).toEqual({
    name: 'AP',
    pieces: [[7, 6, 0]],
    doc: 'permissions',
    section: 'D8',
    values: { 1: 'one' },
    reserved: 'zero',
  })
  expect(splitField('x', [[1, 0, 1]], 'y')).toEqual({ name: 'x', pieces: [[1, 0, 1]], doc: 'y' })
  expect([hex(255), hex(-255n), hex(2n ** 64n - 1n), hex(1.5)]).toEqual(['0xff', '-0xff', '0xffffffffffffffff', '1.5'])
})

describe('a declaration that is wrong is told when a table is made, and takes no memory', () => {
  const make = (change: (format: Toy) => Partial<Toy>): (() => unknown) => {
    const pool = newPool()
    const format = toy({ skips: true })
    return () => {
      try {
        return IoPageTable.createRaw({ ...format, ...change(format) }, { allocator: pool, pgsizeBitmap: 0x1000n, ias: 24, oas: 32 })
      } finally {
        expect(pool.stats().live).toBe(0)
      }
    }
  }
  const nodes = (change: (node: LevelNode) => LevelNode) => (format: Toy) => ({
    geometry: (params: Parameters<Toy['geometry']>[0]) => ({
      ...format.geometry(params),
      nodes: format.geometry(params).nodes.map(change),
    }),
  })

  test('a top, or a child, that is not there', () => {
    expect(make((format) => ({ geometry: (params) => ({ ...format.geometry(params), top: 'L9' }) }))).toThrow('no node L9')
    const lost = nodes((node) => ({ ...node, kinds: node.kinds.map((kind) => (kind.type === 'table' ? { ...kind, child: 'L9' } : kind)) }))
    expect(make(lost)).toThrow('no node L9')
  })

  test('a child that the written bits do not choose', () => {
    expect(make(() => ({ encodeTable: () => 0n }))).toThrow('its bits choose no child')
  })

  test('entries that the low 32 bits of a descriptor do not tell apart', () => {
    const kinds = (change: (node: LevelNode) => Partial<LevelNode>) => make(nodes((node) => ({ ...node, ...change(node) })))
    expect(kinds(({ kinds }) => ({ kinds: kinds.slice(1) }))).toThrow('no kind is the empty one')
    const emptyAs = (match: LevelNode['kinds'][number]['match']) =>
      kinds((node) => ({ kinds: node.kinds.map((kind) => (kind.type === 'empty' ? { ...kind, match } : kind)) }))
    expect(emptyAs({ mask: 1n << 40n, value: 0n })).toThrow('must be told by its low 32 bits')
    expect(emptyAs({ mask: 4n, value: 4n })).toThrow('its empty value is not of its empty kind')
    expect(kinds(({ kinds: [empty, leaf, ...more] }) => ({ kinds: [leaf, empty, ...more] as LevelNode['kinds'] }))).toThrow(
      'must exclude block',
    )
  })

  test('a format function that throws', () => {
    const fail = (): never => {
      throw new Error('the format fails')
    }
    for (const name of ['configure', 'params', 'geometry', 'policy', 'encodeTable', 'context', 'regs'] as const)
      expect(make(() => ({ [name]: fail }))).toThrow('the format fails')
  })

  test('entries with own addresses that do not rise evenly', () => {
    const format = toy({ contiguous: 'encode', scattered: true, indexBits: 9 })
    const request = { allocator: newPool(), pgsizeBitmap: 0x1000n, ias: 39, oas: 32 }
    expect(() => IoPageTable.createRaw(format, request)).toThrow('do not rise in one piece')
  })
})
