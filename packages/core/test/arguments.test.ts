/** Arguments: each check's code and value. `mapPages` and `mapRange` return errors, the other calls throw the same ones. */
import { type IoPageTable, IoPgtableError, Prot } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { BLOCK, bench, codeOf, expectSound, HUGE, PAGE, RW, thrownBy } from './helpers.ts'

/** Plain JavaScript passes what the types forbid. */
const any = (value: unknown): never => value as never

const TOP = 2n ** 64n

/** Wrong input addresses for `bytes` bytes that need `align`, in a table of 24 input bits. */
const IOVAS: readonly (readonly [string, unknown, string])[] = [
  ['misaligned', 0x1800n, 'EINVAL'],
  ['a number', 4096, 'EINVAL'],
  ['a string', '0x1000', 'EINVAL'],
  ['undefined', undefined, 'EINVAL'],
  ['null', null, 'EINVAL'],
  ['negative', -0x1000n, 'ERANGE'],
  ['beyond ias', 0x100_0000n, 'ERANGE'],
  ['far beyond ias', 0x1_0000_0000n, 'ERANGE'],
  ['the end beyond ias', 0xff_f000n, 'ERANGE'],
  ['the last page of 2^64', TOP - 0x1000n, 'ERANGE'],
  ['2^64', TOP, 'ERANGE'],
  ['2^64 and a legal address', TOP + 0x1000n, 'ERANGE'],
  ['huge', 1n << 200n, 'ERANGE'],
]

/** The same for output addresses of 32 bits. */
const PADDRS: readonly (readonly [string, unknown, string])[] = [
  ['misaligned', 0x1001n, 'EINVAL'],
  ['a number', 0, 'EINVAL'],
  ['negative', -1n, 'ERANGE'],
  ['beyond oas', 1n << 32n, 'ERANGE'],
  ['the end beyond oas', 0xffff_f000n, 'ERANGE'],
  ['the last page of 2^64', TOP - 0x1000n, 'ERANGE'],
  ['2^64', TOP, 'ERANGE'],
]

const COUNTS: readonly (readonly [unknown, string])[] = [
  [0, 'EINVAL'],
  [-1, 'EINVAL'],
  [Number.NaN, 'EINVAL'],
  [1.5, 'EINVAL'],
  [Number.POSITIVE_INFINITY, 'EINVAL'],
  [2 ** 53, 'ERANGE'],
  [2 ** 41, 'ERANGE'],
  [2 ** 13, 'ERANGE'],
  ['1', 'EINVAL'],
  [1n, 'EINVAL'],
  [undefined, 'EINVAL'],
  [null, 'EINVAL'],
]

const PGSIZES = [0, 1, 4095, PAGE * 2, PAGE | BLOCK, -PAGE, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY, '4096', 4096n, undefined, null]

const PROTS: readonly unknown[] = [0, Prot.CACHE, Prot.NOEXEC | Prot.PRIV, 64, 65, -1, 1.5, Number.NaN, 2 ** 32 + 1, 3n, undefined, null]

