/** A root that grows: a table begins small, and mapping beyond its reach adds levels above it. */
import { IoPageTable, IotlbGather } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import {
  type Bench,
  BLOCK,
  bench,
  codeOf,
  device,
  expectNoLeak,
  expectSound,
  leavesOf,
  newPool,
  PAGE,
  RW,
  TABLE,
  thrownBy,
} from './helpers.ts'
import { type Toy, toy } from './toy-format.ts'

/** Five levels, 32 input bits; a new table begins at level 3, with a reach of 24 bits. */
const GROWS = { levels: 5, grows: 2 } as const
const REACH = 0x100_0000n

function growing(more: object = {}): Bench {
  return bench({ ...GROWS, ...more }, { config: { ias: 32 } })
}

/** What the device finds, its registers being those of now. */
function deviceAt(b: Bench, iova: bigint): unknown {
  const level = Number(b.table.regs.top.slice(1))
  // above the root's reach the walker faults
  if (iova >> BigInt(12 + 4 * (6 - level)) !== 0n) return 'empty'
  const found = device({ ...b, shape: { ...b.shape, grows: level - 1 } }, iova)
  return typeof found === 'string' ? found : found.paddr
}

test('it begins small, and addresses beyond its reach are unmapped', () => {
  const b = growing()
  expect([b.table.regs.top, b.table.geometry.top, b.table.tableBytes]).toEqual(['L3', 'L3', TABLE])
  b.table.mapPages(0x5000n, 0x7000_0000n, PAGE, 1, RW)
  expect(b.table.tableBytes).toBe(3 * TABLE)
  // the same index bits in a table of the small root
  for (const iova of [REACH + 0x5000n, 0xff00_5000n]) {
    expect(b.table.iovaToPhys(iova)).toBeUndefined()
    expect(b.table.unmapPages(iova, PAGE, 1)).toBe(0)
    expect(b.table.walk(iova).filter(({ type }) => type === 'leaf')).toEqual([])
    const many = BigUint64Array.of(iova)
    expect([b.table.iovaToPhysMany(many, many), many[0]]).toEqual([0, 2n ** 64n - 1n])
  }
  expect(b.table.iovaToPhys(0x5000n)).toBe(0x7000_0000n)
  expectSound(b)
})

test('mapping beyond it adds one level at a time, and what was mapped stays', () => {
  const b = growing()
  const small = b.table.roots[0]
  b.table.mapPages(0x5000n, 0x7000_0000n, PAGE, 1, RW)
  expect(b.table.mapPages(REACH, 0x6000_0000n, PAGE, 1, RW)).toEqual({ mapped: PAGE, error: undefined })
  expect([b.table.regs.top, b.table.walk(0n)[0]]).toMatchObject(['L2', { next: small, index: 0, node: { id: 'L2' } }])
  expect(b.table.mapPages(0xffff_f000n, 0x5000_0000n, PAGE, 1, RW)).toEqual({ mapped: PAGE, error: undefined })
  expect([b.table.regs.top, b.table.regs.bases]).toEqual(['L1', b.table.roots])
  expect(leavesOf(b.table)).toEqual(['5000 70000000 1000 3 L5', '1000000 60000000 1000 3 L5', 'fffff000 50000000 1000 3 L5'])
  for (const iova of [0x5000n, REACH, 0xffff_f000n, 0x6000n]) expect(deviceAt(b, iova)).toBe(b.table.iovaToPhys(iova) ?? 'empty')
  expectSound(b)
  expectNoLeak(b)
})

test('several levels at once, and a run across the old reach', () => {
  const b = growing()
  expect(b.table.mapPages(REACH - 0x4000n, 0x7000_0000n, PAGE, 8, RW)).toEqual({ mapped: 8 * PAGE, error: undefined })
  expect(b.table.regs.top).toBe('L2')
  expect(b.table.iovaToPhys(REACH + 0x3fffn)).toBe(0x7000_7fffn)
  const c = growing()
  c.table.mapPages(0xff00_0000n, 0x100_0000n, 2 ** 24, 1, RW)
  expect([c.table.regs.top, c.table.iovaToPhys(0xffff_ffffn)]).toEqual(['L1', 0x1ff_ffffn])
  expectSound(b)
  expectSound(c)
  expectNoLeak(b)
  expectNoLeak(c)
})

test('a root that grew is told again when onRoot threw', () => {
  const roots: bigint[][] = []
  let armed = true
  const pool = newPool()
  const table: IoPageTable<Toy> = IoPageTable.createRaw(toy(GROWS), {
    allocator: pool,
    pgsizeBitmap: 0x1_1000n,
    ias: 32,
    oas: 52,
    onRoot: () => {
      if (armed) {
        armed = false
        throw new Error('the device is busy')
      }
      roots.push([...table.roots])
    },
  })
  const iova = (1n << 32n) - 0x1000n
  expect(() => table.mapPages(iova, 0n, PAGE, 1, RW)).toThrow('the device is busy')
  expect(table.mapPages(iova, 0n, PAGE, 1, RW).error?.code).toBe('EEXIST')
  expect(roots).toEqual([[...table.roots]])
  expectNoLeak({ pool, table })
})

