/** The declaration by itself: descriptors that Linux wrote, the manual's tables of bits, configurations, registers. */
import { readFileSync } from 'node:fs'
import {
  bitsOf,
  decode,
  deposit,
  fieldValues,
  type Kind,
  type LeafKind,
  type LevelNode,
  ones,
  Prot,
  type ProtName,
  pageSizes,
  protOf,
} from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { type X8664Config, type X8664Params, x8664 } from '../src/index.ts'

const base: X8664Config = { pgsizeBitmap: 0x4020_1000n, ias: 48, oas: 52 }
const CPU: X8664Params = { levels: 5, ias: 57, oas: 52, window: 'sign-extended', encryptionBit: 0 }
/** A CPU of which cr3 and cr4 are known. */
const CONTEXT = {
  ...{
    pat: 0x0007_0406_0007_0406n,
    encryptionBit: 0,
    wp: true,
    nx: true,
    pge: false,
    smep: false,
    smap: false,
    nested: false,
    allowed: 63,
  },
  assumed: ['CR0.WP 1', 'EFER.NXE 1'],
}
const PROTS = Array.from({ length: 64 }, (_, prot) => prot).filter((prot) => prot & (Prot.READ | Prot.WRITE))

interface FactsFile {
  readonly rows: readonly (readonly [level: number | null, pgsize: number, prot: ProtName[], paddr: string, raw: string | null])[]
}

function kindFor(nodes: readonly LevelNode[], pgsize: number): { node: LevelNode; kind: LeafKind } {
  for (const node of nodes)
    for (const kind of node.kinds) if (kind.type === 'leaf' && kind.sizes.some((size) => size.pgsize === pgsize)) return { node, kind }
  throw new Error(`no leaf of ${pgsize} bytes`)
}

function hasAddress(kind: Kind): kind is Extract<Kind, { type: 'table' | 'leaf' }> {
  return kind.type === 'table' || kind.type === 'leaf'
}

test('facts: encodes and decodes every descriptor', () => {
  const url = new URL('../test-data/vectors/facts/x86_64.json', import.meta.url)
  const agreed = x8664.configure({ ...base, ias: 57, quirks: ['SIGN_EXTEND'] })
  const geometry = x8664.geometry(x8664.params(agreed))
  for (const [level, pgsize, names, paddr, text] of (JSON.parse(readFileSync(url, 'utf8')) as FactsFile).rows) {
    if (text === null) continue
    const prot = protOf(names)
    const raw = BigInt(text)
    const { node, kind } = kindFor(geometry.nodes, pgsize)
    const bits = x8664.encodeLeaf(agreed, node, kind, prot) ?? 0n
    expect([node.level - 1, bits | kind.set | deposit(BigInt(paddr), kind.address)]).toEqual([level, raw])
    expect(decode(geometry, node, raw)).toMatchObject({ type: 'leaf', kind, paddr: BigInt(paddr), size: { pgsize }, reserved: 0n })
    expect(x8664.prot(raw, kind, x8664.context(agreed))).toBe((prot & Prot.WRITE) | Prot.READ | Prot.CACHE)
  }
})

describe.each([
  ['52 bits', CPU, 0n],
  ['46 bits', { ...CPU, oas: 46 }, ones(51, 46)],
  ['46 bits, C-bit 47', { ...CPU, oas: 46, encryptionBit: 47 }, ones(51, 48) | ones(46, 46)],
] as const)('%s', (_name, params, beyond) => {
  const geometry = x8664.geometry(params)
  const kinds = geometry.nodes.flatMap((node) => node.kinds.filter(hasAddress).map((kind) => [node.name, kind.name, node, kind] as const))

  test.each(kinds)('%s, %s: every bit belongs to one field, those beyond MAXPHYADDR to a reserved one', (_node, _kind, _n, kind) => {
    let taken = kind.match.mask
    for (const bits of [bitsOf(kind.address), ...kind.fields.map((f) => bitsOf(f.pieces))]) {
      expect(taken & bits).toBe(0n)
      taken |= bits
    }
    expect(taken).toBe(ones(63))
    expect(bitsOf(kind.fields.find((f) => f.name === 'Beyond')?.pieces ?? [])).toBe(beyond)
  })
  test.each(kinds)('%s, %s: what must be zero is told', (_node, _kind, node, kind) => {
    const large = kind.type === 'leaf' && node.level > 1
    const reserved = beyond | (large ? ones(node.shift - 1, 13) : 0n)
    const raw = (ones(63) & ~kind.match.mask) | kind.match.value
    expect(decode(geometry, node, raw)).toMatchObject({ type: kind.type, kind, reserved })
  })
})

