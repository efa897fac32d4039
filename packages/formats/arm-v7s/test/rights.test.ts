/** Rights as DDI 0406C B3.7 has them, case by case: AP, XN, PXN of the entry above, domains, the access flag, WXN; FSR. */
import { AccessRules, decode, nodeOf, rightsByParty } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { type ArmV7sHardware, armV7s } from '../src/index.ts'

const [AFE, HA, WXN, UWXN] = [1n << 29n, 1n << 17n, 1n << 19n, 1n << 20n]

function rulesOf(registers: Partial<ArmV7sHardware> = {}): AccessRules {
  const [root] = armV7s.rootsFromRegs({ ttbr0: 0n, sctlr: 0n, ...registers })
  return new AccessRules(armV7s, armV7s.geometry(root!.params), root!.context)
}
/** A small page, of AP[2:0] and XN, below an entry with a domain and PXN. */
function page(rules: AccessRules, ap: number, { xn = 0, domain = 0, pxn = 0 } = {}) {
  const raw = BigInt(2 | xn | ((ap & 3) << 4) | ((ap >> 2) << 9))
  const above = BigInt(1 | (pxn << 2) | (domain << 5))
  return rules.path([
    decode(rules.geometry, nodeOf(rules.geometry, 'level1'), above),
    decode(rules.geometry, nodeOf(rules.geometry, 'level2'), raw),
  ])
}
const text = (rules: AccessRules, ...args: [ap: number, more?: object]) =>
  Object.values(rightsByParty(page(rules, ...args).rights, rules.parties)).join(' ')

test.each([
  // AP[2:0], privileged beside user; with AFE, AP[0] is no permission
  [0, '--- ---', '--- rwx'],
  [1, '--- rwx', '--- rwx'],
  [2, 'r-x rwx', 'rwx rwx'],
  [3, 'rwx rwx', 'rwx rwx'],
  [4, '--- ---', '--- r-x'],
  [5, '--- r-x', '--- r-x'],
  [6, 'r-x r-x', 'r-x r-x'],
  [7, 'r-x r-x', 'r-x r-x'],
])('AP %i', (ap, expected, withAfe) => {
  expect(text(rulesOf(), ap)).toBe(expected)
  expect(text(rulesOf({ sctlr: AFE }), ap)).toBe(withAfe)
  expect(text(rulesOf(), ap, { xn: 1 })).toBe(expected.replaceAll('x', '-'))
  expect(text(rulesOf(), ap, { pxn: 1 })).toBe(`${expected.slice(0, 3)} ${expected.slice(4).replace('x', '-')}`)
})

test('domains: a client is checked, a manager is not, all others fault', () => {
  const rules = rulesOf({ dacr: 0b11_10_00_01n })
  const fault = (domain: number, ap: number) =>
    rules.fault(page(rules, ap, { domain, xn: 1, pxn: 1 }), { access: 'execute', privileged: true })?.type
  expect([0, 1, 2, 3].map((domain) => fault(domain, 0))).toEqual(['permission', 'domain', 'domain', undefined])
  expect(text(rules, 0, { domain: 3, xn: 1, pxn: 1 })).toBe('rwx rwx')
})

test('a section has its own domain, a supersection is in 0', () => {
  const rules = rulesOf({ dacr: 0b00_01n })
  const section = (bits: bigint) => rules.path([decode(rules.geometry, nodeOf(rules.geometry, 'level1'), 0xc02n | bits)])
  expect(section(0n).traps).toEqual({})
  expect(section(1n << 5n).traps).toEqual({ read: 'domain', write: 'domain', execute: 'domain' })
  expect(section(1n << 18n).traps).toEqual({})
  expect(rightsByParty(section(1n).rights)).toEqual({ user: 'rwx', privileged: 'rw-' })
})

test('the access flag, before the domain; hardware may set it', () => {
  const dacr = 0n
  expect(page(rulesOf({ sctlr: AFE, dacr }), 2).traps.read).toBe('access-flag')
  expect(page(rulesOf({ sctlr: AFE, dacr }), 3).traps.read).toBe('domain')
  expect(page(rulesOf({ sctlr: AFE | HA }), 2).traps).toEqual({})
})

test('WXN and UWXN', () => {
  expect(text(rulesOf({ sctlr: WXN }), 3)).toBe('rw- rw-')
  expect(text(rulesOf({ sctlr: WXN }), 6)).toBe('r-x r-x')
  expect(text(rulesOf({ sctlr: UWXN }), 3)).toBe('rwx rw-')
  expect(text(rulesOf({ sctlr: UWXN }), 1)).toBe('--- rwx')
})

test('fault status, and what was assumed', () => {
  const rules = rulesOf({ dacr: 1n })
  const code = (path: ReturnType<typeof page>) => {
    const fault = rules.fault(path, { access: 'write', privileged: false })
    return fault && armV7s.fault?.(fault, rules.context as never).codes
  }
  expect(code(page(rules, 1))).toEqual({ FS: 0b01111, WnR: 1 })
  expect(code(page(rules, 3, { domain: 1 }))).toEqual({ FS: 0b01011, WnR: 1 })
  expect(code(rules.path([decode(rules.geometry, nodeOf(rules.geometry, 'level1'), 0n)]))).toEqual({ FS: 0b00101, WnR: 1 })
  expect(page(rules, 3).assumed).toEqual(['PRRR', 'NMRR'])
})
