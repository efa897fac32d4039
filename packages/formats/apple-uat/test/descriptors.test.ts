/** Entries, codes and contexts put together by hand, and as m1n1 has them. */
import { decode, IoPageTable, Prot, rightsByParty, SZ_1M, SZ_16K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { type AppleUatConfig, appleUat, uatProt } from '../src/index.ts'

function make(config: Partial<AppleUatConfig> = {}) {
  const pool = new PtPool({ base: 0x8_0000_0000n, size: SZ_1M })
  return IoPageTable.createRaw(appleUat, { allocator: pool, pgsizeBitmap: BigInt(SZ_16K), ias: 39, oas: 40, ...config })
}

test('a user’s page, its tables and the context', () => {
  const table = make({ context: 5 })
  table.map(0x4000n, 0xf_ffff_c000n, SZ_16K, uatProt('GPU_SHARED_RW'))
  expect(table.walk(0x4000n).map(({ raw }) => raw)).toEqual([0x8_0000_4003n, 0x8_0000_8003n, 0x00c0_000f_ffff_cc8bn])
  expect(table.regs).toEqual({ ttb: 0x0005_0008_0000_0001n, ttbat: 0n })
  expect(appleUat.rootsFromRegs(table.regs)[0]).toMatchObject({ name: 'ttb0', roots: [0x8_0000_0000n], last: 0x7f_ffff_ffffn })
})

test('the kernel’s pages are global; a context’s entry of the TTBAT leads to them', () => {
  const table = make({ quirks: ['ARM_TTBR1'], ttbat: 0x7000_0000n, context: 2 })
  table.map(0xffff_ffa0_0000_0000n, 0x8_1234_8000n, SZ_16K, uatProt('GPU_FW_SHARED_RW'))
  expect(table.walk(0xffff_ffa0_0000_0000n).at(-1)?.raw).toBe(0x00e0_0008_1234_840bn)
  expect(table.regs).toEqual({ ttb: 0x0002_0008_0000_0001n, ttbat: 0x7000_0028n }) // TTB1 of context 2
  const read = (paddr: bigint) => (paddr === 0x7000_0028n ? new Uint8Array([1, 0, 0, 0, 8, 0, 2, 0]) : undefined)
  const [found] = appleUat.rootsFromRegs({ ttbat: 0x7000_0028n, upper: 1n }, read)
  expect(found).toMatchObject({ name: 'ttb1', roots: [0x8_0000_0000n], first: 0xffff_ff80_0000_0000n })
  expect(() => appleUat.rootsFromRegs({ ttbat: 0x7000_0020n }, read)).toThrow(/0x70000020/)
  expect(() => appleUat.rootsFromRegs({ ttb: 1n, ias: 40n })).toThrow(/ias 40/)
  expect(appleUat.rootsFromRegs({ ttb: 0x8_0000_0000n })).toEqual([]) // not valid
})

/** What m1n1 says of the codes: OS, AP, UXN, PXN, the GPU, and the firmware at EL1. The code that it is not sure of is left out. */
const ACCESS = `0000 --- ---|0001 --- ---|0010 --- ---|0011 --- ---|0100 --- ---|0101 --- rw-|0110 --- ---|0111 --- rw-
0200 --- ---|0201 --- r-x|0210 --- ---|0211 --- ---|0300 --- r-x|0301 --- r--|0310 --- ---|0311 --- r--
1000 --- ---|1001 r-- r--|1011 rw- rw-|1100 --- r--|1101 --- ---|1110 --- rw-|1111 r-- rw-
1200 r-- ---|1201 -w- ---|1210 rw- ---|1211 --- ---|1300 --- ---|1301 --- ---|1310 --- ---|1311 --- ---`

test('each code of permissions grants what m1n1 says', () => {
  const { geometry } = make()
  for (const row of ACCESS.split(/[|\n]/)) {
    const [code = '', gpu, firmware] = row.split(' ')
    const [OS = 0, AP = 0, UXN = 0, PXN = 0] = [...code].map(Number)
    const raw = 0x4003n | (BigInt(OS) << 55n) | (BigInt(UXN) << 54n) | (BigInt(PXN) << 53n) | (BigInt(AP) << 6n)
    const page = decode(geometry, geometry.nodes[2]!, raw)
    if (page.type !== 'leaf') throw new Error('a page')
    const rights = page.kind.grants?.of({ OS, AP, UXN, PXN }, undefined) ?? 0
    expect([code, rightsByParty(rights, ['gpu', 'firmware'])]).toEqual([code, { gpu, firmware }])
  }
})

test('a prot keeps its protection through a change and a snapshot; what no code says is refused', () => {
  const table = make()
  table.map(0x8000n, 0x8_1234_0000n, SZ_16K, uatProt('GPU_FW_PRIV_RW'))
  table.protect(0x8000n, SZ_16K, uatProt('GPU_RO_FW_PRIV_RW'))
  const leaf = table.walk(0x8000n).at(-1)
  expect(leaf?.raw).toBe(0x00e0_0008_1234_0c43n)
  if (leaf?.type !== 'leaf') throw new Error('a page')
  expect(appleUat.prot(leaf.raw, leaf.kind, undefined)).toBe(uatProt('GPU_RO_FW_PRIV_RW') | Prot.NOEXEC)
  expect(() => table.map(0x10000n, 0n, SZ_16K, Prot.WRITE | Prot.PRIV)).toThrow(/cannot express/)
  expect(() => table.map(0x10000n, 0n, SZ_16K, uatProt('GPU_NA'))).toThrow(/READ or WRITE/)
  expect(() => table.map(0x10000n, 0n, SZ_16K, Prot.READ | (9 << 6))).toThrow(/Prot flags, with attributes of the format, below 0x200/)
  const [, level2] = table.geometry.nodes
  expect(decode(table.geometry, level2!, 0x8_0200_0001n)).toMatchObject({ type: 'invalid', kind: { name: 'block of 32 MiB' } })
})
