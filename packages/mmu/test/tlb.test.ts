/** A TLB serves what it holds until it is invalidated, tagged as hardware tags it. */
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { IoPageTable, IoPgtableError, Prot, pgsizeBitmap, SZ_1G, SZ_2M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { riscv64 } from '@io-pgtable/riscv64'
import { describe, expect, test } from 'vitest'
import { seededIntegers } from '../../conformance/src/seeded-integers.ts'
import { Access, Mmu, Tlb } from '../src/index.ts'

const RW = Prot.READ | Prot.WRITE
const sizes = pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G)

function build(tlb: Tlb | undefined) {
  const memory = new Uint8Array(2 << 20)
  const table = IoPageTable.createRaw(arm64LpaeS1, {
    allocator: new PtPool({ base: 0x8000_0000n, memory }),
    ...{ pgsizeBitmap: sizes, ias: 48, oas: 48 },
  })
  const registers = arm64LpaeS1.hardware?.(table.config, table.regs)
  if (registers === undefined) throw new Error('registers expected')
  const options = { memory: [{ base: 0x8000_0000n, bytes: memory }], registers }
  return { table, memory, mmu: new Mmu(arm64LpaeS1, { ...options, ...(tlb && { tlb }) }) }
}

describe.each([1, 4])('%i ways', (ways) => {
  test('a stale entry is served until it is invalidated', () => {
    const tlb = new Tlb({ entries: 64, ways })
    const { table, mmu } = build(tlb)
    table.mapPages(0x1000n, 0x5000n, SZ_4K, 2, RW)
    expect(mmu.access(0x1234n, Access.READ)).toBe(0x5234n)
    expect(mmu.access(0x2234n, Access.READ)).toBe(0x6234n)
    table.unmap(0x1000n, 2 * SZ_4K)
    expect([mmu.access(0x1238n, Access.WRITE), mmu.access(0x2238n, Access.WRITE)]).toEqual([0x5238n, 0x6238n])
    tlb.invalidate({ range: { first: 0x1fffn, last: 0x1fffn } })
    expect([mmu.access(0x1238n, Access.READ), mmu.access(0x2238n, Access.READ)]).toEqual([-1n, 0x6238n])
    tlb.invalidate({ all: true })
    expect(mmu.access(0x2238n, Access.READ)).toBe(-1n)
    // faults are not kept
    table.mapPages(0x1000n, 0x7000n, SZ_4K, 1, RW)
    expect(mmu.access(0x1000n, Access.READ)).toBe(0x7000n)
    expect([tlb.hits, tlb.invalidated]).toEqual([3, 2])
  })
  test('a block is one entry, whatever part of it is met', () => {
    const tlb = new Tlb({ entries: 64, ways })
    const { table, mmu } = build(tlb)
    table.mapPages(0x20_0000n, 0x4000_0000n, SZ_2M, 1, RW)
    table.mapPages(0x40_0000_0000n, 0x80_0000_0000n, SZ_1G, 2, RW)
    for (let i = 0n; i < 512n; i++) expect(mmu.access(0x20_0000n + i * 0x1000n + 5n, Access.READ)).toBe(0x4000_0005n + i * 0x1000n)
    for (let i = 0n; i < 16n; i++) expect(mmu.access(0x40_0000_0000n + (i << 27n), Access.READ)).toBe(0x80_0000_0000n + (i << 27n))
    expect([tlb.misses, tlb.hits, mmu.size]).toEqual([3, 525, SZ_1G])
    table.unmap(0x20_0000n, SZ_2M)
    tlb.invalidate({ range: { first: 0x3f_f000n, last: 0x3f_ffffn }, leafOnly: true })
    expect(mmu.access(0x20_0000n, Access.READ)).toBe(-1n)
  })
  test('address spaces, virtual machines and global entries', () => {
    // spaces share the sets
    const tlb = new Tlb({ entries: 256, ways: Math.max(2, ways) })
    const a = build(tlb)
    const b = build(tlb)
    b.mmu.setSpace({ asid: 1 })
    a.table.mapPages(0x1000n, 0x5000n, SZ_4K, 1, RW)
    b.table.mapPages(0x1000n, 0x9000n, SZ_4K, 1, RW)
    expect([a.mmu.access(0x1000n, Access.READ), b.mmu.access(0x1000n, Access.READ)]).toEqual([0x5000n, 0x9000n])
    for (const { table } of [a, b]) table.unmap(0x1000n, SZ_4K)
    expect([a.mmu.access(0x1000n, Access.READ), b.mmu.access(0x1000n, Access.READ)]).toEqual([0x5000n, 0x9000n])
    tlb.invalidate({ asid: 1 })
    expect([a.mmu.access(0x1000n, Access.READ), b.mmu.access(0x1000n, Access.READ)]).toEqual([0x5000n, -1n])
    // nG 0: what this guest's kernel maps; the PRIV pages of Linux are so
    const words = new BigUint64Array(a.memory.buffer)
    a.table.mapPages(0x3000n, 0x7000n, SZ_4K, 1, RW)
    const at = words.findIndex((raw) => (raw & 0xffff_f001n) === 0x7001n)
    words[at] = (words[at] ?? 0n) & ~(1n << 11n)
    expect(a.mmu.access(0x3000n, Access.READ)).toBe(0x7000n)
    expect(b.mmu.access(0x3000n, Access.READ)).toBe(0x7000n)
    tlb.invalidate({ asid: 0 })
    expect(b.mmu.access(0x3000n, Access.READ)).toBe(0x7000n)
    b.mmu.setSpace({ asid: 1, vmid: 2 })
    expect(b.mmu.access(0x3000n, Access.READ)).toBe(-1n)
    b.mmu.setSpace({ asid: 1 })
    tlb.invalidate({ asid: 0, globals: true, vmid: 0, range: { first: 0x3000n, last: 0x3000n } })
    expect(b.mmu.access(0x3000n, Access.READ)).toBe(-1n)
    a.mmu.access(0x3000n, Access.READ)
    tlb.invalidate({ vmid: 1 })
    expect(b.mmu.access(0x3000n, Access.READ)).toBe(0x7000n)
    tlb.invalidate({ vmid: 0 })
    expect(b.mmu.access(0x3000n, Access.READ)).toBe(-1n)
  })
  test('agrees with the walk where nothing is stale', () => {
    const integers = seededIntegers(ways)
    const tlb = new Tlb({ entries: 16, ways })
    const { table, mmu } = build(tlb)
    for (let i = 0; i < 60; i++) {
      const [pgsize, shift] = [SZ_4K, SZ_2M].flatMap((size, at) => (at === integers(2) ? [size, at] : [])) as [number, number]
      if (pgsize === undefined) continue
      const iova = BigInt(integers(64)) * BigInt(pgsize) + BigInt(shift) * 0x4000_0000n
      if (table.iovaToPhys(iova) === undefined)
        table.mapPages(iova, BigInt(integers(1 << 16)) * BigInt(SZ_2M), pgsize, 1, integers(2) ? RW : Prot.READ)
    }
    const plain = new Mmu(arm64LpaeS1, {
      memory: [{ base: 0x8000_0000n, bytes: new Uint8Array(table.readMemory(0x8000_0000n, 2 << 20) ?? []) }],
      registers: arm64LpaeS1.hardware?.(table.config, table.regs) as never,
    })
    for (let i = 0; i < 5000; i++) {
      const iova = BigInt(integers(64 << 12)) + BigInt(integers(2)) * 0x4000_0000n
      const access = integers(2) ? Access.READ : Access.WRITE | Access.PRIVILEGED
      const want = [plain.access(iova, access), plain.fault()?.type, plain.rights, plain.size, plain.memory?.name]
      const got = [mmu.access(iova, access), mmu.fault()?.type, mmu.rights, mmu.size, mmu.memory?.name]
      expect(got.slice(0, 2)).toEqual(want.slice(0, 2))
      if (got[0] !== -1n) expect(got).toEqual(want)
    }
    expect(tlb.hits).toBeGreaterThan(300)
  })
})

