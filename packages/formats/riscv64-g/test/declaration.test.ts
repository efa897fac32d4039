/** The declaration by itself: entries by hand, configurations, registers. */
import { decode, Prot, pageSizes } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { type Riscv64GConfig, type Riscv64GParams, riscv64G } from '../src/index.ts'

const base: Riscv64GConfig = { pgsizeBitmap: 0x1_0080_4021_1000n, ias: 41, oas: 56 }
const PROTS = Array.from({ length: 64 }, (_, prot) => prot).filter((prot) => prot & (Prot.READ | Prot.WRITE))

describe('entries', () => {
  const geometry = riscv64G.geometry({ levels: 3, oas: 56, extensions: ['Svnapot', 'Svpbmt'] })
  const level0 = geometry.nodes[2]!

  test('without U nothing translates', () => {
    expect(decode(geometry, level0, 0x2400_0cdfn)).toMatchObject({ type: 'leaf', paddr: 0x9000_3000n, reserved: 0n })
    expect(decode(geometry, level0, 0x2400_0ccfn)).toMatchObject({ type: 'invalid', kind: { name: 'not a user page' } })
  })
  test('G is ignored', () => {
    const { kind, reserved } = decode(geometry, level0, 0x2400_0cffn)
    expect(reserved).toBe(0n)
    expect(kind.fields.find(({ name }) => name === 'G')?.doc).toContain('ignored')
  })
  test('a leaf of every prot says what it grants, U always set', () => {
    for (const { config } of riscv64G.configs) {
      const agreed = riscv64G.configure(config)
      const pbmt = agreed.quirks.includes('SVPBMT')
      for (const node of riscv64G.geometry(riscv64G.params(agreed)).nodes)
        for (const kind of node.kinds)
          for (const prot of kind.type === 'leaf' ? PROTS : []) {
            if (kind.type !== 'leaf') continue
            const raw = kind.set | (riscv64G.encodeLeaf(agreed, node, kind, prot) ?? 0n)
            const memory = !pbmt ? 0 : prot & Prot.MMIO ? Prot.MMIO : prot & Prot.CACHE
            expect(raw & 0x53n).toBe(0x53n)
            expect(riscv64G.prot(raw, kind, riscv64G.context(agreed))).toBe((prot & (Prot.WRITE | Prot.NOEXEC)) | Prot.READ | memory)
          }
    }
  })
})

describe('configure', () => {
  test('page sizes are those of the scheme', () => {
    const sizes = (config: Partial<Riscv64GConfig>) => pageSizes(riscv64G.configure({ ...base, ...config }).pgsizeBitmap).map(Math.log2)
    expect(sizes({ ias: 41 })).toEqual([12, 21, 30])
    expect(sizes({ ias: 50, quirks: ['SVNAPOT_64K'] })).toEqual([12, 16, 21, 30, 39])
    expect(sizes({ ias: 59 })).toEqual([12, 21, 30, 39, 48])
  })
  test.each([
    [{ ...base, ias: 39 }, /ias 39: 41 or 50 or 59/],
    [{ ...base, oas: 57 }, /oas 57/],
  ])('%o is refused, and the limit named', (config, message) => {
    expect(() => riscv64G.configure(config)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) }))
  })
  test('a quirk of the first stage is a type error, and refused', () => {
    // @ts-expect-error guest physical addresses have no sign
    expect(() => riscv64G.configure({ ...base, quirks: ['SIGN_EXTEND'] })).toThrow(/SIGN_EXTEND/)
  })
})

describe('registers', () => {
  test.each([
    [41, 3, 8, 0x8000_0000_0008_0044n],
    [50, 4, 9, 0x9000_0000_0008_0044n],
    [59, 5, 10, 0xa000_0000_0008_0044n],
  ] as const)('%i bits', (ias, levels, mode, hgatp) => {
    const agreed = riscv64G.configure({ ...base, ias })
    const regs = riscv64G.regs(agreed, [0x8004_4000n], `L${levels - 1}`)
    expect(regs).toEqual({ mode, ppn: 0x8_0044n, hgatp })
    const [found] = riscv64G.rootsFromRegs(regs)
    expect(found).toMatchObject({
      name: 'hgatp',
      roots: [0x8004_4000n],
      first: 0n,
      last: (1n << BigInt(ias)) - 1n,
      context: { pbmt: true },
    })
    const geometry = riscv64G.geometry(found?.params as Riscv64GParams)
    expect(geometry).toMatchObject({ ias, oas: 56, window: 'low', top: `L${levels - 1}` })
    expect(geometry.nodes.map(({ bits, tableBytes }) => [bits, tableBytes])).toEqual([[11, 16_384], ...Array(levels - 1).fill([9, 4096])])
  })
  test('a VMID or GSCID is left out, and extensions can be told', () => {
    expect(riscv64G.rootsFromRegs({ hgatp: 0x8abc_d000_0008_0044n, extensions: [] })).toMatchObject([
      { roots: [0x8004_4000n], context: { pbmt: false }, params: { levels: 3, extensions: [] } },
    ])
  })
  test('Bare has no table; a root that is not aligned to 16 KiB and reserved modes are refused', () => {
    expect(riscv64G.rootsFromRegs({ hgatp: 0x8_0044n })).toEqual([])
    expect(() => riscv64G.rootsFromRegs({ hgatp: 0x8000_0000_0008_0042n })).toThrow(/16 KiB/)
    for (const mode of [1n, 11n, 15n]) expect(() => riscv64G.rootsFromRegs({ hgatp: mode << 60n })).toThrow(/MODE/)
  })
})
