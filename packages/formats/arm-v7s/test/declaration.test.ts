/** The declaration by itself, without the engine: descriptors, fields, configurations and registers against what Linux and the manual say. */
import { bitsOf, decode, deposit, fieldValues, type Geometry, type LeafKind, type LevelNode, ones, Prot, protOf } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { type ArmV7sParams, armV7s } from '../src/index.ts'
import { type ConfigFile, configOf, type FactsFile, filesOf, readJson } from './files.ts'

const CPU: ArmV7sParams = { ias: 32, oas: 40, mtk: false, mtkTables: false }
const GEOMETRIES: readonly (readonly [string, Geometry])[] = [
  ['CPU', armV7s.geometry(CPU)],
  ...armV7s.configs.map(({ name, config }) => [name, armV7s.geometry(armV7s.params(armV7s.configure(config)))] as const),
]

function kindFor(geometry: Geometry, pgsize: number): { node: LevelNode; kind: LeafKind } {
  for (const node of geometry.nodes)
    for (const kind of node.kinds) if (kind.type === 'leaf' && kind.sizes.some((size) => size.pgsize === pgsize)) return { node, kind }
  throw new Error(`no leaf of ${pgsize} bytes`)
}

/** What a leaf says of a mapping: WRITE is READ, too, MMIO is not cached, and a walker without permission bits lets everything through. */
function kept(prot: Prot, permissions: boolean): Prot {
  const memory = prot & Prot.MMIO ? Prot.MMIO : prot & Prot.CACHE
  if (!permissions) return memory | Prot.READ | Prot.WRITE
  return memory | (prot & (Prot.NOEXEC | Prot.PRIV | Prot.WRITE)) | Prot.READ
}

describe.each(filesOf('facts'))('facts/%s', (file) => {
  const { config, rows } = readJson<FactsFile>(`vectors/facts/${file}`)
  const agreed = armV7s.configure(configOf(config))
  const geometry = armV7s.geometry(armV7s.params(agreed))

  test('encodes and decodes every descriptor', () => {
    for (const [level, pgsize, names, paddr, raw] of rows) {
      const prot = protOf(names)
      expect(raw === null).toBe((prot & (Prot.READ | Prot.WRITE)) === 0)
      if (raw === null) continue
      const { node, kind } = kindFor(geometry, pgsize)
      const attributes = armV7s.encodeLeaf(agreed, node, kind, prot) ?? 0n
      const encoded = attributes | kind.set | deposit(BigInt(paddr), kind.address)
      expect([node.level, `0x${encoded.toString(16)}`], names.join()).toEqual([level, raw])
      const entry = decode(geometry, node, BigInt(raw))
      expect(entry).toMatchObject({ type: 'leaf', kind, paddr: BigInt(paddr), size: { pgsize }, reserved: 0n })
      expect(armV7s.prot(BigInt(raw), kind, armV7s.context(agreed))).toBe(kept(prot, !config.quirks.includes('NO_PERMS')))
    }
  })
})

describe('config/arm-v7s.json', () => {
  const { rows } = readJson<ConfigFile>('vectors/config/arm-v7s.json')
  test.each(rows.map((row, i) => [i, row] as const))('row %i', (_i, { config, result }) => {
    if (result === null) {
      expect(() => armV7s.configure(configOf(config))).toThrow(expect.objectContaining({ code: 'EINVAL' }))
      return
    }
    const agreed = armV7s.configure(configOf(config))
    const geometry = armV7s.geometry(armV7s.params(agreed))
    const root = geometry.nodes.find((node) => node.id === geometry.top)
    const regs = armV7s.regs(agreed, [0x8000_0000n], 'level1')
    expect({
      pgsizeBitmap: `0x${agreed.pgsizeBitmap.toString(16)}`,
      ias: agreed.ias,
      oas: agreed.oas,
      tcr: `0x${regs.tcr.toString(16)}`,
      nmrr: `0x${regs.nmrr.toString(16)}`,
      prrr: `0x${regs.prrr.toString(16)}`,
      ttbrAttr: `0x${(regs.ttbr & 0x3ffn).toString(16)}`,
      startLevel: root?.level,
      rootEntries: 2 ** (root?.bits ?? 0),
      rootBytes: root?.tableBytes,
    }).toEqual(result)
  })
})

