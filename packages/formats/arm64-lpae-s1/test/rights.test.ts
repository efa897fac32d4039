/** Rights as DDI 0487 D8.4 has them, case by case: AP and XN, hierarchical control, WXN, PAN, one privilege, TBI; the fault status codes. */
import { AccessRules, decode, nodeOf, rightsByParty } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { type ArmLpaeS1Hardware, arm64LpaeS1 } from '../src/index.ts'

const TCR = 16n | (1n << 23n) | (5n << 32n)
/** T0SZ 16, PS 48 bits: the layout of EL2 and EL3. */
const TCR_SINGLE = 16n | (5n << 16n)
const [TABLE, PAGE] = [3n, 0x403n]
const [AP1, AP2, DBM, PXN, UXN] = [1n << 6n, 1n << 7n, 1n << 51n, 1n << 53n, 1n << 54n]
const [PXN_TABLE, UXN_TABLE, NO_USER, NO_WRITE] = [1n << 59n, 1n << 60n, 1n << 61n, 1n << 62n]

function rulesOf(registers: Partial<ArmLpaeS1Hardware> = {}): AccessRules {
  const [root] = arm64LpaeS1.rootsFromRegs({ ttbr0: 0x1000n, tcr: TCR, mair: 0xff44_0c04_0800n, ...registers })
  return new AccessRules(arm64LpaeS1, arm64LpaeS1.geometry(root!.params), root!.context)
}
const pathOf = (rules: AccessRules, page: bigint, ...tables: readonly bigint[]) =>
  rules.path(
    [...tables, TABLE, TABLE, TABLE]
      .slice(0, 3)
      .concat(page)
      .map((raw, i) => decode(rules.geometry, nodeOf(rules.geometry, `L${i}`), raw)),
  )
const rights = (rules: AccessRules, page: bigint, ...tables: readonly bigint[]) =>
  Object.values(rightsByParty(pathOf(rules, PAGE | page, ...tables.map((bits) => TABLE | bits)).rights, rules.parties)).join(' ')

describe('EL1&0', () => {
  const rules = rulesOf()
  test.each([
    [0n, '--x rwx'],
    // what EL0 may write EL1 does not execute
    [AP1, 'rwx rw-'],
    [AP2, '--x r-x'],
    [AP1 | AP2, 'r-x r-x'],
    [UXN, '--- rwx'],
    [PXN, '--x rw-'],
    [AP1 | UXN, 'rw- rw-'],
    [AP1 | AP2 | PXN, 'r-x r--'],
    [AP1 | AP2 | PXN | UXN, 'r-- r--'],
  ] as const)('a page %i', (bits, expected) => expect(rights(rules, bits)).toBe(expected))
  test.each([
    [NO_USER, '--x rwx'],
    [NO_WRITE, 'r-x r-x'],
    [NO_USER | NO_WRITE, '--x r-x'],
    [UXN_TABLE, 'rw- rw-'],
    [PXN_TABLE, 'rwx rw-'],
  ] as const)('an open page below a table %i, at any level; not with HPD', (bits, expected) => {
    expect(rights(rules, AP1, bits)).toBe(expected)
    expect(rights(rules, AP1, 0n, 0n, bits)).toBe(expected)
    expect(rights(rulesOf({ tcr: TCR | (1n << 41n) }), AP1, bits)).toBe('rwx rw-')
  })
  test('WXN; DBM with HD; what was assumed', () => {
    expect(rights(rulesOf({ sctlr: 1n << 19n }), 0n)).toBe('--x rw-')
    expect(rights(rulesOf({ sctlr: 1n << 19n }), AP1 | AP2)).toBe('r-x r-x')
    expect(rights(rules, AP2 | DBM)).toBe('--x r-x')
    expect(rights(rulesOf({ tcr: TCR | (1n << 40n) }), AP2 | DBM)).toBe('--x rwx')
    expect(pathOf(rules, PAGE).assumed).toEqual(['SCTLR.WXN 0'])
    expect(pathOf(rulesOf({ sctlr: 0n }), PAGE).assumed).toEqual([])
  })
  test('PAN is of the moment', () => {
    const access = { access: 'read', privileged: true } as const
    const user = pathOf(rules, PAGE | AP1)
    expect(rules.fault(user, access)).toBeUndefined()
    expect(rules.fault(user, access, { PAN: true })).toMatchObject({ type: 'permission' })
    expect(rules.fault(pathOf(rules, PAGE), access, { PAN: true })).toBeUndefined()
  })
  test('a tag, with TBI', () => {
    const read = () => undefined
    expect(rulesOf({ tcr: TCR | (1n << 37n) }).translate([0x1000n], read, 0xab00_0000_0000_1000n).fault).toMatchObject({
      type: 'unknown-memory',
    })
    expect(rules.translate([0x1000n], read, 0xab00_0000_0000_1000n).fault).toMatchObject({ type: 'translation' })
  })
})