describe('kinds', () => {
  const geometry = x8664.geometry(CPU)
  const kindsOf = (raw: bigint) => geometry.nodes.map((node) => decode(geometry, node, raw).kind.name)

  test('P = 0: the rest is software’s', () => {
    expect(new Set(kindsOf(ones(63) - 1n))).toEqual(new Set(['not present']))
  })
  test('PS = 0 and 1, from PML5 down', () => {
    expect(kindsOf(1n)).toEqual(['table', 'table', 'table', 'table', '4-KByte page'])
    expect(kindsOf(0x81n)).toEqual(['reserved page size', 'reserved page size', '1-GByte page', '2-MByte page', '4-KByte page'])
  })
  test('fields have the manual’s names', () => {
    const raw = 0xf800_1234_5678_9fffn
    const values = (level: number) => {
      const node = geometry.nodes.find((n) => n.level === level) as LevelNode
      return fieldValues(decode(geometry, node, raw).kind, raw)
    }
    const common = { P: 1n, 'R/W': 1n, 'U/S': 1n, PWT: 1n, PCD: 1n, A: 1n, D: 1n, G: 1n, Software: 1n, EA: 1n, R: 1n, IgnoredHigh: 0n }
    expect(values(1)).toEqual({ ...common, PAT: 1n, PK: 15n, XD: 1n })
    expect(values(2)).toEqual({ ...common, PS: 1n, PAT: 1n, PK: 15n, XD: 1n, Reserved: 0xc4n })
  })
})

describe('prot', () => {
  test.each(x8664.configs.map(({ name, config }) => [name, config] as const))('%s: round trip', (_name, config) => {
    const agreed = x8664.configure(config)
    const has = (quirk: NonNullable<X8664Config['quirks']>[number]) => agreed.quirks.includes(quirk)
    for (const node of x8664.geometry(x8664.params(agreed)).nodes)
      for (const kind of node.kinds)
        for (const prot of kind.type === 'leaf' ? PROTS : []) {
          if (kind.type !== 'leaf') continue
          const raw = kind.set | (x8664.encodeLeaf(agreed, node, kind, prot) ?? 0n)
          const plain = agreed.encryptionBit === 0 ? 0 : prot & Prot.MMIO
          const memory = (has('UC_MMIO') && prot & Prot.MMIO) || plain ? Prot.MMIO : Prot.CACHE
          const kept = (prot & (Prot.WRITE | (has('NX') ? Prot.NOEXEC : 0) | (has('SUPERVISOR') ? Prot.PRIV : 0))) | Prot.READ | memory
          expect(x8664.prot(raw, kind, x8664.context(agreed))).toBe(kept)
        }
  })
  test('the memory type is the PAT’s, by PAT, PCD and PWT; PAT is bit 12 of a large page', () => {
    const { nodes } = x8664.geometry(CPU)
    const types = (pgsize: number, patBit: bigint) => {
      const { kind } = kindFor(nodes, pgsize)
      return [0n, 8n, 16n, 24n]
        .flatMap((bits) => [bits, bits | patBit])
        .map((bits) => x8664.prot(bits | 0x87n, kind, { ...CONTEXT, pat: 0x0105_0406_0007_0406n }))
    }
    const [uc, cached, wc] = [3 | Prot.MMIO, 3 | Prot.CACHE, 3]
    // from entry 0 on, with and without PAT: WB, WB, WT, WT, UC-, WP, UC, WC
    expect(types(0x20_0000, 1n << 12n)).toEqual([cached, cached, cached, cached, uc, cached, uc, wc])
    const { kind } = kindFor(nodes, 0x1000)
    expect([0x07n, 0x87n, 0x9fn].map((raw) => x8664.prot(raw, kind, CONTEXT))).toEqual([cached, cached, uc])
  })
})

