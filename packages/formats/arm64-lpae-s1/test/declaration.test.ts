/** The declaration by itself: its laws, every field of the manual, registers both ways. */
import { decode, fieldValues, type LevelNode, meaningOf, Prot } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { checkLaws } from '../../arm-lpae/test/laws.ts'
import { type ArmLpaeS1Params, arm64LpaeS1 } from '../src/index.ts'

checkLaws({
  fmt: arm64LpaeS1,
  hardware: ({ ttbr, tcrValue, mair }, { quirks = [] }) =>
    quirks.includes('ARM_TTBR1') ? { ttbr1: ttbr, ttbr0: 0n, tcr: tcrValue, mair } : { ttbr0: ttbr, ttbr1: 0n, tcr: tcrValue, mair },
  // no write-only leaves; device memory is not cached
  kept: (prot) => (prot & Prot.MMIO ? prot & ~Prot.CACHE : prot) | Prot.READ,
})

const CONTEXT = arm64LpaeS1.context(arm64LpaeS1.configure({ pgsizeBitmap: 0x1000n, ias: 48, oas: 48 }))
const SHAPE: ArmLpaeS1Params = { granule: 0x1000, ias: 48, oas: 48, lpa2: false, ttbr1: false }

function at(level: number, shape: Partial<ArmLpaeS1Params> = {}): { decoded: (raw: bigint) => ReturnType<typeof decode>; node: LevelNode } {
  const geometry = arm64LpaeS1.geometry({ ...SHAPE, ...shape })
  const node = geometry.nodes.find((n) => n.level === level)
  if (node === undefined) throw new Error(`no level ${level}`)
  return { node, decoded: (raw) => decode(geometry, node, raw) }
}

function fields(level: number, raw: bigint, shape: Partial<ArmLpaeS1Params> = {}): Record<string, bigint> {
  return fieldValues(at(level, shape).decoded(raw).kind, raw)
}

test('a page has all fields of D8.3.2', () => {
  const none = { AttrIndx: 0n, NS: 0n, AP: 0n, SH: 0n, AF: 0n, nG: 0n, GP: 0n, DBM: 0n, Contiguous: 0n, PXN: 0n, UXN: 0n, Software: 0n }
  expect(fields(3, 3n)).toEqual({ ...none, PBHA: 0n, AMEC: 0n })
  const set = { AttrIndx: 7n, NS: 1n, AP: 3n, SH: 3n, AF: 1n, nG: 1n, GP: 1n, DBM: 1n, Contiguous: 1n, PXN: 1n, UXN: 1n, Software: 15n }
  expect(fields(3, ~0n & ((1n << 64n) - 1n))).toEqual({ ...set, PBHA: 15n, AMEC: 1n })
  const each: readonly (readonly [string, bigint])[] = [
    ['AttrIndx', 2n],
    ['NS', 5n],
    ['AP', 6n],
    ['SH', 8n],
    ['AF', 10n],
    ['nG', 11n],
    ['GP', 50n],
    ['DBM', 51n],
    ['Contiguous', 52n],
    ['PXN', 53n],
    ['UXN', 54n],
    ['Software', 55n],
    ['PBHA', 59n],
    ['AMEC', 63n],
  ]
  for (const [name, bit] of each) expect(fields(3, 3n | (1n << bit))).toMatchObject({ [name]: 1n })
})

test('a block has nT, a page has an address bit there', () => {
  expect(fields(2, 1n | (1n << 16n))).toMatchObject({ nT: 1n })
  expect(fields(2, 1n | (1n << 16n), { granule: 0x1_0000, ias: 52, oas: 52 })).toMatchObject({ nT: 1n })
  expect(at(3).decoded(3n | (1n << 16n))).toMatchObject({ paddr: 0x1_0000n, reserved: 0n })
})