/** Single pages in a table that a call before knows take a short way: the checks are the same. */
describe.each([
  ['mapPages', false],
  ['mapPages in a table that is known', true],
] as const)('%s returns', (_name, warm) => {
  const { table } = bench({}, { config: { oas: 32 } })
  if (warm) for (const iova of [0n, 0xff_0000n]) table.map(iova, 0n, PAGE, RW)
  const first = table.tableBytes
  const map = (iova: unknown, paddr: unknown, pgsize: unknown, count: unknown, prot: unknown): unknown => {
    const result = table.mapPages(any(iova), any(paddr), any(pgsize), any(count), any(prot))
    expect(result.error).toBeInstanceOf(IoPgtableError)
    expect(result.mapped).toBe(0)
    expect(result.error?.op).toBe('mapPages')
    expect(result.error?.message).toMatch(/^E[A-Z]+: mapPages: (iova|paddr|pgsize|pgcount|prot) .*: .+/)
    return codeOf(result.error)
  }
  test.each(IOVAS)('iova %s', (name, iova, code) => {
    expect(map(iova, 0n, PAGE, 2, RW)).toEqual([code, iova])
    if (name !== 'the end beyond ias') expect(map(iova, 0n, PAGE, 1, RW)).toEqual([code, iova])
  })
  test.each(PADDRS)('paddr %s', (name, paddr, code) => {
    expect(map(0x1000n, paddr, PAGE, 2, RW)).toEqual([code, paddr])
    if (name !== 'the end beyond oas') expect(map(0x1000n, paddr, PAGE, 1, RW)).toEqual([code, paddr])
  })
  test.each(COUNTS)('pgcount %s', (count, code) => {
    const [got, value] = map(0n, 0n, PAGE, count, RW) as unknown[]
    expect(got).toBe(code)
    // a count that is too large for the window alone is the fault of the range
    expect([count, 0n]).toContainEqual(value)
  })
  test.each(PGSIZES)('pgsize %s', (pgsize) => expect(map(0n, 0n, pgsize, 1, RW)).toEqual(['EINVAL', pgsize]))
  test.each(PROTS)('prot %s', (prot) => expect(map(0x1000n, 0n, PAGE, 1, prot)).toEqual(['EINVAL', prot]))
  test('what only looks like a prot that was used before', () => {
    expect(table.mapPages(0xf0_0000n, 0n, PAGE, 1, RW).error).toBeUndefined()
    for (const iova of [0n, 0xf0_1000n]) for (const prot of ['3', 3n, [3]]) expect(map(iova, 0n, PAGE, 1, prot)).toEqual(['EINVAL', prot])
    expect(table.unmapPages(0xf0_0000n, BLOCK, 1)).toBe(BLOCK)
  })
  test('a prot that the format cannot express', () => {
    expect(map(0n, 0n, PAGE, 1, Prot.READ | Prot.PRIV)).toEqual(['EINVAL', Prot.READ | Prot.PRIV])
    expect(map(0n, 0n, PAGE, 1, RW | Prot.MMIO | Prot.CACHE)).toEqual(['EINVAL', RW | Prot.MMIO | Prot.CACHE])
  })
  test('nothing of it changed the table', () => {
    expect(table.tableBytes).toBe(first + (warm ? 0 : 128))
    expect(table.mapPages(0xff_f000n, 0xffff_f000n, PAGE, 1, RW)).toEqual({ mapped: PAGE, error: undefined })
  })
})

test('the last byte of both address spaces can be mapped, and no byte more, with each page size', () => {
  for (const pgsize of [PAGE, BLOCK, HUGE]) {
    const b = bench({}, { config: { oas: 32 } })
    const size = BigInt(pgsize)
    const ends = [2n ** 24n - 3n * size, 2n ** 32n - 3n * size] as const
    expect(b.table.mapPages(ends[0], 0n, pgsize, 4, RW).error?.code).toBe('ERANGE')
    expect(b.table.mapPages(0n, ends[1], pgsize, 4, RW).error?.code).toBe('ERANGE')
    expect(b.table.mapPages(...ends, pgsize, 3, RW)).toEqual({ mapped: 3 * pgsize, error: undefined })
    expect(b.table.iovaToPhys(2n ** 24n - 1n)).toBe(2n ** 32n - 1n)
    expect(b.table.unmapPages(ends[0], pgsize, 3)).toBe(3 * pgsize)
    expectSound(b)
  }
})

test('address bits that the descriptor has no place for: one page, a run that reaches them, and one that does not', () => {
  for (const warm of [false, true]) {
    const { table } = bench({ highest: 40 })
    if (warm) table.map(0n, 0n, PAGE, RW)
    for (const paddr of [1n << 41n, (1n << 51n) | 0x5000n, 3n << 41n])
      for (const [pgsize, count] of [[PAGE, 1] as const, [PAGE, 3] as const])
        expect(codeOf(table.mapPages(0x4000n, paddr, pgsize, count, RW).error)).toEqual(['EINVAL', paddr])
    const paddr = (1n << 41n) - 0x2000n
    expect(codeOf(table.mapPages(0x4000n, paddr, PAGE, 3, RW).error)).toEqual(['EINVAL', paddr])
    expect(table.mapPages(0x4000n, paddr, PAGE, 2, RW)).toEqual({ mapped: 2 * PAGE, error: undefined })
    expect(table.iovaToPhys(0x5fffn)).toBe((1n << 41n) - 1n)
    expect(codeOf(table.mapPages(0x10_0000n, 1n << 41n, HUGE, 1, RW).error)).toEqual(['EINVAL', 1n << 41n])
  }
})

test('a page that is larger than an address space lies outside of it', () => {
  const { table } = bench({}, { config: { ias: 24, oas: 16 } })
  expect(codeOf(table.mapPages(0n, 0n, HUGE, 1, RW).error)).toEqual(['ERANGE', 0n])
  expect(table.mapPages(0n, 0n, BLOCK, 1, RW).error).toBeUndefined()
})

