/** Entries, rights, faults, configurations and registers by hand: SDM 4.3, figure 4-4; 4.6; 4.7. */
import { AccessRules, decode, IoPageTable, nodeOf, Prot, rightsByParty, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { type X8632Hardware, x8632 } from '../src/index.ts'

const [P, RW, US, PWT, PCD, PS] = [1n, 2n, 4n, 8n, 16n, 128n]
const OPEN = P | RW | US
const [PSE, PAE, SMEP] = [0x10n, 0x20n, 1n << 20n]
const SZ_4M = 0x40_0000
const NPT = { cr3: undefined, ncr3: 0x1000n }

function rulesOf(registers: Partial<X8632Hardware> = {}): AccessRules {
  const [root] = x8632.rootsFromRegs({ cr3: 0x1000n, cr4: PSE, ...registers })
  return new AccessRules(x8632, x8632.geometry(root!.params), root!.context)
}
function pathOf(rules: AccessRules, ...raws: readonly bigint[]) {
  return rules.path(raws.map((raw, i) => decode(rules.geometry, nodeOf(rules.geometry, `L${2 - i}`), raw)))
}

describe('entries', () => {
  const { geometry } = rulesOf()
  const [directory, table] = geometry.nodes
  test('of the kernel of a dump: a 4-MByte page, a table, a page', () => {
    expect(decode(geometry, directory!, 0x0040_01e3n)).toMatchObject({
      type: 'leaf',
      paddr: 0x40_0000n,
      size: { pgsize: SZ_4M },
      reserved: 0n,
    })
    expect(decode(geometry, directory!, 0x0212_2067n)).toMatchObject({ type: 'table', next: 0x212_2000n, reserved: 0n })
    expect(decode(geometry, table!, 0x05e7_1025n)).toMatchObject({
      type: 'leaf',
      paddr: 0x5e7_1000n,
      size: { pgsize: SZ_4K },
      reserved: 0n,
    })
  })
  test('PSE-36: bits 20:13 are address bits 39:32, bit 21 is reserved', () => {
    expect(decode(geometry, directory!, 0xffdf_e081n)).toMatchObject({ type: 'leaf', paddr: 0xff_ffc0_0000n, reserved: 0n })
    expect(decode(geometry, directory!, 0x0020_0081n)).toMatchObject({ reserved: 0x20_0000n })
    const some = rulesOf({ maxPhyAddr: 36 }).geometry
    expect(decode(some, some.nodes[0]!, 0xfffe_0081n)).toMatchObject({
      type: 'leaf',
      paddr: 0xffc0_0000n,
      reserved: 0x3e_0000n,
    })
    const none = rulesOf({ maxPhyAddr: 32 }).geometry
    expect(decode(none, none.nodes[0]!, 0x003f_e081n)).toMatchObject({ type: 'leaf', paddr: 0n, reserved: 0x3f_e000n })
  })
  test('without CR4.PSE, PS is ignored', () => {
    const { geometry: plain } = rulesOf({ cr4: 0n })
    expect(decode(plain, plain.nodes[0]!, 0x0040_11e3n)).toMatchObject({ type: 'table', next: 0x40_1000n, reserved: 0n })
  })
  test('not present: everything else is software’s', () => {
    for (const node of geometry.nodes) expect(decode(geometry, node, 0xffff_fffen)).toMatchObject({ type: 'empty' })
  })
})

test.each([
  // [registers, directory entry, page, what user and privileged may]
  [{}, OPEN, OPEN, 'rwx rwx'],
  [{}, OPEN, P | US, 'r-x r-x'],
  [{}, P | US, OPEN, 'r-x r-x'],
  [{}, P | RW, OPEN, '--- rwx'],
  [{}, OPEN, P, '--- r-x'],
  [{ cr0: 0n }, OPEN, P | US, 'r-x rwx'],
  [{ cr4: PSE | SMEP }, OPEN, OPEN, 'rwx rw-'],
  [NPT, OPEN, OPEN, 'rwx'],
  [NPT, OPEN, P | RW, '---'],
] as const)('%o, entries %i and %i: %s', (registers, directory, page, expected) => {
  const rules = rulesOf(registers)
  expect(Object.values(rightsByParty(pathOf(rules, directory, page).rights, rules.parties)).join(' ')).toBe(expected)
})

test('the error code: I/D only where SMEP is set', () => {
  const code = (registers: Partial<X8632Hardware>, path: readonly bigint[], access: 'read' | 'write' | 'execute', privileged: boolean) => {
    const rules = rulesOf(registers)
    const fault = rules.fault(pathOf(rules, ...path), { access, privileged }, {})
    return fault && [fault.type, fault.level, x8632.fault?.(fault, rules.context as never).codes.error]
  }
  expect(code({}, [OPEN, OPEN], 'write', false)).toBeUndefined()
  expect(code({}, [0n], 'write', false)).toEqual(['translation', 2, 6])
  expect(code({}, [OPEN, P | US], 'write', true)).toEqual(['permission', 1, 3])
  expect(code({}, [OPEN, P], 'execute', false)).toEqual(['permission', 1, 5])
  expect(code({ cr4: PSE | SMEP }, [OPEN, OPEN], 'execute', true)).toEqual(['permission', 1, 0x11])
  expect(code({}, [OPEN | PS | (1n << 21n)], 'read', false)).toEqual(['reserved', 2, 0xd])
})

test('memory types: the PAT bit is 7 of a page, 12 of a large one', () => {
  const name = (...raws: bigint[]) => pathOf(rulesOf({ pat: 0x0105_0406_0007_0406n }), ...raws).memory?.name
  expect([0n, PWT, PCD, PCD | PWT, 0x80n, 0x98n].map((bits) => name(OPEN, OPEN | bits))).toEqual(['WB', 'WT', 'UC-', 'UC', 'WB', 'WC'])
  expect([0n, 0x1000n, 0x1018n].map((bits) => name(OPEN | PS | bits))).toEqual(['WB', 'WB', 'WC'])
})

test('configurations: 4-KByte pages end at 4 GiB, 4-MByte pages at 40 bits', () => {
  const base = { pgsizeBitmap: 0x40_1000n, ias: 32, oas: 40 }
  expect(x8632.configure(base)).toMatchObject({ oas: 32, pgsizeBitmap: 0x40_1000n })
  expect(x8632.configure({ ...base, pgsizeBitmap: 0x40_0000n, oas: 52 })).toMatchObject({ oas: 40 })
  for (const [config, message] of [
    [{ ...base, pgsizeBitmap: 0x20_0000n }, /pgsizeBitmap 0x200000: 4K or 4M/],
    [{ ...base, ias: 31 }, /ias 31: 32 expected/],
    [{ ...base, oas: 31 }, /oas 31: at least 32/],
  ] as const)
    expect(() => x8632.configure(config)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) }))
})