describe('EL2 and EL3: one privilege', () => {
  test.each(['el2', 'el3'] as const)('%s', (regime) => {
    const rules = rulesOf({ regime, tcr: TCR_SINGLE })
    expect(rights(rules, 0n)).toBe('rwx')
    expect(rights(rules, AP1 | AP2)).toBe('r-x')
    expect(rights(rules, PXN)).toBe('rwx')
    expect(rights(rules, UXN)).toBe('rw-')
    expect(rights(rules, 0n, UXN_TABLE)).toBe('rw-')
    expect(rights(rules, 0n, NO_WRITE | NO_USER | PXN_TABLE)).toBe('r-x')
    expect(rights(rulesOf({ regime, tcr: TCR_SINGLE, sctlr: 1n << 19n }), 0n)).toBe('rw-')
    expect(() => rulesOf({ regime, tcr: TCR_SINGLE, ttbr1: 0n })).toThrow('none expected')
  })
  test('EL2&0 is as EL1&0', () => expect(rights(rulesOf({ regime: 'el2e2h' }), AP1)).toBe('rwx rw-'))
})

test('fault status codes', () => {
  const rules = rulesOf()
  const code = (path: ReturnType<typeof pathOf>, access: 'read' | 'write' = 'read') => {
    const fault = rules.fault(path, { access, privileged: false })
    return fault && arm64LpaeS1.fault?.(fault, rules.context as never).codes
  }
  expect(code(pathOf(rules, 0n))).toEqual({ FSC: 0x07, WnR: 0 })
  expect(code(pathOf(rules, PAGE, 0n))).toEqual({ FSC: 0x04, WnR: 0 })
  expect(code(pathOf(rules, 3n | AP1))).toEqual({ FSC: 0x0b, WnR: 0 })
  expect(code(pathOf(rules, PAGE | AP1 | AP2), 'write')).toEqual({ FSC: 0x0f, WnR: 1 })
  const small = rulesOf({ tcr: 16n | (1n << 23n) })
  expect(pathOf(small, PAGE | (1n << 32n)).fault).toMatchObject({ type: 'address-size', level: 3 })
  expect(code(pathOf(small, PAGE | (1n << 32n)))).toEqual({ FSC: 0x03, WnR: 0 })
  // HA: hardware sets AF
  expect(
    rulesOf({ tcr: TCR | (1n << 39n) }).fault(pathOf(rulesOf({ tcr: TCR | (1n << 39n) }), 3n | AP1), { access: 'read', privileged: false }),
  ).toBeUndefined()
})

test('memory types by MAIR', () => {
  const rules = rulesOf()
  const names = [0n, 1n, 2n, 3n, 4n, 5n].map((index) => pathOf(rules, PAGE | (index << 2n)).memory?.name)
  expect(names).toEqual([
    'Device-nGnRnE',
    'Device-nGRE',
    'Device-nGnRE',
    'Device-GRE',
    'Normal Non-cacheable',
    'Normal Write-Back Read/Write-Allocate',
  ])
})
