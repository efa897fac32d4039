/** Entries and registers put together by hand from the README's tables. */
import { AccessRules, type MemoryPiece, memoryOf, SZ_64K } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { intelLmtt } from '../src/index.ts'

function bytesOf(paddr: bigint, entryBytes: 4 | 8, entries: Readonly<Record<number, bigint>>): MemoryPiece {
  const bytes = new Uint8Array(SZ_64K)
  const view = new DataView(bytes.buffer)
  for (const [index, value] of Object.entries(entries))
    if (entryBytes === 4) view.setUint32(Number(index) * 4, Number(value), true)
    else view.setBigUint64(Number(index) * 8, value, true)
  return { paddr, bytes }
}

test('two levels: 4 MiB of function 1, at 0x200000000', () => {
  const read = memoryOf([bytesOf(0x1_0000_0000n, 4, { 1: 0x10_0011n }), bytesOf(0x1_0001_0000n, 4, { 0: 0x2_0001n, 1: 0x2_0021n })])
  const [root] = intelLmtt.rootsFromRegs({ lmemCfg: 0x8001_0000n, levels: 2n })
  if (root === undefined) throw new Error('no root')
  const rules = new AccessRules(intelLmtt, intelLmtt.geometry(root.params), undefined)
  const at = (iova: bigint) => rules.translate(root.roots, read, iova)
  expect(at((1n << 48n) | 0x20_1234n).paddr).toBe(0x2_0020_1234n)
  expect(at((1n << 48n) | 0x40_0000n).fault?.type).toBe('translation')
  expect(at(2n << 48n).fault?.type).toBe('translation')
  expect(at((1n << 48n) | (1n << 35n)).paddr).toBeUndefined() // beyond what two levels index
})

test('three levels: entries of 8 and 4 bytes', () => {
  const read = memoryOf([
    bytesOf(0x1_0000_0000n, 8, { 63: 0x10_0011n }),
    bytesOf(0x1_0001_0000n, 8, { 2: 0x10_0021n }),
    bytesOf(0x1_0002_0000n, 4, { 5: 0xffff_ffe1n }),
  ])
  const [root] = intelLmtt.rootsFromRegs({ lmemCfg: 0x8001_0000n })
  if (root === undefined) throw new Error('no root')
  const rules = new AccessRules(intelLmtt, intelLmtt.geometry(root.params), undefined)
  expect(rules.translate(root.roots, read, (63n << 48n) | (2n << 35n) | (5n << 21n) | 7n).paddr).toBe(0xffff_ffe0_0007n)
})

test('a register that is off leads nowhere; wrong values are refused', () => {
  expect(intelLmtt.rootsFromRegs({ lmemCfg: 0x1_0000n })).toEqual([])
  expect(() => intelLmtt.rootsFromRegs({ lmemCfg: 1n << 32n })).toThrow(/32 bits expected/)
  expect(() => intelLmtt.rootsFromRegs({ lmemCfg: 0n, levels: 4n })).toThrow(/0x4: 2 or 3 expected/)
})
