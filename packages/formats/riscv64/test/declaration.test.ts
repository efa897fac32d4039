/** The declaration by itself: single descriptors that Linux wrote, configurations, registers. */
import { readFileSync } from 'node:fs'
import { decode, deposit, inputRanges, type LeafKind, type LevelNode, Prot, type ProtName, pageSizes, protOf } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { type Riscv64Config, type Riscv64Params, riscv64 } from '../src/index.ts'

const base: Riscv64Config = { pgsizeBitmap: 0x1_0080_4021_1000n, ias: 48, oas: 56 }

interface FactsFile {
  readonly config: { readonly vaBits: number }
  readonly rows: readonly (readonly [level: number | null, pgsize: number, prot: ProtName[], paddr: string, raw: string | null])[]
}

function kindFor(nodes: readonly LevelNode[], pgsize: number): { node: LevelNode; kind: LeafKind } {
  for (const node of nodes)
    for (const kind of node.kinds) if (kind.type === 'leaf' && kind.sizes.some((size) => size.pgsize === pgsize)) return { node, kind }
  throw new Error(`no leaf of ${pgsize} bytes`)
}

test.each(['riscv64', 'riscv64-napot'])('facts/%s: encodes and decodes every descriptor', (file) => {
  const url = new URL(`../test-data/vectors/facts/${file}.json`, import.meta.url)
  const { config, rows } = JSON.parse(readFileSync(url, 'utf8')) as FactsFile
  const agreed = riscv64.configure({ ...base, ias: config.vaBits, quirks: ['SIGN_EXTEND', 'SVNAPOT_64K'] })
  const geometry = riscv64.geometry(riscv64.params(agreed))
  for (const [level, pgsize, names, paddr, text] of rows) {
    if (text === null) continue
    const prot = protOf(names)
    const raw = BigInt(text)
    const { node, kind } = kindFor(geometry.nodes, pgsize)
    const bits = riscv64.encodeLeaf(agreed, node, kind, prot) ?? 0n
    expect([node.level, bits | kind.set | deposit(BigInt(paddr), kind.address)]).toEqual([level, raw])
    expect(decode(geometry, node, raw)).toMatchObject({ type: 'leaf', kind, paddr: BigInt(paddr), size: { pgsize }, reserved: 0n })
    expect(riscv64.prot(raw, kind, riscv64.context(agreed))).toBe((prot & (Prot.WRITE | Prot.NOEXEC)) | Prot.READ)
  }
})

describe('configure', () => {
  test('page sizes are those of the scheme', () => {
    const sizes = (config: Partial<Riscv64Config>) => pageSizes(riscv64.configure({ ...base, ...config }).pgsizeBitmap).map(Math.log2)
    expect(sizes({ ias: 39 })).toEqual([12, 21, 30])
    expect(sizes({ ias: 48, quirks: ['SVNAPOT_64K'] })).toEqual([12, 16, 21, 30, 39])
    expect(sizes({ ias: 57 })).toEqual([12, 21, 30, 39, 48])
  })
  test.each([
    [{ ...base, ias: 40 }, /ias 40: 39 or 48 or 57/],
    [{ ...base, oas: 57 }, /oas 57: 13 to 56/],
    [{ ...base, pgsizeBitmap: 0x20_0000n }, /4K/],
  ])('%o is refused, and the limit named', (config, message) => {
    expect(() => riscv64.configure(config)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) }))
  })
  test('a quirk of another format is a type error, and refused', () => {
    // @ts-expect-error NX belongs to x86-64
    expect(() => riscv64.configure({ ...base, quirks: ['NX'] })).toThrow(/NX/)
  })
})

describe('registers', () => {
  test.each([
    [39, 3, 8, 0x8000_0000_0008_0042n],
    [48, 4, 9, 0x9000_0000_0008_0042n],
    [57, 5, 10, 0xa000_0000_0008_0042n],
  ] as const)('Sv%i', (ias, levels, mode, satp) => {
    const agreed = riscv64.configure({ ...base, ias, quirks: ['SIGN_EXTEND'] })
    const regs = riscv64.regs(agreed, [0x8004_2000n], `L${levels - 1}`)
    expect(regs).toEqual({ mode, ppn: 0x8_0042n, satp })
    const [found] = riscv64.rootsFromRegs(regs)
    expect(found).toMatchObject({ name: 'satp', roots: [0x8004_2000n], first: 0n, last: 0xffff_ffff_ffff_ffffn, context: { pbmt: true } })
    expect(riscv64.geometry(found?.params as Riscv64Params)).toMatchObject({ ias, oas: 56, window: 'sign-extended', top: `L${levels - 1}` })
  })
  test('an ASID is left out, and extensions can be told', () => {
    const [found] = riscv64.rootsFromRegs({ satp: 0x8abc_d000_0008_0042n, extensions: ['Svnapot'] })
    expect(found).toMatchObject({ roots: [0x8004_2000n], context: { pbmt: false }, params: { levels: 3, extensions: ['Svnapot'] } })
  })
  test('Bare has no table; reserved and custom modes are refused', () => {
    expect(riscv64.rootsFromRegs({ satp: 0x8_0042n })).toEqual([])
    for (const mode of [1n, 7n, 11n, 13n, 14n, 15n])
      expect(() => riscv64.rootsFromRegs({ satp: mode << 60n })).toThrow(expect.objectContaining({ code: 'EINVAL' }))
  })
  test('the inverse, for every configuration', () => {
    for (const { config } of riscv64.configs) {
      const agreed = riscv64.configure(config)
      const there = riscv64.geometry(riscv64.params(agreed))
      const [found] = riscv64.rootsFromRegs(riscv64.regs(agreed, [0xf_f000n], there.top))
      const back = riscv64.geometry(found?.params as Riscv64Params)
      expect([found?.roots, back.top, back.ias]).toEqual([[0xf_f000n], there.top, there.ias])
      expect(inputRanges(there).every(({ first, last }) => found !== undefined && found.first <= first && last <= found.last)).toBe(true)
    }
  })
})