describe('configure', () => {
  const base = { pgsizeBitmap: 0x1000n, ias: 32, oas: 32 }
  test('fills what is left out', () => {
    expect(armV7s.configure(base)).toEqual({ ...base, quirks: [], coherentWalk: true, cpuPageSize: 4096 })
  })
  test.each([
    [{ ...base, ias: 33 }, /ias 33.*24 to 32/],
    [{ ...base, ias: 23 }, /ias 23.*24 to 32/],
    [{ ...base, ias: 35, quirks: ['NO_PERMS', 'ARM_MTK_EXT'] as const }, /ias 35.*24 to 34/],
    [{ ...base, oas: 33 }, /oas 33.*12 to 32/],
    [{ ...base, oas: 11 }, /oas 11.*12 to 32/],
    [{ ...base, pgsizeBitmap: 0n }, /pgsizeBitmap/],
    [{ ...base, quirks: ['ARM_MTK_EXT'] as const }, /NO_PERMS/],
    [{ ...base, quirks: ['NO_PERMS', 'ARM_MTK_TTBR_EXT'] as const }, /ARM_MTK_EXT/],
  ])('%o is refused and the limit named', (config, message) => {
    expect(() => armV7s.configure(config)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) }))
  })
})

describe.each(GEOMETRIES)('geometry %s', (name, geometry) => {
  test.each(geometry.nodes.flatMap((node) => node.kinds.filter((kind) => kind.type !== 'empty').map((kind) => [kind.name, kind] as const)))(
    '%s: no bit belongs to two fields',
    (_name, kind) => {
      if (kind.type !== 'table' && kind.type !== 'leaf') throw new Error('neither table nor leaf')
      let taken = kind.match.mask
      expect(kind.set & ~kind.match.mask).toBe(0n)
      for (const bits of [bitsOf(kind.address), ...kind.fields.map((f) => bitsOf(f.pieces))]) {
        expect(taken & bits).toBe(0n)
        taken |= bits
      }
      if (!name.startsWith('mtk')) expect(taken).toBe(ones(31))
    },
  )

  test('every value is of one kind', () => {
    const [level1, level2] = geometry.nodes
    const kinds = (node: LevelNode | undefined) =>
      [0n, 1n, 2n, 3n, 0x4_0000n, 0x4_0001n, 0x4_0002n, 0x4_0003n].map((type) => {
        const names = new Set(
          [0n, 0xfffb_fffcn, 0x1234_5678n & ~0x4_0003n].map((rest) => node && decode(geometry, node, rest | type).kind.name),
        )
        return [...names].join()
      })
    const block = ['Fault', 'Page table', 'Section', 'Section', 'Fault', 'Page table', 'Supersection', 'Supersection']
    expect(kinds(level1)).toEqual(block)
    const page = ['Fault', 'Large page', 'Small page', 'Small page']
    expect(kinds(level2)).toEqual([...page, ...page])
  })
})

