/** Entries, rights, misconfigurations, memory types and EPTP by hand: SDM volume 3C, 29.3, figure 29-1; 25.6.11. */
import { AccessRules, decode, IoPageTable, nodeOf, Prot, rightsByParty, SZ_1G, SZ_2M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { type EptHardware, x86Ept } from '../src/index.ts'

const [R, W, X, PS, XU] = [1n, 2n, 4n, 128n, 1n << 10n]
const OPEN = R | W | X
/** EMT 6. */
const WB = 6n << 3n
const EPTP = 0x1000n | (3n << 3n) | 6n

function rulesOf(registers: Partial<EptHardware> = {}): AccessRules {
  const [root] = x86Ept.rootsFromRegs({ eptp: EPTP, ...registers })
  return new AccessRules(x86Ept, x86Ept.geometry(root!.params), root!.context)
}
function pathOf(rules: AccessRules, ...raws: readonly bigint[]) {
  return rules.path(raws.map((raw, i) => decode(rules.geometry, nodeOf(rules.geometry, `L${4 - i}`), raw)))
}
const to = (page: bigint, ...tables: readonly bigint[]) => [OPEN, OPEN, OPEN].map((open, i) => tables[i] ?? open).concat(page)

describe('entries', () => {
  const { geometry } = rulesOf({ maxPhyAddr: 46 })
  const at = (level: number, raw: bigint) => decode(geometry, nodeOf(geometry, `L${level}`), raw)
  test('tables and pages of every size', () => {
    expect(at(4, 0x1234_5007n)).toMatchObject({ type: 'table', next: 0x1234_5000n, reserved: 0n })
    expect(at(3, 0x40_0000_00b7n)).toMatchObject({ type: 'leaf', paddr: 0x40_0000_0000n, size: { pgsize: SZ_1G }, reserved: 0n })
    expect(at(2, 0x4020_00f7n)).toMatchObject({ type: 'leaf', paddr: 0x4020_0000n, size: { pgsize: SZ_2M }, reserved: 0n })
    expect(at(1, 0x8000_0000_4020_1ff7n)).toMatchObject({ type: 'leaf', paddr: 0x4020_1000n, size: { pgsize: SZ_4K }, reserved: 0n })
  })
  test('reserved bits', () => {
    const all = (1n << 64n) - 1n
    const beyond = 0xf_c000_0000_0000n
    expect(at(4, all)).toMatchObject({ type: 'table', reserved: beyond | 0xf8n })
    expect(at(3, all)).toMatchObject({ type: 'leaf', reserved: beyond | 0x3fff_f000n })
    expect(at(2, all)).toMatchObject({ type: 'leaf', reserved: beyond | 0x1f_f000n })
    expect(at(2, all & ~PS)).toMatchObject({ type: 'table', reserved: beyond | 0x78n })
    expect(at(1, all)).toMatchObject({ type: 'leaf', reserved: beyond })
  })
  test('not present: no access at all; XU counts with mode-based execute control alone', () => {
    expect(at(1, ~7n & 0xffff_ffff_ffff_ffffn)).toMatchObject({ type: 'empty' })
    const { geometry: byMode } = rulesOf({ mbec: true })
    expect(decode(byMode, nodeOf(byMode, 'L1'), XU)).toMatchObject({ type: 'leaf' })
  })
})

test.each([
  // [controls, page, PDE, rights of all, or of user and supervisor mode]
  [{}, OPEN, OPEN, 'rwx'],
  [{}, R, OPEN, 'r--'],
  [{}, X, OPEN, '--x'],
  [{}, OPEN, R | X, 'r-x'],
  [{}, OPEN | XU, R, 'r--'],
  [{ mbec: true }, OPEN, OPEN | XU, 'rw- rwx'],
  [{ mbec: true }, R | W | XU, OPEN | XU, 'rwx rw-'],
  [{ mbec: true }, OPEN | XU, OPEN, 'rw- rwx'],
] as const)('%o, page %i below %i: %s', (controls, page, pde, expected) => {
  const rules = rulesOf(controls)
  const open = OPEN | XU
  expect(Object.values(rightsByParty(pathOf(rules, open, open, pde, page | WB).rights, rules.parties)).join(' ')).toBe(expected)
})

test('violations and misconfigurations', () => {
  const told = (controls: Partial<EptHardware>, path: readonly bigint[], access: 'read' | 'write' | 'execute') => {
    const rules = rulesOf(controls)
    const fault = rules.fault(pathOf(rules, ...path), { access, privileged: false })
    return fault && [fault.type, fault.level, x86Ept.fault?.(fault, rules.context as never)?.codes]
  }
  const misconfigured = (level: number) => ['misconfigured', level, { exitReason: 49 }]
  expect(told({}, to(OPEN | WB), 'write')).toBeUndefined()
  expect(told({}, to(0n), 'write')).toEqual(['translation', 1, { exitReason: 48, qualification: 2 }])
  expect(told({}, to(R | W | WB), 'execute')).toEqual(['permission', 1, { exitReason: 48, qualification: 4 }])
  expect(told({}, to(OPEN | WB, R | X), 'write')).toEqual(['permission', 1, { exitReason: 48, qualification: 2 }])
  expect(told({}, to(W | WB), 'write')).toEqual(misconfigured(1))
  expect(told({}, [W | X], 'read')).toEqual(misconfigured(4))
  expect(told({}, to(OPEN | WB, OPEN, OPEN, OPEN | 8n), 'read')).toEqual(misconfigured(2))
  expect(told({}, [OPEN | PS], 'read')).toEqual(misconfigured(4))
  for (const type of [2n, 3n, 7n]) expect(told({}, to(OPEN | (type << 3n)), 'read')).toEqual(misconfigured(1))
  for (const type of [0n, 1n, 4n, 5n, 6n]) expect(told({}, to(OPEN | (type << 3n)), 'read')).toBeUndefined()
  expect(told({}, to(X | WB), 'execute')).toBeUndefined()
  expect(told({ executeOnly: false }, to(X | WB), 'execute')).toEqual(misconfigured(1))
  expect(told({ executeOnly: false, mbec: true }, to(XU | WB), 'execute')).toEqual(misconfigured(1))
  expect(told({ maxPhyAddr: 40 }, to(OPEN | WB | (1n << 40n)), 'read')).toEqual(misconfigured(1))
})

test('memory types', () => {
  const name = (bits: bigint) => pathOf(rulesOf(), ...to(OPEN | bits)).memory?.name
  expect([0n, 1n, 4n, 5n, 6n].map((type) => name(type << 3n))).toEqual(['UC', 'WC', 'WT', 'WP', 'WB'])
  expect([name(WB | 0x40n), name(0x40n)]).toEqual(['WB, IPAT', 'UC, IPAT'])
})

test('accessed and dirty flags, where EPTP enables them', () => {
  const leaf = rulesOf().geometry.nodes.at(-1)!.kinds.at(-1)!
  const of = (eptp: bigint) => leaf.type === 'leaf' && leaf.updates?.(rulesOf({ eptp }).context)
  expect(of(EPTP)).toEqual({})
  expect(of(EPTP | 0x40n)).toEqual({ accessed: { clear: 0n, set: 0x100n }, dirty: { clear: 0n, set: 0x200n } })
})

test('EPTP: levels, memory type and reserved bits as VM entry checks them', () => {
  expect(x86Ept.rootsFromRegs({ eptp: 0x1234_505en })).toMatchObject([
    { name: 'eptp', roots: [0x1234_5000n], params: { levels: 4, ad: true, mbec: false }, first: 0n, last: (1n << 48n) - 1n },
  ])
  expect(x86Ept.rootsFromRegs({ eptp: 0x1026n })).toMatchObject([{ params: { levels: 5, ias: 57 }, last: (1n << 57n) - 1n }])
  for (const [registers, message] of [
    [{ eptp: 0x1016n }, /eptp 0x1016: bits 5:3 are 2/],
    [{ eptp: 0x1019n }, /memory type 1: 0 \(UC\) or 6 \(WB\)/],
    [{ eptp: 0x191en }, /reserved bits are set: 0x900/],
    [{ eptp: (1n << 46n) | 0x101en, maxPhyAddr: 46 }, /reserved bits are set: 0x400000000000/],
    [{ eptp: 0x101en, maxPhyAddr: 53 }, /maxPhyAddr 0x35/],
  ] as const)
    expect(() => x86Ept.rootsFromRegs(registers)).toThrow(
      expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) }),
    )
})

