/** Entries, rights, faults, configurations and registers by hand: SDM 4.4, figure 4-7; 4.6; 4.7. */
import { AccessRules, decode, IoPageTable, nodeOf, Prot, rightsByParty, SZ_2M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { type X86PaeHardware, x86Pae } from '../src/index.ts'

const [P, RW, US, PS, XD] = [1n, 2n, 4n, 128n, 1n << 63n]
const OPEN = P | RW | US
const [PAE, SMEP] = [0x20n, 1n << 20n]
const NPT = { cr3: undefined, ncr3: 0x1000n }

function rulesOf(registers: Partial<X86PaeHardware> = {}): AccessRules {
  const [root] = x86Pae.rootsFromRegs({ cr3: 0x1000n, cr4: PAE, ...registers })
  return new AccessRules(x86Pae, x86Pae.geometry(root!.params), root!.context)
}
function pathOf(rules: AccessRules, ...raws: readonly bigint[]) {
  return rules.path(raws.map((raw, i) => decode(rules.geometry, nodeOf(rules.geometry, `L${3 - i}`), raw)))
}

describe('entries', () => {
  const { geometry } = rulesOf({ maxPhyAddr: 40 })
  const [pointers, directory, table] = geometry.nodes
  test('of the kernel of a dump: a directory, a 2-MByte page, a table, a page', () => {
    expect(decode(geometry, pointers!, 0x18e9_4021n)).toMatchObject({ type: 'table', next: 0x18e9_4000n, reserved: 0x20n })
    expect(decode(geometry, directory!, 0x8000_0000_0020_01e3n)).toMatchObject({ type: 'leaf', paddr: 0x20_0000n, reserved: 0n })
    expect(decode(geometry, directory!, 0x211_6067n)).toMatchObject({ type: 'table', next: 0x211_6000n, reserved: 0n })
    expect(decode(geometry, table!, 0x18e9_3025n)).toMatchObject({ type: 'leaf', paddr: 0x18e9_3000n, reserved: 0n })
  })
  test('reserved bits: of a pointer 2:1, 8:5 and all from MAXPHYADDR on; of others 62:52, too', () => {
    const all = (1n << 64n) - 1n
    expect(decode(geometry, pointers!, all)).toMatchObject({ type: 'table', reserved: 0xffff_ff00_0000_01e6n })
    expect(decode(geometry, directory!, all)).toMatchObject({ type: 'leaf', reserved: 0x7fff_ff00_001f_e000n })
    expect(decode(geometry, directory!, all & ~PS)).toMatchObject({ type: 'table', reserved: 0x7fff_ff00_0000_0000n })
    expect(decode(geometry, table!, all)).toMatchObject({ type: 'leaf', reserved: 0x7fff_ff00_0000_0000n })
    const { geometry: noNx } = rulesOf({ efer: 0n })
    expect(decode(noNx, noNx.nodes[2]!, all)).toMatchObject({ reserved: 0xfff0_0000_0000_0000n })
  })
})

test.each([
  // [registers, directory entry, page, what user and privileged may]; the pointer above grants everything
  [{}, OPEN, OPEN, 'rwx rwx'],
  [{}, P | US, OPEN, 'r-x r-x'],
  [{}, OPEN | XD, OPEN, 'rw- rw-'],
  [{}, OPEN, P | US | XD, 'r-- r--'],
  [{}, OPEN, P | RW, '--- rwx'],
  [{ cr0: 0n }, OPEN, P | US, 'r-x rwx'],
  [{ cr4: PAE | SMEP }, OPEN, OPEN, 'rwx rw-'],
  [NPT, OPEN, OPEN, 'rwx'],
] as const)('%o, entries %i and %i: %s', (registers, directory, page, expected) => {
  const rules = rulesOf(registers)
  expect(Object.values(rightsByParty(pathOf(rules, P, directory, page).rights, rules.parties)).join(' ')).toBe(expected)
})

test('the error code; reserved bits of a pointer are found when cr3 is written', () => {
  const told = (registers: Partial<X86PaeHardware>, path: readonly bigint[], access: 'read' | 'write' | 'execute', privileged: boolean) => {
    const rules = rulesOf(registers)
    const fault = rules.fault(pathOf(rules, ...path), { access, privileged }, {})
    return fault && [fault.type, fault.level, x86Pae.fault?.(fault, rules.context as never)?.codes]
  }
  expect(told({}, [P, OPEN, OPEN], 'write', false)).toBeUndefined()
  expect(told({}, [0n], 'write', false)).toEqual(['translation', 3, { vector: 14, error: 6 }])
  expect(told({}, [P, OPEN, OPEN | XD], 'execute', false)).toEqual(['permission', 1, { vector: 14, error: 0x15 }])
  expect(told({ efer: 0n }, [P, OPEN, OPEN | XD], 'execute', false)).toEqual(['reserved', 1, { vector: 14, error: 0xd }])
  expect(told({}, [OPEN], 'read', true)).toEqual(['reserved', 3, { vector: 13, error: 0 }])
  expect(told(NPT, [OPEN], 'read', true)).toEqual(['reserved', 3, { exitcode: 0x400, exitinfo1: 0xd }])
})

test('A of a pointer, which QEMU sets, ends no walk', () => {
  const rules = rulesOf()
  expect(pathOf(rules, P | 0x20n, OPEN, OPEN).fault).toBeUndefined()
  expect(pathOf(rules, P | 0x40n, OPEN, OPEN).fault).toMatchObject({ type: 'reserved', level: 3 })
})

test('configurations', () => {
  const base = { pgsizeBitmap: 0x20_1000n, ias: 32, oas: 64 }
  expect(x86Pae.configure(base)).toMatchObject({ oas: 52, ias: 32, pgsizeBitmap: 0x20_1000n })
  for (const [config, message] of [
    [{ ...base, pgsizeBitmap: 0x40_0000n }, /pgsizeBitmap 0x400000: 4K or 2M/],
    [{ ...base, ias: 31 }, /ias 31: 32 expected/],
    [{ ...base, oas: 31 }, /oas 31: 32 to 52/],
  ] as const)
    expect(() => x86Pae.configure(config)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) }))
})

