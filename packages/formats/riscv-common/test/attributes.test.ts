/** Attribute bits against the manual's table of permissions and Svpbmt's of memory types; registers; configurations. */
import { Prot, pgsizeBitmap, SZ_2M, SZ_4K } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { agreeRiscv, packAtp, riscvLeafBits, riscvProt, unpackAtp } from '../src/index.ts'

const NONE = { pbmt: false, supervisor: false }
const PROTS = Array.from({ length: 64 }, (_, prot) => prot).filter((prot) => prot & (Prot.READ | Prot.WRITE))
/** V, R and A, which every leaf has. */
const SET = 0x43n

describe('bits of a leaf', () => {
  test.each([
    [Prot.READ, 0x5bn],
    [Prot.READ | Prot.NOEXEC, 0x53n],
    [Prot.WRITE, 0xdfn],
    [Prot.READ | Prot.WRITE | Prot.NOEXEC, 0xd7n],
    [Prot.READ | Prot.PRIV | Prot.MMIO | Prot.CACHE, 0x5bn],
  ])('prot %i is %s', (prot, raw) => {
    expect(riscvLeafBits(prot, NONE) | SET).toBe(raw)
  })
  test('PRIV clears U where it is asked for', () => {
    expect(riscvLeafBits(Prot.READ | Prot.PRIV, { pbmt: false, supervisor: true }) & 0x10n).toBe(0n)
    expect(riscvLeafBits(Prot.READ, { pbmt: false, supervisor: true }) & 0x10n).toBe(0x10n)
  })
  test.each([
    [Prot.READ, 1n],
    [Prot.READ | Prot.CACHE, 0n],
    [Prot.READ | Prot.MMIO, 2n],
    [Prot.READ | Prot.MMIO | Prot.CACHE, 2n],
  ])('Svpbmt: prot %i has type %i', (prot, type) => {
    expect(riscvLeafBits(prot, { pbmt: true, supervisor: false }) >> 61n).toBe(type)
  })
})

describe('prot', () => {
  test.each([
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ])('round trip, pbmt %s, supervisor %s', (pbmt, supervisor) => {
    for (const prot of PROTS) {
      const memory = !pbmt ? 0 : prot & Prot.MMIO ? Prot.MMIO : prot & Prot.CACHE
      const kept = (prot & (Prot.WRITE | Prot.NOEXEC | (supervisor ? Prot.PRIV : 0))) | Prot.READ | memory
      expect(riscvProt(riscvLeafBits(prot, { pbmt, supervisor }) | SET, pbmt)).toBe(kept)
    }
  })
  test.each([
    ['read-only', 0x13n, Prot.READ | Prot.NOEXEC],
    ['read-write', 0x17n, Prot.READ | Prot.WRITE | Prot.NOEXEC],
    ['execute-only', 0x19n, 0],
    ['read-execute', 0x1bn, Prot.READ],
    ['read-write-execute', 0x1fn, Prot.READ | Prot.WRITE],
    ['shadow stack', 0x15n, Prot.READ | Prot.NOEXEC],
    ['supervisor', 0x0fn, Prot.READ | Prot.WRITE | Prot.PRIV],
  ])('%s', (_name, raw, prot) => {
    expect(riscvProt(raw, false)).toBe(prot)
  })
})

test('satp of RV64', () => {
  expect(packAtp(8, 0x8000_1000n)).toBe(0x8000_0000_0008_0001n)
  expect(unpackAtp(0xa_ffffn << 44n)).toEqual({ mode: 10, ppn: 0n })
  expect(unpackAtp(0x9123_4fff_ffff_ffffn)).toEqual({ mode: 9, ppn: 0xfff_ffff_ffffn })
})

describe('configurations', () => {
  const limits = { quirks: ['NO_WARN'] as const, ias: [39, 48], oas: 56, sizes: () => pgsizeBitmap(SZ_4K, SZ_2M) }
  const request = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, 2 ** 30), ias: 39, oas: 56 }

  test('what is left out is filled in, and sizes are narrowed', () => {
    const agreed = agreeRiscv('x', request, limits)
    expect(agreed).toEqual({ ...request, pgsizeBitmap: 0x20_1000n, quirks: [], coherentWalk: true, cpuPageSize: 4096 })
  })
  test.each([
    [{ ...request, ias: 40 }, /ias 40: 39 or 48 expected/],
    [{ ...request, oas: 57 }, /oas 57: 13 to 56 expected/],
    [{ ...request, oas: 12 }, /oas 12/],
    [{ ...request, pgsizeBitmap: 0x20_0000n }, /4K must be among the sizes/],
    [{ ...request, pgsizeBitmap: 0n }, /pgsizeBitmap/],
  ])('%o is refused, and the limit named', (bad, message) => {
    expect(() => agreeRiscv('x', bad, limits)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) }))
  })
})
