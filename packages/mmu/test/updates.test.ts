/** Accessed and dirty state, as hardware writes it: off by default, and by compare-and-exchange where others write too. */
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { IoPageTable, Prot, pgsizeBitmap, SZ_2M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { riscv64 } from '@io-pgtable/riscv64'
import { x8664 } from '@io-pgtable/x86-64'
import { describe, expect, test } from 'vitest'
import { Access, Mmu, Tlb } from '../src/index.ts'

const sizes = pgsizeBitmap(SZ_4K, SZ_2M)
const RW = Prot.READ | Prot.WRITE

describe.each(['own', 'shared'])('%s memory', (kind) => {
  const buffer = () => (kind === 'own' ? new ArrayBuffer(1 << 20) : new SharedArrayBuffer(1 << 20))

  test('x86: A on the whole way, D in the leaf of a write', () => {
    const words = new BigUint64Array(buffer())
    words[0x1000 / 8] = 0x2007n
    words[0x2000 / 8] = 0x3007n
    words[0x3000 / 8] = 0x4007n
    words[0x4000 / 8] = 0x9007n
    const registers = { cr3: 0x1000n, cr4: 0x20n, cr0: 0x8001_0000n, efer: 0x800n }
    const way = () => [0x1000, 0x2000, 0x3000, 0x4000].map((at) => (words[at / 8] ?? 0n) & 0xfffn)
    const memory = [{ base: 0n, bytes: words }]
    expect(new Mmu(x8664, { memory, registers }).access(0x10n, Access.WRITE)).toBe(0x9010n)
    expect(way()).toEqual([7n, 7n, 7n, 7n])
    const tlb = new Tlb()
    const mmu = new Mmu(x8664, { memory, registers, updates: true, tlb })
    expect(mmu.access(0x10n, Access.EXECUTE)).toBe(0x9010n)
    expect(way()).toEqual([0x27n, 0x27n, 0x27n, 0x27n])
    // the entry of the TLB is clean: the write walks, and marks
    expect(mmu.access(0x10n, Access.WRITE)).toBe(0x9010n)
    expect(way()).toEqual([0x27n, 0x27n, 0x27n, 0x67n])
    expect(mmu.access(0x10n, Access.ATOMIC)).toBe(0x9010n)
    // cleaned behind the TLB's back, it stays clean: hardware would not know either
    words[0x4000 / 8] = 0x9007n
    mmu.access(0x10n, Access.READ)
    expect(way()[3]).toBe(7n)
    tlb.invalidate({ all: true })
    mmu.access(0x10n, Access.READ)
    expect(way()[3]).toBe(0x27n)
    // an access that faults leaves the leaf as it is
    words[0x4000 / 8] = 0x9005n
    tlb.invalidate({ all: true })
    expect(mmu.access(0x10n, Access.WRITE)).toBe(-1n)
    expect(way()[3]).toBe(5n)
  })

  test('RISC-V: with ADUE, and without it a fault', () => {
    const memory = new Uint8Array(buffer())
    const config = { pgsizeBitmap: sizes, ias: 39, oas: 56, quirks: ['SIGN_EXTEND'] } as const
    const table = IoPageTable.createRaw(riscv64, { allocator: new PtPool({ base: 0x8000_0000n, memory }), ...config })
    table.mapPages(0x1000n, 0x5000n, SZ_4K, 1, RW)
    const words = new BigUint64Array(memory.buffer)
    const at = words.findIndex((raw) => raw >> 10n === 5n)
    words[at] = (words[at] ?? 0n) & ~0xc0n
    const pieces = [{ base: 0x8000_0000n, bytes: memory }]
    const without = new Mmu(riscv64, { memory: pieces, registers: { satp: table.regs.satp, envcfg: 0n }, updates: true })
    expect(without.access(0x1000n, Access.READ)).toBe(-1n)
    expect(without.fault()?.type).toBe('access-flag')
    const mmu = new Mmu(riscv64, { memory: pieces, registers: { satp: table.regs.satp, envcfg: 1n << 61n }, updates: true })
    expect(mmu.access(0x1000n, Access.READ)).toBe(0x5000n)
    expect((words[at] ?? 0n) & 0xc0n).toBe(0x40n)
    expect(mmu.access(0x1000n, Access.WRITE)).toBe(0x5000n)
    expect((words[at] ?? 0n) & 0xc0n).toBe(0xc0n)
  })

  test('Arm: HA sets AF, HD makes writable what has DBM', () => {
    const memory = new Uint8Array(buffer())
    const config = { pgsizeBitmap: sizes, ias: 48, oas: 48, quirks: ['ARM_HD'] } as const
    const table = IoPageTable.createRaw(arm64LpaeS1, { allocator: new PtPool({ base: 0x8000_0000n, memory }), ...config })
    table.mapPages(0x1000n, 0x5000n, SZ_4K, 1, RW)
    const words = new BigUint64Array(memory.buffer)
    const at = words.findIndex((raw) => (raw & 0xffff_ffff_f003n) === 0x5003n)
    const [AF, RO] = [1n << 10n, 1n << 7n]
    words[at] = ((words[at] ?? 0n) & ~AF) | RO
    const registers = arm64LpaeS1.hardware?.(table.config, table.regs) as never
    const mmu = new Mmu(arm64LpaeS1, { memory: [{ base: 0x8000_0000n, bytes: memory }], registers, updates: true })
    expect(mmu.access(0x1000n, Access.READ)).toBe(0x5000n)
    expect((words[at] ?? 0n) & (AF | RO)).toBe(AF | RO)
    expect(mmu.access(0x1000n, Access.WRITE)).toBe(0x5000n)
    expect((words[at] ?? 0n) & (AF | RO)).toBe(AF)
  })
})