test('registers: PWT, PCD and ignored bits are no address; other paging, and what no CPU has, is refused', () => {
  const [found] = x8632.rootsFromRegs({ cr3: 0x1017_fffn, cr4: 0x35_0ed0n })
  expect(found).toMatchObject({ name: 'cr3', params: { oas: 40, pse: true }, roots: [0x101_7000n], first: 0n, last: 0xffff_ffffn })
  expect(x8632.rootsFromRegs({ ncr3: 0x1000n, cr4: 0n })).toMatchObject([
    { name: 'ncr3', params: { pse: false }, context: { nested: true } },
  ])
  for (const [registers, message] of [
    [{ cr3: 0n, cr4: PAE }, /cr4 0x20: PAE is set/],
    [{ cr3: 1n << 32n, cr4: 0n }, /cr3 0x100000000: 32 bits/],
    [{ cr3: 0n, cr4: 0n, maxPhyAddr: 31 }, /maxPhyAddr 0x1f: 32 to 52/],
    [{ cr4: 0n }, /neither: cr3, or ncr3/],
    [{ cr3: 0n, ncr3: 0n, cr4: 0n }, /cr3 0x0 and ncr3 0x0/],
  ] as const)
    expect(() => x8632.rootsFromRegs(registers)).toThrow(
      expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) }),
    )
})

test('tables that are made: descriptors, and NOEXEC that cannot be had', () => {
  const pool = new PtPool({ base: 0x8000_0000n, size: 0x10_0000 })
  const table = IoPageTable.createRaw(x8632, { allocator: pool, pgsizeBitmap: 0x40_1000n, ias: 32, oas: 32 })
  table.map(0x40_0000n, 0x9040_0000n, SZ_4M + SZ_4K, Prot.READ | Prot.WRITE)
  table.map(0x1000n, 0xfee0_0000n, SZ_4K, Prot.READ | Prot.PRIV | Prot.MMIO)
  expect(table.walk(0x40_0000n).map(({ raw }) => raw)).toEqual([0x9040_00e7n])
  expect(table.walk(0x80_0000n).map(({ raw }) => raw)).toEqual([0x8000_1027n, 0x9080_0067n])
  expect(table.walk(0x1000n).at(-1)?.raw).toBe(0xfee0_0039n)
  expect(table.mapPages(0n, 0n, SZ_4K, 1, Prot.READ | Prot.NOEXEC).error?.code).toBe('EINVAL')
  expect(table.regs).toEqual({ cr3: 0x8000_0000n, cr4: PSE })
  table.free()
})