describe('configure', () => {
  test('what is left out is filled in', () => {
    expect(x8664.configure(base)).toEqual({ ...base, quirks: [], coherentWalk: true, cpuPageSize: 4096, encryptionBit: 0 })
    expect(pageSizes(x8664.configure({ ...base, ias: 30, pgsizeBitmap: 0x80_4020_1000n }).pgsizeBitmap)).toEqual([0x1000, 0x20_0000])
  })
  test.each([
    [{ ...base, ias: 58 }, /ias 58: 13 to 57/],
    [{ ...base, oas: 53 }, /oas 53: 32 to 52/],
    [{ ...base, oas: 31 }, /oas 31/],
    [{ ...base, pgsizeBitmap: 0x20_0000n }, /4K/],
    [{ ...base, oas: 46, encryptionBit: 45 }, /encryptionBit 45: 0 \(none\) or 46 \(oas\) to 51/],
    [{ ...base, oas: 46, encryptionBit: 52 }, /encryptionBit 52/],
    [{ ...base, oas: 46, encryptionBit: 47.5 }, /encryptionBit 47.5/],
  ])('%o is refused, and the limit named', (config, message) => {
    expect(() => x8664.configure(config)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) }))
  })
  test('a quirk of another format is a type error, and refused', () => {
    // @ts-expect-error SVPBMT belongs to RISC-V
    expect(() => x8664.configure({ ...base, quirks: ['SVPBMT'] })).toThrow(/SVPBMT/)
  })
})

describe('registers', () => {
  test.each([
    [47, 4, 0x20n],
    [48, 4, 0x20n],
    [56, 5, 0x1020n],
    [57, 5, 0x1020n],
  ] as const)('%i bits', (ias, levels, cr4) => {
    const regs = x8664.regs(x8664.configure({ ...base, ias }), [0xa_8004_2000n], `L${levels}`)
    expect(regs).toEqual({ cr3: 0xa_8004_2000n, cr4, levels })
    const [found] = x8664.rootsFromRegs(regs)
    expect(found).toMatchObject({ name: 'cr3', roots: [0xa_8004_2000n], first: 0n, last: 0xffff_ffff_ffff_ffffn, context: CONTEXT })
    expect(found?.params).toEqual({ levels, ias: 12 + 9 * levels, oas: 52, window: 'sign-extended', encryptionBit: 0, nx: true })
  })
  test('the encryption bit', () => {
    const regs = x8664.regs(x8664.configure({ ...base, oas: 46, encryptionBit: 47 }), [0x8004_2000n], 'L4')
    expect(regs.cr3).toBe(0x8000_8004_2000n)
    expect(x8664.rootsFromRegs({ ...regs, encryptionBit: 47, maxPhyAddr: 46 })).toMatchObject([
      { roots: [0x8004_2000n], params: { oas: 46, encryptionBit: 47 } },
    ])
    expect(x8664.rootsFromRegs({ ...regs, encryptionBit: 47 })).toMatchObject([{ roots: [0x8004_2000n], params: { oas: 47 } }])
  })
  test('PCID, PWT, PCD and LAM are left out of the root; the PAT is the context', () => {
    const [found] = x8664.rootsFromRegs({ cr3: 0xe000_0000_1234_5fffn, cr4: 0x1020n, pat: 1n })
    expect(found).toMatchObject({ roots: [0x1234_5000n], context: { pat: 1n } })
  })
  test('what is not of this format, or of no CPU, is refused', () => {
    expect(() => x8664.rootsFromRegs({ cr3: 0n, cr4: 0x1000n })).toThrow(/cr4 0x1000: PAE/)
    expect(() => x8664.rootsFromRegs({ cr3: 0n, cr4: 0x20n, maxPhyAddr: 53 })).toThrow(/maxPhyAddr/)
    expect(() => x8664.rootsFromRegs({ cr3: 0n, cr4: 0x20n, maxPhyAddr: 48, encryptionBit: 47 })).toThrow(/encryptionBit/)
  })
})