test('registers: a root of 32 bytes at a multiple of 32; long mode and other paging are refused', () => {
  const [found] = x86Pae.rootsFromRegs({ cr3: 0x123_d37fn, cr4: 0x35_0ef0n, efer: 0x800n })
  expect(found).toMatchObject({ name: 'cr3', params: { oas: 52, nx: true }, roots: [0x123_d360n], first: 0n, last: 0xffff_ffffn })
  for (const [registers, message] of [
    [{ cr3: 0n, cr4: 0n }, /cr4 0x0: PAE expected/],
    [{ cr3: 0n, cr4: PAE, efer: 0xd01n }, /efer 0xd01: LME and LMA 0/],
    [{ cr3: 1n << 32n, cr4: PAE }, /cr3 0x100000000: 32 bits/],
    [{ cr3: 0n, cr4: PAE, maxPhyAddr: 53 }, /maxPhyAddr 0x35: 32 to 52/],
  ] as const)
    expect(() => x86Pae.rootsFromRegs(registers)).toThrow(
      expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) }),
    )
})

test('tables that are made: pointers grant nothing, NOEXEC needs NX', () => {
  const newTable = (quirks: readonly 'NX'[]) => {
    const pool = new PtPool({ base: 0x8000_0000n, size: 0x10_0000 })
    return IoPageTable.createRaw(x86Pae, { allocator: pool, pgsizeBitmap: 0x20_1000n, ias: 32, oas: 52, quirks })
  }
  const table = newTable(['NX'])
  table.map(0x20_0000n, 0xf_ff00_0020_0000n, SZ_2M + SZ_4K, Prot.READ | Prot.WRITE | Prot.NOEXEC)
  expect(table.walk(0x20_0000n).map(({ raw }) => raw)).toEqual([0x8000_1001n, 0x800f_ff00_0020_00e7n])
  expect(table.walk(0x40_0000n).map(({ raw }) => raw)).toEqual([0x8000_1001n, 0x8000_2027n, 0x800f_ff00_0040_0067n])
  expect(table.regs).toEqual({ cr3: 0x8000_0000n, cr4: PAE, efer: 0x800n })
  table.free()
  const plain = newTable([])
  expect(plain.mapPages(0n, 0n, SZ_4K, 1, Prot.READ | Prot.NOEXEC).error?.code).toBe('EINVAL')
  expect(plain.regs.efer).toBe(0n)
  plain.free()
})

test('tables that are made lie below 4 GiB, as the root must', () => {
  const pool = new PtPool({ base: 1n << 32n, size: SZ_2M })
  const create = () => IoPageTable.createRaw(x86Pae, { allocator: pool, pgsizeBitmap: 0x1000n, ias: 32, oas: 52 })
  expect(create).toThrow(expect.objectContaining({ code: 'ENOMEM' }))
})