test('the state of the moment is no part of an entry', () => {
  const memory = new Uint8Array(1 << 20)
  const config = { pgsizeBitmap: sizes, ias: 39, oas: 56, quirks: ['SIGN_EXTEND'] } as const
  const table = IoPageTable.createRaw(riscv64, { allocator: new PtPool({ base: 0x8000_0000n, memory }), ...config })
  table.mapPages(0x1000n, 0x2000n, SZ_4K, 1, RW)
  const tlb = new Tlb()
  const mmu = new Mmu(riscv64, { memory: [{ base: 0x8000_0000n, bytes: memory }], registers: { satp: table.regs.satp }, tlb })
  mmu.setState({ SUM: true })
  expect(mmu.access(0x1000n, Access.READ | Access.PRIVILEGED)).toBe(0x2000n)
  mmu.setState({})
  expect(mmu.access(0x1000n, Access.READ | Access.PRIVILEGED)).toBe(-1n)
  mmu.setState({ SUM: true })
  expect(mmu.access(0x1000n, Access.READ | Access.PRIVILEGED)).toBe(0x2000n)
  expect(tlb.hits).toBe(1)
})

test('many addresses, until one faults', () => {
  const { table, mmu } = build(new Tlb())
  table.mapPages(0x1000n, 0x5000n, SZ_4K, 4, RW)
  const iovas = new BigUint64Array([0x1001n, 0x2002n, 0x1003n, 0x9000n, 0x1000n])
  const out = new BigUint64Array(5)
  expect(mmu.accessMany(iovas, Access.READ, out)).toBe(3)
  expect([...out]).toEqual([0x5001n, 0x6002n, 0x5003n, 0n, 0n])
  expect(mmu.fault()?.iova).toBe(0x9000n)
  expect(mmu.accessMany(iovas.subarray(0, 3), Access.WRITE, iovas)).toBe(3)
  expect([...iovas.subarray(0, 3)]).toEqual([0x5001n, 0x6002n, 0x5003n])
  expect(() => mmu.accessMany(iovas, Access.READ, out.subarray(1))).toThrow('EINVAL')
})

test('what is refused', () => {
  const refused = (action: () => unknown) => {
    try {
      action()
    } catch (error) {
      if (error instanceof IoPgtableError) return error.message
    }
    return 'no error'
  }
  expect(refused(() => new Tlb({ entries: 3 }))).toBe('EINVAL: Tlb: entries 0x3: a power of two up to 65536 expected')
  expect(refused(() => new Tlb({ ways: 16 }))).toContain('ways 0x10')
  expect(refused(() => new Tlb({ entries: 2, ways: 4 }))).toContain('ways 0x4')
  const tlb = new Tlb()
  expect(refused(() => tlb.invalidate({}))).toBe('EINVAL: invalidate: all, vmid, asid or range expected')
  expect(refused(() => tlb.invalidate({ range: { first: 5n, last: 4n } }))).toContain('range 0x5: at most its end, 0x4, expected')
  expect(refused(() => build(tlb).mmu.setSpace({ asid: 1 << 20 }))).toContain('asid or vmid 1048576')
})
