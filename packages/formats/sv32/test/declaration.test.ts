/** The declaration by itself: entries by hand, configurations, registers. */
import { decode, deposit, Prot, pageSizes } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { type Sv32Config, sv32 } from '../src/index.ts'

const base: Sv32Config = { pgsizeBitmap: 0x40_1000n, ias: 32, oas: 34 }
const PROTS = Array.from({ length: 64 }, (_, prot) => prot).filter((prot) => prot & (Prot.READ | Prot.WRITE))

describe('entries', () => {
  const geometry = sv32.geometry({ oas: 34, shadowStack: true })
  const [level1, level0] = [geometry.nodes[0]!, geometry.nodes[1]!]

  test('two levels of 1024 entries of 4 bytes', () => {
    expect(geometry.nodes).toMatchObject([
      { level: 1, shift: 22, bits: 10, entryBytes: 4, tableBytes: 4096 },
      { level: 0, shift: 12, bits: 10, entryBytes: 4, tableBytes: 4096 },
    ])
  })
  test('34-bit physical addresses', () => {
    expect(decode(geometry, level0, 0xffff_fcdfn)).toMatchObject({ type: 'leaf', paddr: 0x3_ffff_f000n, reserved: 0n })
    expect(decode(geometry, level1, 0xfff0_00dfn)).toMatchObject({ type: 'leaf', paddr: 0x3_ffc0_0000n, kind: { name: 'megapage' } })
    expect(decode(geometry, level1, 0xffff_fc01n)).toMatchObject({ type: 'table', next: 0x3_ffff_f000n, reserved: 0n })
    expect(decode(geometry, level1, 0xfff0_04dfn)).toMatchObject({ type: 'invalid', kind: { name: 'misaligned megapage' } })
  })
  test('a pointer with A, D and U, which it must not have', () => {
    expect(decode(geometry, level1, 0x2000_00f1n)).toMatchObject({ type: 'table', reserved: 0xd0n })
  })
  test('W without R is a shadow stack page, or reserved', () => {
    expect(decode(geometry, level0, 0x2000_0055n)).toMatchObject({ type: 'leaf', kind: { name: 'shadow stack page' } })
    const plain = sv32.geometry({ oas: 34, shadowStack: false })
    expect(decode(plain, plain.nodes[1]!, 0x2000_0055n)).toMatchObject({ type: 'invalid', kind: { name: 'writable, not readable' } })
  })
  test.each(sv32.configs.map(({ name, config }) => [name, config] as const))(
    '%s: a leaf of every prot says what it grants',
    (_name, config) => {
      const agreed = sv32.configure(config)
      const supervisor = agreed.quirks.includes('SUPERVISOR')
      for (const node of sv32.geometry(sv32.params(agreed)).nodes)
        for (const kind of node.kinds)
          for (const prot of kind.type === 'leaf' ? PROTS : []) {
            if (kind.type !== 'leaf') continue
            const raw = kind.set | (sv32.encodeLeaf(agreed, node, kind, prot) ?? 0n) | deposit(0x1_8040_0000n, kind.address)
            const kept = (prot & (Prot.WRITE | Prot.NOEXEC | (supervisor ? Prot.PRIV : 0))) | Prot.READ
            expect(sv32.prot(raw, kind, sv32.context(agreed))).toBe(kept)
            expect(decode(sv32.geometry(sv32.params(agreed)), node, raw)).toMatchObject({
              type: 'leaf',
              kind,
              paddr: 0x1_8040_0000n,
              reserved: 0n,
            })
          }
    },
  )
})

describe('configure', () => {
  test('page sizes are narrowed', () => {
    expect(pageSizes(sv32.configure({ ...base, pgsizeBitmap: 0x4060_1000n }).pgsizeBitmap)).toEqual([0x1000, 0x40_0000])
  })
  test.each([
    [{ ...base, ias: 34 }, /ias 34: 32 expected/],
    [{ ...base, oas: 35 }, /oas 35: 13 to 34/],
    [{ ...base, pgsizeBitmap: 0x40_0000n }, /4K/],
  ])('%o is refused, and the limit named', (config, message) => {
    expect(() => sv32.configure(config)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) }))
  })
  test('a quirk of another format is a type error, and refused', () => {
    // @ts-expect-error Svnapot needs 64-bit entries
    expect(() => sv32.configure({ ...base, quirks: ['SVNAPOT_64K'] })).toThrow(/SVNAPOT_64K/)
  })
})

describe('registers', () => {
  const agreed = sv32.configure(base)

  test('satp of a CPU, iosatp of an IOMMU with SXL = 1', () => {
    const regs = sv32.regs(agreed, [0x3_8004_2000n], 'L1')
    expect(regs).toEqual({ ppn: 0x38_0042n, satp: 0x8038_0042n, iosatp: 0x8000_0000_0038_0042n })
    expect(sv32.rootsFromRegs(regs)).toEqual([
      {
        ...{ name: 'satp', params: { oas: 34, shadowStack: true }, roots: [0x3_8004_2000n], first: 0n, last: 0xffff_ffffn },
        context: { adue: false, assumed: ['menvcfg.ADUE 0'] },
      },
    ])
  })
  test('an ASID is left out; Bare has no table; 64 bits are refused', () => {
    expect(sv32.rootsFromRegs({ satp: 0xffb8_0042n, shadowStack: false })).toMatchObject([
      { roots: [0x3_8004_2000n], params: { shadowStack: false } },
    ])
    expect(sv32.rootsFromRegs({ satp: 0x38_0042n })).toEqual([])
    expect(() => sv32.rootsFromRegs({ satp: 1n << 32n })).toThrow(/32 bits/)
  })
})