test('a table limits what is below it', () => {
  const raw = 0x8_4000_0003n | (5n << 61n) | (3n << 59n) | (1n << 55n) | (1n << 10n)
  expect(fields(1, raw)).toMatchObject({ NSTable: 1n, APTable: 1n, UXNTable: 1n, PXNTable: 1n, Software: 16n, AF: 1n })
  expect(at(1).decoded(raw)).toMatchObject({ type: 'table', next: 0x8_4000_0000n, reserved: 0n, child: { level: 2 } })
})

test.each([
  [0x1000, 3, 16],
  [0x1000, 2, 16],
  [0x1000, 1, 16],
  [0x4000, 3, 128],
  [0x4000, 2, 32],
  [0x1_0000, 3, 32],
  [0x1_0000, 2, 32],
])('granule %i, level %i: %i contiguous entries, each with its own address', (granule, level, slots) => {
  const { decoded, node } = at(level, { granule })
  const paddr = BigInt(2 ** node.shift) * 5n
  const leaf = decoded((1n << 52n) | paddr | (level === 3 ? 3n : 1n))
  expect(leaf).toMatchObject({ type: 'leaf', paddr, size: { slots, pgsize: slots * 2 ** node.shift }, reserved: 0n })
})

test('the hint is RES0 where only wide addresses have blocks', () => {
  const raw = (1n << 52n) | 1n
  expect(at(1, { granule: 0x1_0000, ias: 52, oas: 52 }).decoded(raw)).toMatchObject({
    type: 'leaf',
    size: { slots: 1 },
    reserved: 1n << 52n,
  })
  expect(at(0, { lpa2: true }).decoded(raw)).toMatchObject({ type: 'leaf', size: { slots: 1 }, reserved: 1n << 52n })
  expect(at(1, { granule: 0x4000, lpa2: true }).decoded(raw)).toMatchObject({ type: 'leaf', size: { slots: 1 }, reserved: 1n << 52n })
})

test('what is reserved, or at the wrong level, is told', () => {
  expect(at(3).decoded(1n)).toMatchObject({ type: 'invalid' })
  expect(at(0).decoded(1n)).toMatchObject({ type: 'invalid' })
  expect(at(1, { granule: 0x4000 }).decoded(1n)).toMatchObject({ type: 'invalid' })
  expect(at(1, { granule: 0x1_0000 }).decoded(1n)).toMatchObject({ type: 'invalid' })
  expect(at(2).decoded((1n << 48n) | (1n << 20n) | (1n << 12n) | 1n)).toMatchObject({ reserved: (1n << 48n) | (1n << 20n) | (1n << 12n) })
  expect(at(3, { granule: 0x1_0000 }).decoded(0xf003n)).toMatchObject({ paddr: 0n, reserved: 0xf000n })
  expect(at(3, { granule: 0x1_0000, oas: 52 }).decoded(0xf003n)).toMatchObject({ paddr: 0xfn << 48n, reserved: 0n })
})

test('prot reads MAIR, and the dirty state', () => {
  const { kind } = at(3).decoded(3n)
  if (kind.type !== 'leaf') throw new Error('a page is a leaf')
  const prot = (raw: bigint, mair: bigint): Prot => arm64LpaeS1.prot(raw | 0x43n, kind, { ...CONTEXT, mair })
  expect(prot(0n, 0x44n)).toBe(Prot.READ | Prot.WRITE)
  expect(prot(0n, 0x40n)).toBe(Prot.READ | Prot.WRITE)
  expect(prot(0n, 0xffn)).toBe(Prot.READ | Prot.WRITE | Prot.CACHE)
  expect(prot(7n << 2n, 0x04n << 56n)).toBe(Prot.READ | Prot.WRITE | Prot.MMIO)
  expect(prot(1n << 7n, 0x44n)).toBe(Prot.READ)
  // AP[2] with DBM: writable, and clean
  expect(prot((1n << 7n) | (1n << 51n), 0x44n)).toBe(Prot.READ | Prot.WRITE)
  expect(prot(1n << 53n, 0x44n) & Prot.NOEXEC).toBe(0)
  expect(prot(3n << 53n, 0x44n) & Prot.NOEXEC).toBe(Prot.NOEXEC)
  const ap = kind.fields.find((field) => field.name === 'AP')
  expect(ap && meaningOf(ap, 0x80n)).toBe('privileged read-only')
})

