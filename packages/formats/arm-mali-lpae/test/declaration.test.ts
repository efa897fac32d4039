/** The declaration by itself: its laws, kinds at every level, registers both ways. */
import { decode, fieldValues, IoPageTable, type LevelNode, Prot } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { checkLaws } from '../../arm-lpae/test/laws.ts'
import { type ArmMaliLpaeConfig, armMaliLpae } from '../src/index.ts'

checkLaws({
  fmt: armMaliLpae,
  hardware: ({ transtab, memattr }, { ias, oas }) => ({ transtab, memattr, ias, oas }),
  // no privilege, and no CACHE beside MMIO
  kept: (prot) => (prot & Prot.MMIO ? prot & ~Prot.CACHE : prot) & ~Prot.PRIV,
})

const BASE: ArmMaliLpaeConfig = { pgsizeBitmap: 0x4020_1000n, ias: 48, oas: 40 }
const geometry = armMaliLpae.geometry({ ias: 48, oas: 40 })

function at(level: number, raw: bigint): ReturnType<typeof decode> {
  return decode(geometry, geometry.nodes.find((node) => node.level === level) as LevelNode, raw)
}

test('a leaf has type 1 at every level that has leaves, a table type 3', () => {
  expect([0, 1, 2, 3].map((level) => at(level, 1n).type)).toEqual(['invalid', 'leaf', 'leaf', 'leaf'])
  expect([0, 1, 2, 3].map((level) => at(level, 3n).type)).toEqual(['table', 'table', 'table', 'invalid'])
  expect([0, 1, 2, 3].map((level) => at(level, 2n).type)).toEqual(['empty', 'empty', 'empty', 'empty'])
})

test('the fields of a leaf; no access flag', () => {
  const raw = 1n | (2n << 2n) | (3n << 6n) | (2n << 8n) | (3n << 53n)
  expect(fieldValues(at(3, raw).kind, raw)).toEqual({ AttrIndx: 2n, Access: 3n, SH: 2n, XN: 3n })
  expect(at(3, raw | (1n << 10n))).toMatchObject({ reserved: 1n << 10n })
})

test('regs, and the address bits that no register tells', () => {
  const regs = (config: ArmMaliLpaeConfig) => armMaliLpae.regs(armMaliLpae.configure(config), [0x12_3456_7000n], 'L0')
  expect(regs(BASE)).toEqual({ transtab: 0x12_3456_7017n, memattr: 0x88_8d88n })
  expect(regs({ ...BASE, coherentWalk: false }).transtab).toBe(0x12_3456_7007n)
  expect(armMaliLpae.rootsFromRegs({ transtab: 0x12_3456_7017n, memattr: 0x88_8d88n })).toEqual([
    {
      name: 'transtab',
      params: { ias: 48, oas: 40 },
      roots: [0x12_3456_7000n],
      first: 0n,
      last: (1n << 48n) - 1n,
      context: { memattr: 0x88_8d88n },
    },
  ])
  for (const mode of [0n, 1n, 2n])
    expect(() => armMaliLpae.rootsFromRegs({ transtab: 0x12_3456_7014n | mode, memattr: 0n })).toThrow(
      expect.objectContaining({ code: 'EINVAL' }),
    )
})

test('a root of one entry is aligned to a page: the register has no bits below', () => {
  const pool = new PtPool({ base: 0x8000_0000n, size: 2 ** 22 })
  const blocks = [64, 64, 64].map((bytes) => pool.alloc(bytes))
  const table = IoPageTable.createRaw(armMaliLpae, { ...BASE, ias: 33, allocator: pool })
  expect(table.roots.map((root) => root % 4096n)).toEqual([0n])
  expect(table.tableBytes).toBe(64)
  table.map(0x1_ffff_f000n, 0xff_ffff_f000n, 4096, Prot.READ | Prot.NOEXEC)
  expect(table.walk(0x1_ffff_f000n).map(({ node, index }) => [node.level, index])).toEqual([
    [0, 0],
    [1, 7],
    [2, 511],
    [3, 511],
  ])
  table.free()
  for (const block of blocks) pool.free(block)
  expect(pool.stats().live).toBe(0)
})

test.each([
  [{ ...BASE, ias: 49 }, /ias 49.*12 to 48/],
  [{ ...BASE, oas: 41 }, /oas 41.*12 to 40/],
  [{ ...BASE, pgsizeBitmap: 0x200_4000n }, /pgsizeBitmap.*4K/],
  [{ ...BASE, quirks: ['NO_WARN'] as never }, /NO_WARN/],
])('%o is refused and the limit named', (config, message) => {
  expect(() => armMaliLpae.configure(config)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) }))
})