test('configurations', () => {
  const base = { pgsizeBitmap: 0x4020_1000n, ias: 64, oas: 64 }
  expect(x86Ept.configure(base)).toMatchObject({ ias: 57, oas: 52, pgsizeBitmap: 0x4020_1000n })
  for (const [config, message] of [
    [{ ...base, ias: 12 }, /ias 12: 13 to 57/],
    [{ ...base, oas: 31 }, /oas 31: 32 to 52/],
    [{ ...base, pgsizeBitmap: 0x20_0000n }, /4K must be among/],
  ] as const)
    expect(() => x86Ept.configure(config)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) }))
})

test('tables that are made: descriptors, EPTP, and PRIV that cannot be had', () => {
  const pool = new PtPool({ base: 0x8000_0000n, size: 0x10_0000 })
  const table = IoPageTable.createRaw(x86Ept, { allocator: pool, pgsizeBitmap: 0x20_1000n, ias: 48, oas: 46, quirks: ['AD'] })
  table.map(0x20_0000n, 0x1_0020_0000n, SZ_2M, Prot.READ | Prot.WRITE | Prot.CACHE)
  table.map(0x1000n, 0xfee0_0000n, SZ_4K, Prot.READ | Prot.NOEXEC | Prot.MMIO)
  expect(table.walk(0x20_0000n).map(({ raw }) => raw)).toEqual([0x8000_1007n, 0x8000_2007n, 0x1_0020_00b7n])
  expect(table.walk(0x1000n).at(-1)?.raw).toBe(0xfee0_0001n)
  expect(table.mapPages(0n, 0n, SZ_4K, 1, Prot.READ | Prot.PRIV).error?.code).toBe('EINVAL')
  expect(table.regs).toEqual({ eptp: 0x8000_005en })
  table.free()
})