test('TCR, packed: one half, the other disabled', () => {
  const base = { pgsizeBitmap: 0x4020_1000n, ias: 48, oas: 48 }
  const value = (config: Parameters<typeof arm64LpaeS1.configure>[0]): bigint =>
    arm64LpaeS1.regs(arm64LpaeS1.configure(config), [0x8000_0000n], 'L0').tcrValue
  expect(value(base)).toBe(0x5_0080_3510n)
  expect(value({ ...base, coherentWalk: false })).toBe(0x5_0080_2010n)
  expect(value({ ...base, quirks: ['ARM_TTBR1'] })).toBe(0x5_b510_0080n)
  expect(value({ ...base, ias: 52, oas: 52, lpa2: true })).toBe(0x0800_0006_0080_350cn)
})

test('both halves of a CPU', () => {
  const found = arm64LpaeS1.rootsFromRegs({
    ttbr0: 0x00ab_0000_4801_2001n,
    ttbr1: 0x0000_0000_4101_e000n,
    // T0SZ 16, TG0 4K; T1SZ 17, TG1 16K; IPS 44
    tcr: 0x4_0000_0000n | (1n << 30n) | (17n << 16n) | 16n,
    mair: 0xffn,
  })
  const context = { ...CONTEXT, mair: 0xffn }
  expect(found).toEqual([
    {
      name: 'ttbr0',
      params: { ...SHAPE, oas: 44 },
      roots: [0x4801_2000n],
      first: 0n,
      last: (1n << 48n) - 1n,
      context,
    },
    {
      name: 'ttbr1',
      params: { granule: 0x4000, ias: 47, oas: 44, lpa2: false, ttbr1: true },
      roots: [0x4101_c000n],
      first: 0xffff_8000_0000_0000n,
      last: 0xffff_ffff_ffff_ffffn,
      context,
    },
  ])
})

test('a root of few entries is aligned to its own size, or to 64 bytes where it may lie above 2^48', () => {
  const roots = (tcr: bigint): readonly bigint[] => arm64LpaeS1.rootsFromRegs({ ttbr0: 0x4801_20f5n, tcr, mair: 0n })[0]?.roots ?? []
  // 32 bits of 4K: four entries
  expect(roots(32n)).toEqual([0x4801_20e0n])
  // 64K, 43 bits and IPS 52: two entries; bits 5:2 are PA[51:48]
  expect(roots(21n | (1n << 14n) | (6n << 32n))).toEqual([0xd_0000_4801_20c0n])
})

test.each([
  ['TCR.TG0', 3n << 14n],
  ['TCR.IPS', (7n << 32n) | 16n],
  ['TCR.T0SZ', 15n],
  ['TCR.T0SZ', 49n],
  ['TCR.T0SZ', 11n | (1n << 59n)],
])('%s that is reserved is refused', (name, tcr) => {
  expect(() => arm64LpaeS1.rootsFromRegs({ ttbr0: 0n, tcr, mair: 0n })).toThrow(expect.objectContaining({ code: 'EINVAL' }))
  expect(() => arm64LpaeS1.rootsFromRegs({ ttbr0: 0n, tcr, mair: 0n })).toThrow(name)
})

test('a contiguous set does not fit in a root of fewer entries', () => {
  expect(at(1, { ias: 32 }).decoded((1n << 52n) | 1n)).toMatchObject({ size: { slots: 1 }, reserved: 1n << 52n })
  expect(at(1, { ias: 34 }).decoded((1n << 52n) | 1n)).toMatchObject({ size: { slots: 16 }, reserved: 0n })
})