describe('descriptors', () => {
  const [level1, level2] = armV7s.geometry(CPU).nodes as [LevelNode, LevelNode]
  const cpu = armV7s.geometry(CPU)

  test('a supersection has 40 address bits', () => {
    const entry = decode(cpu, level1, 0xab54_0c62n)
    expect(entry).toMatchObject({ type: 'leaf', paddr: 0x35_ab00_0000n, reserved: 0n, size: { pgsize: 0x100_0000, slots: 16 } })
  })
  test('with 32 output bits its extended base address is reserved', () => {
    const geometry = armV7s.geometry({ ...CPU, oas: 32 })
    const [top] = geometry.nodes as [LevelNode, LevelNode]
    expect(decode(geometry, top, 0xab54_0c62n)).toMatchObject({ type: 'leaf', paddr: 0xab00_0000n, reserved: 0x50_0060n })
  })
  test('names are those of the manual', () => {
    const fieldsOf = (node: LevelNode, raw: bigint) => fieldValues(decode(cpu, node, raw).kind, raw)
    expect(fieldsOf(level1, 0x4031_95efn)).toEqual({
      ...{ NS: 0n, nG: 0n, S: 1n, 'AP[2]': 1n, TEX: 1n, 'AP[1:0]': 1n, C: 1n, B: 1n, XN: 0n, 'IMPLEMENTATION DEFINED': 0n, PXN: 1n },
      Domain: 15n,
    })
    expect(fieldsOf(level1, 0x4000_0229n | 4n)).toEqual({ 'IMPLEMENTATION DEFINED': 1n, Domain: 1n, SBZ: 0n, NS: 1n, PXN: 1n })
    expect(fieldsOf(level2, 0x8003_9c31n)).toEqual({ nG: 1n, S: 1n, 'AP[2]': 0n, TEX: 1n, 'AP[1:0]': 3n, C: 0n, B: 0n, XN: 1n, SBZ: 0n })
    expect(fieldsOf(level2, 0x8003_0e7fn)).toEqual({ nG: 1n, S: 1n, 'AP[2]': 1n, TEX: 1n, 'AP[1:0]': 3n, C: 1n, B: 1n, XN: 1n })
  })
  test('what should be zero is told as reserved', () => {
    expect(decode(cpu, level1, 0x4000_0011n)).toMatchObject({ type: 'table', next: 0x4000_0000n, reserved: 0x10n })
    expect(decode(cpu, level2, 0x4000_01c1n)).toMatchObject({ type: 'leaf', paddr: 0x4000_0000n, reserved: 0x1c0n })
  })
  test('MediaTek tables may lie above 4 GiB, and say NS', () => {
    const agreed = armV7s.configure({
      pgsizeBitmap: 0x1000n,
      ias: 34,
      oas: 35,
      quirks: ['NO_PERMS', 'ARM_MTK_EXT', 'ARM_MTK_TTBR_EXT', 'ARM_NS'],
    })
    const geometry = armV7s.geometry(armV7s.params(agreed))
    expect(geometry.tablesBelow).toBe(1n << 35n)
    const [top] = geometry.nodes as [LevelNode, LevelNode]
    const kind = top.kinds.find((k) => k.type === 'table')
    if (kind === undefined) throw new Error('no table kind')
    const raw = armV7s.encodeTable(agreed, top, kind) | kind.set | deposit(0x7_8000_0400n, kind.address)
    expect(raw).toBe(0x8000_0639n)
    expect(decode(geometry, top, raw)).toMatchObject({ type: 'table', next: 0x7_8000_0400n, reserved: 0n })
  })
})

