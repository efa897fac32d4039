/** Registers as hardware holds them, with everything that is not a table's address in them: ASIDs, CnP, attributes, reserved bits. */
import { amdV1 } from '@io-pgtable/amdv1'
import { armV7s } from '@io-pgtable/arm-v7s'
import { arm32LpaeS1 } from '@io-pgtable/arm32-lpae-s1'
import { arm32LpaeS2 } from '@io-pgtable/arm32-lpae-s2'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { arm64LpaeS2 } from '@io-pgtable/arm64-lpae-s2'
import { hex, nodeOf, slotBytes } from '@io-pgtable/core'
import { riscv64 } from '@io-pgtable/riscv64'
import { riscv64G } from '@io-pgtable/riscv64-g'
import { sv32 } from '@io-pgtable/sv32'
import { vtdSs } from '@io-pgtable/vtdss'
import { x8664 } from '@io-pgtable/x86-64'
import { describe, expect, it } from 'vitest'
import { type Tables, tablesOf } from '../src/index.ts'

const nothing = () => undefined
const ASID = 0xbeefn << 48n
const CNP = 1n

/** Root, level of the root, granule, first and last address of each. */
function brief(all: readonly Tables[]): unknown[] {
  return all.map(({ name, roots, geometry, first, last }) => {
    const granule = Math.min(...geometry.nodes.map(slotBytes))
    return [name, ...roots.map(hex), nodeOf(geometry, geometry.top).level, granule, hex(first), hex(last)]
  })
}

describe('AArch64, stage 1', () => {
  const TOP = '0xffffffffffffffff'
  // T0SZ 16, T1SZ 25; TBI, HA, HD and the cacheability of walks are no table's
  const rest = (0xdn << 37n) | (0x3fn << 8n) | (0x3fn << 24n)
  const halves = (tg0: bigint, tg1: bigint): bigint => 16n | (25n << 16n) | (tg0 << 14n) | (tg1 << 30n) | (5n << 32n) | rest
  it.each([
    ['4K', 0n, 2n, 4096, 0, 1],
    ['16K', 2n, 1n, 16384, 0, 1],
    ['64K', 1n, 3n, 65536, 1, 2],
  ])('%s in both halves', (_, tg0, tg1, granule, level0, level1) => {
    const registers = { ttbr0: 0x1234_5600_0000n | ASID | CNP, ttbr1: 0x4321_0000_0000n | ASID | CNP, tcr: halves(tg0, tg1), mair: 0n }
    expect(brief(tablesOf(arm64LpaeS1, registers, nothing))).toEqual([
      ['ttbr0', '0x123456000000', level0, granule, '0x0', '0xffffffffffff'],
      ['ttbr1', '0x432100000000', level1, granule, '0xffffff8000000000', TOP],
    ])
  })
  it('different granules in the halves', () => {
    const registers = { ttbr0: 0x1000_0000n, ttbr1: 0x2000_0000n, tcr: halves(0n, 3n), mair: 0n }
    expect(tablesOf(arm64LpaeS1, registers, nothing).map((one) => brief([one])[0])).toMatchObject([{ 3: 4096 }, { 3: 65536 }])
  })
  it.each([
    ['4K, DS', (1n << 59n) | 12n | (12n << 16n) | (2n << 30n), 4096, -1],
    ['16K, DS', (1n << 59n) | 12n | (12n << 16n) | (2n << 14n) | (1n << 30n), 16384, 0],
    ['64K, 52 bits of output', 12n | (12n << 16n) | (1n << 14n) | (3n << 30n), 65536, 1],
  ])('52 bits: %s', (_, fields, granule, level) => {
    const wide = 0x3456_789a_0000n | (0xan << 2n) | ASID | CNP
    const found = tablesOf(arm64LpaeS1, { ttbr0: wide, ttbr1: wide, tcr: fields | (6n << 32n), mair: 0n }, nothing)
    expect(brief(found)).toEqual([
      ['ttbr0', '0xa3456789a0000', level, granule, '0x0', '0xfffffffffffff'],
      ['ttbr1', '0xa3456789a0000', level, granule, '0xfff0000000000000', TOP],
    ])
  })
  it('a half that is switched off has no table', () => {
    const all = { ttbr0: 0n, ttbr1: 0n, mair: 0n }
    expect(tablesOf(arm64LpaeS1, { ...all, tcr: halves(0n, 2n) | (1n << 7n) | (1n << 23n) }, nothing)).toEqual([])
  })
})

it.each<[string, readonly Tables[], string]>([
  [
    'VTTBR: VMID and CnP',
    tablesOf(arm64LpaeS2, { vttbr: 0x8000_1000n | ASID | CNP, vtcr: 25n | (1n << 6n) | (5n << 16n) | (1n << 31n) }, nothing),
    '0x80001000',
  ],
  [
    'AArch32 TTBR0: ASID',
    tablesOf(arm32LpaeS1, { ttbr0: 0x8000_1000n | (0xabn << 48n), ttbcr: (1n << 31n) | 0x3501n, mair0: 0n, mair1: 0n }, nothing),
    '0x80001000',
  ],
  [
    'AArch32 VTTBR: VMID',
    tablesOf(arm32LpaeS2, { vttbr: 0x8000_1000n | (0xabn << 48n), vtcr: (1n << 31n) | 0x3540n }, nothing),
    '0x80001000',
  ],
  ['short descriptors: IRGN, RGN, S, NOS', tablesOf(armV7s, { ttbr0: 0x8000_406an }, nothing), '0x80004000'],
  ['CR3: PCID, PWT and PCD, LAM', tablesOf(x8664, { cr3: 0x8000_1fffn | (3n << 61n), cr4: 0x3506f0n }, nothing), '0x80001000'],
  ['satp: ASID', tablesOf(riscv64, { satp: (8n << 60n) | (0xffffn << 44n) | 0x8_0001n }, nothing), '0x80001000'],
  ['satp of RV32: ASID', tablesOf(sv32, { satp: (1n << 31n) | (0x1ffn << 22n) | 0x8_0001n }, nothing), '0x80001000'],
  ['hgatp: VMID', tablesOf(riscv64G, { hgatp: (8n << 60n) | (0x3fffn << 44n) | 0x8_0004n }, nothing), '0x80004000'],
  ['SSPTPTR: what else is in the word', tablesOf(vtdSs, { ssptptr: 0x8000_1fffn, aw: 2 }, nothing), '0x80001000'],
  ['DTE: attributes', tablesOf(amdV1, { dte: 0x8000_1003n | (4n << 9n) | (0x7fn << 55n) | (3n << 7n) }, nothing), '0x80001000'],
])('%s', (_, [tables], root) => {
  expect(tables?.roots.map(hex)).toEqual([root])
})