/** A call with a wrong argument throws an error that names the call. */
function refused(op: string, run: () => unknown): unknown {
  const error = thrownBy(run)
  expect(error.op).toBe(op)
  return codeOf(error)
}

describe('unmapPages throws', () => {
  const { table } = bench()
  table.map(0x1000n, 0n, PAGE, RW)
  const unmap = (iova: unknown, pgsize: unknown, count: unknown): unknown =>
    refused('unmapPages', () => table.unmapPages(any(iova), any(pgsize), any(count)))
  test.each(IOVAS)('iova %s', (name, iova, code) => {
    expect(unmap(iova, PAGE, 2)).toEqual([code, iova])
    if (name !== 'the end beyond ias') expect(unmap(iova, PAGE, 1)).toEqual([code, iova])
  })
  test.each(COUNTS)('pgcount %s', (count, code) => expect(unmap(0n, PAGE, count)).toContain(code))
  test.each(PGSIZES)('pgsize %s', (pgsize) => expect(unmap(0n, pgsize, 1)).toEqual(['EINVAL', pgsize]))
})

const SIZES: readonly (readonly [unknown, string])[] = [
  [0, 'EINVAL'],
  [-PAGE, 'EINVAL'],
  [PAGE + 1, 'EINVAL'],
  [PAGE / 2, 'EINVAL'],
  [Number.NaN, 'EINVAL'],
  [2 ** 53, 'EINVAL'],
  [4096n, 'EINVAL'],
  ['4096', 'EINVAL'],
  [undefined, 'EINVAL'],
]

/** The calls that take a range of any size. */
const RANGES: readonly (readonly [string, (table: IoPageTable, iova: never, size: never) => unknown])[] = [
  ['mapRange', (table, iova, size) => throwing(table.mapRange(iova, 0n, size, RW))],
  ['unmapRange', (table, iova, size) => table.unmapRange(iova, size)],
  ['readAndClearDirty', (table, iova, size) => table.readAndClearDirty(iova, size, () => {})],
]

function throwing({ error, mapped }: { mapped: number; error: Error | undefined }): void {
  expect(mapped).toBe(0)
  if (error !== undefined) throw error
}

describe.each(RANGES)('%s refuses', (op, run) => {
  const { table } = bench({ dirty: true })
  const call = (iova: unknown, size: unknown): unknown => refused(op, () => run(table as IoPageTable, any(iova), any(size)))
  test.each(IOVAS)('iova %s', (_name, iova, code) => expect(call(iova, 2 * PAGE)).toEqual([code, iova]))
  test.each(SIZES)('size %s', (size, code) => expect(call(0n, size)).toEqual([code, size]))
})

describe('mapRange refuses', () => {
  const { table } = bench({}, { config: { oas: 32 } })
  const map = (paddr: unknown, prot: unknown): unknown =>
    refused('mapRange', () => throwing(table.mapRange(0n, any(paddr), 2 * PAGE, any(prot))))
  test.each(PADDRS)('paddr %s', (_name, paddr, code) => expect(map(paddr, RW)).toEqual([code, paddr]))
  test.each(PROTS)('prot %s', (prot) => expect(map(0n, prot)).toEqual(['EINVAL', prot]))
  test('the same of map, which throws it', () => {
    expect(codeOf(thrownBy(() => table.map(0x123n, 0n, PAGE, RW)))).toEqual(['EINVAL', 0x123n])
    expect(codeOf(thrownBy(() => table.map(0n, 0n, PAGE, Prot.READ | Prot.PRIV)))).toEqual(['EINVAL', Prot.READ | Prot.PRIV])
    expect(codeOf(thrownBy(() => table.unmap(0n, 77)))).toEqual(['EINVAL', 77])
  })
})

describe('translation throws', () => {
  const { table } = bench()
  // a single byte may be translated anywhere
  const wrong = IOVAS.filter(([name]) => name !== 'misaligned' && name !== 'the end beyond ias')
  test.each(wrong)('iovaToPhys of %s', (_name, iova, code) => {
    expect(refused('iovaToPhys', () => table.iovaToPhys(any(iova)))).toEqual([code, iova])
  })
  test.each(wrong)('walk of %s', (_name, iova, code) => {
    expect(refused('walk', () => table.walk(any(iova)))).toEqual([code, iova])
  })
})