describe('registers', () => {
  const agreed = armV7s.configure({ pgsizeBitmap: 0x1000n, ias: 32, oas: 32 })
  const mtk = armV7s.configure({ pgsizeBitmap: 0x1000n, ias: 34, oas: 35, quirks: ['NO_PERMS', 'ARM_MTK_EXT', 'ARM_MTK_TTBR_EXT'] })

  test('regs', () => {
    expect(armV7s.regs(agreed, [0x8000_4000n], 'level1')).toEqual({ ttbr: 0x8000_406an, tcr: 0, nmrr: 0x4000_4000, prrr: 0x800b_8204 })
    expect(armV7s.regs({ ...agreed, coherentWalk: false }, [0x8000_4000n], 'level1').ttbr).toBe(0x8000_4002n)
    expect(armV7s.regs(mtk, [0x6_8001_0000n], 'level1').ttbr).toBe(0x8001_0006n)
    expect(() => armV7s.regs(agreed, [0x8000_0040n], 'level1')).toThrow(expect.objectContaining({ code: 'EINVAL' }))
  })
  test.each([
    [32, 0x8000_4000n, 0n],
    [31, 0x8000_2000n, 1n],
    [28, 0x8000_0400n, 4n],
    [25, 0x8000_0080n, 7n],
  ])('hardware: a table of %i bits goes with TTBCR.N, since its root is aligned to its own size', (ias, root, ttbcr) => {
    const agreed = armV7s.configure({ pgsizeBitmap: 0x1000n, ias, oas: 32 })
    const raw = armV7s.hardware?.(agreed, armV7s.regs(agreed, [root], 'level1'))
    expect(raw?.ttbcr).toBe(ttbcr)
    expect(armV7s.rootsFromRegs(raw ?? {}).map(({ roots, params }) => [...roots, params.ias])).toEqual([[root, ias]])
  })
  test('hardware: no TTBCR tells of 24 bits', () => {
    const agreed = armV7s.configure({ pgsizeBitmap: 0x1000n, ias: 24, oas: 32 })
    expect(armV7s.hardware?.(agreed, armV7s.regs(agreed, [0x8000_0080n], 'level1'))).toBeUndefined()
  })
  test('a MediaTek TTBR whose table is not aligned to its size is refused', () => {
    const mtk = { ias: 34, oas: 35, tables: false }
    expect(() => armV7s.rootsFromRegs({ ttbr0: 0x8000_4000n, mtk })).toThrow(/TTBR 0x80004000: a table aligned to its size, 0x10000/)
  })
  test('rootsFromRegs leads back to the root', () => {
    const { ttbr } = armV7s.regs(agreed, [0x8000_4000n], 'level1')
    const { assumed, ...context } = armV7s.context(agreed)
    const [found] = armV7s.rootsFromRegs({ ttbr0: ttbr })
    expect(found).toMatchObject({ name: 'ttbr0', roots: [0x8000_4000n], first: 0n, last: 0xffff_ffffn, context })
    expect(found?.context.assumed).toEqual([assumed[0], 'PRRR', 'NMRR', assumed[1]])
    const [there] = armV7s.rootsFromRegs({
      ttbr0: armV7s.regs(mtk, [0x6_8001_0000n], 'level1').ttbr,
      mtk: { ias: 34, oas: 35, tables: true },
    })
    expect(there).toMatchObject({
      roots: [0x6_8001_0000n],
      last: 0x3_ffff_ffffn,
      params: armV7s.params(mtk),
      context: { permissions: false },
    })
  })
  test('both TTBRs of a CPU with N = 0', () => {
    const found = armV7s.rootsFromRegs({
      ttbr0: 0x41ca_006an,
      ttbr1: 0x4020_406an,
      ttbcr: 0n,
      sctlr: 0x10c5_387dn,
      prrr: 0xff0a_81a8n,
      nmrr: 0x40e0_40e0n,
      dacr: 0x55n,
    })
    const remap = { tre: true, afe: false, prrr: 0xff0a_81a8, nmrr: 0x40e0_40e0, dacr: 0x55 }
    const context = { ...remap, permissions: true, ha: false, wxn: false, uwxn: false, assumed: [] }
    expect(found).toEqual([
      { name: 'ttbr0', params: CPU, roots: [0x41ca_0000n], first: 0n, last: 0xffff_ffffn, context },
      { name: 'ttbr1', params: CPU, roots: [0x4020_4000n], first: 0n, last: 0xffff_ffffn, context },
    ])
  })
  test.each([
    [1n, 31, 0x8000_2000n],
    [2n, 30, 0x8000_3000n],
    [7n, 25, 0x8000_3f80n],
  ])('TTBCR.N = %i splits at 2^%i', (ttbcr, ias, root) => {
    const found = armV7s.rootsFromRegs({ ttbr0: 0x8000_3fean, ttbr1: 0x9000_406an, ttbcr })
    const split = 1n << BigInt(ias)
    expect(found).toMatchObject([
      { name: 'ttbr0', params: { ...CPU, ias }, roots: [root], first: 0n, last: split - 1n },
      { name: 'ttbr1', params: CPU, roots: [0x9000_4000n], first: split, last: 0xffff_ffffn },
    ])
  })
  test('PD0 and PD1 switch walks off', () => {
    const names = (ttbcr: bigint) => armV7s.rootsFromRegs({ ttbr0: 0n, ttbr1: 0n, ttbcr }).map(({ name }) => name)
    expect([names(0x11n), names(0x21n), names(0x31n), names(0x20n)]).toEqual([['ttbr1'], ['ttbr0'], [], ['ttbr0', 'ttbr1']])
  })
  test('what is not of this format is refused', () => {
    expect(() => armV7s.rootsFromRegs({ ttbr0: 0n, ttbcr: 0x8000_0000n })).toThrow(/TTBCR 0x80000000.*EAE/)
    expect(() => armV7s.rootsFromRegs({ ttbr0: 1n << 32n })).toThrow(/TTBR 0x100000000: 32 bits/)
  })
})