test('the driver is given the new registers before the call returns, once for each call that grew it', () => {
  const seen: unknown[] = []
  const pool = newPool()
  const table = IoPageTable.createRaw(toy(GROWS), {
    allocator: pool,
    pgsizeBitmap: 0x1_1000n,
    ias: 32,
    oas: 52,
    onRoot: (regs) => void seen.push([regs, table.iovaToPhys(0n), table.mapPages(0n, 0n, PAGE, 1, RW).error?.code]),
  })
  table.mapPages(0n, 0x7000n, PAGE, 1, RW)
  expect(seen).toEqual([])
  table.mapPages(0xf000_0000n, 0n, PAGE, 1, RW)
  expect(seen).toEqual([[table.regs, 0x7000n, 'EBUSY']])
  table.mapPages(0xe000_0000n, 0n, PAGE, 1, RW)
  expect(seen).toHaveLength(1)
})

test('a shortage of memory while it grows: ENOMEM, and the levels that were added stay', () => {
  for (let tables = 1; tables < 8; tables++) {
    const b = bench(GROWS, { config: { ias: 32 }, pool: { ceiling: tables * TABLE } })
    const { mapped, error } = b.table.mapPages(0xf000_0000n, 0x7000n, PAGE, 1, RW)
    expect([mapped, error?.code]).toEqual(tables < 7 ? [0, 'ENOMEM'] : [PAGE, undefined])
    expectSound(b)
    expect(b.table.iovaToPhys(0xf000_0000n)).toBe(tables < 7 ? undefined : 0x7000n)
    expectNoLeak(b)
  }
})

test('a hook that throws while it grows loses no table', () => {
  for (let n = 2; n < 12; n++) {
    let left = n
    const sync = (): void => {
      if (--left === 0) throw new Error('memory failed')
    }
    const b = bench(GROWS, { config: { ias: 32 }, pool: { sync } })
    try {
      b.table.mapPages(0xf000_0000n, 0x7000n, PAGE, 1, RW)
    } catch (error) {
      expect(String(error)).toBe('Error: memory failed')
    }
    expectSound(b)
    expect(b.table.mapPages(0xe000_0000n, 0x7000n, PAGE, 1, RW).error).toBeUndefined()
    expectNoLeak(b)
  }
})

test('dirty tracking beyond the reach finds a hole, not the leaf of another address', () => {
  const b = growing({ dirty: true })
  b.table.mapPages(0n, 0n, PAGE, 1, RW)
  const leaf = b.table.walk(0n).at(-1)
  b.pool.words[Number((leaf?.table ?? 0n) - b.pool.base) / 4] = 0x40d
  const seen: bigint[] = []
  expect(codeOf(thrownBy(() => b.table.readAndClearDirty(REACH, PAGE, (iova) => void seen.push(iova))))).toEqual(['EINVAL', REACH])
  expect(seen).toEqual([])
  b.table.readAndClearDirty(0n, PAGE, (iova) => void seen.push(iova))
  expect(seen).toEqual([0n])
})

test('the memory of a walker: the new root is there before the registers tell of it', () => {
  const mirror = new Uint8Array(2 ** 20)
  let base = 0n
  const b = bench(GROWS, {
    config: { ias: 32 },
    pool: {
      sync: (paddr, bytes) =>
        void (base !== 0n && mirror.set(new Uint8Array(b.pool.words.buffer, Number(paddr - base), bytes), Number(paddr - base))),
    },
  })
  base = b.pool.base
  b.table.mapPages(0x5000n, 0x7000_0000n, PAGE, 1, RW)
  b.table.mapPages(0xf000_0000n, 0x6000_0000n, PAGE, 1, RW)
  expect(Buffer.compare(mirror, new Uint8Array(b.pool.words.buffer))).toBe(0)
})

describe('with the policy `covered`', () => {
  const POLICY = { conflict: 'entry', freeTables: 'covered', flushOrder: 'range' } as const

  test('unmapping frees what the range covers, never the root', () => {
    const b = growing({ policy: POLICY })
    b.table.mapRange(0n, 0x4000_0000n, 0x400_0000, RW)
    b.table.mapPages(0xf000_0000n, 0n, PAGE, 16, RW)
    expect(b.table.unmapRange(0n, 0x400_0000)).toBe(0x400_0000)
    expect(b.table.unmapRange(0xf000_0000n, BLOCK)).toBe(BLOCK)
    expect(leavesOf(b.table)).toEqual([])
    expectSound(b)
    expectNoLeak(b)
  })

  test('an unmap beyond the reach finds nothing', () => {
    const b = growing({ policy: POLICY })
    b.table.mapPages(0n, 0n, PAGE, 16, RW)
    expect(b.table.unmapRange(REACH, BLOCK)).toBe(0)
    // a range that begins inside of it and ends beyond
    b.table.mapPages(REACH - 0x1_0000n, 0n, PAGE, 16, RW)
    expect(b.table.unmapRange(REACH - 0x1_0000n, 2 * BLOCK)).toBe(BLOCK)
    expect(b.table.iovaToPhys(0n)).toBe(0n)
    expectSound(b)
  })
})

test('unmaps and gathers after it grew', () => {
  const b = growing()
  b.table.mapPages(0n, 0n, PAGE, 32, RW)
  b.table.mapPages(0xff00_0000n, 0n, PAGE, 16, RW)
  const gather = new IotlbGather()
  expect(b.table.unmapPages(0n, BLOCK, 2, gather)).toBe(2 * BLOCK)
  expect(b.table.unmapPages(0n, 2 ** 28, 1, gather)).toBe(2 ** 28)
  expect(b.table.unmapPages(0xf000_0000n, 2 ** 28, 1, gather)).toBe(2 ** 28)
  gather.sync()
  expect(b.table.tableBytes).toBe(TABLE)
  expectSound(b)
  expectNoLeak(b)
})
