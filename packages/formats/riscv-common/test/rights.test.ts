/** Rights as the manual has them, case by case: "Virtual Address Translation Process", U, R, W, X, A, D, SUM and MXR; Svpbmt; scause. */
import { AccessRules, type AnyFmt, decode, nodeOf, rightsByParty } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import {
  enabledExtensions,
  type RiscvRegime,
  type RiscvScheme,
  riscvFault,
  riscvGuest,
  riscvNodes,
  riscvRegime,
  riscvSupervisor,
} from '../src/index.ts'

const [V, R, W, X, U, A, D] = [1n, 2n, 4n, 8n, 16n, 64n, 128n]
const SV39: RiscvScheme = { levels: 3, entryBytes: 8, gStage: false, extensions: ['Svpbmt', 'Zicfiss'] }

/** What of a format the rules look at. */
function rulesOf(scheme: RiscvScheme, regime: RiscvRegime): AccessRules {
  const format = {
    parties: () => (scheme.gStage ? ['all'] : ['user', 'privileged']),
    regime: (_context: unknown, state: undefined) => (scheme.gStage ? riscvGuest(state) : riscvSupervisor(state)),
  } as unknown as AnyFmt
  return new AccessRules(format, { nodes: riscvNodes(scheme), top: 'L2', ias: 39, oas: 56, window: 'low' }, regime)
}
const svade = rulesOf(SV39, riscvRegime(undefined))
const guest = rulesOf({ ...SV39, gStage: true }, riscvRegime(undefined))
const pathOf = (rules: AccessRules, raw: bigint, level = 0) =>
  rules.path([decode(rules.geometry, nodeOf(rules.geometry, `L${level}`), raw)])

test.each([
  // [page, of user and of supervisor mode; G-stage, where U must be set]
  [R, '--- r--', undefined],
  [R | W, '--- rw-', undefined],
  [X, '--- --x', undefined],
  [R | X, '--- r-x', undefined],
  [R | W | X, '--- rwx', undefined],
  [R | U, 'r-- r--', 'r--'],
  [R | W | U, 'rw- rw-', 'rw-'],
  [X | U, '--x ---', '--x'],
  [R | X | U, 'r-x r--', 'r-x'],
  [R | W | X | U, 'rwx rw-', 'rwx'],
  // a shadow stack page, which is read
  [W, '--- r--', undefined],
  [W | U, 'r-- r--', undefined],
] as const)('a page %i', (bits, expected, ofGuest) => {
  const text = (rules: AccessRules) => Object.values(rightsByParty(pathOf(rules, V | A | D | bits).rights, rules.parties)).join(' ')
  expect(text(svade)).toBe(expected)
  if (ofGuest !== undefined) expect(text(guest)).toBe(ofGuest)
})

describe('faults', () => {
  const type = (rules: AccessRules, raw: bigint, access: 'read' | 'write' | 'execute', privileged: boolean, state = {}) =>
    rules.fault(pathOf(rules, raw), { access, privileged }, state)?.type

  test('A and D: Svade faults, Svadu does not; a page that is not writable has no D to want', () => {
    const svadu = rulesOf(SV39, riscvRegime(1n << 61n))
    for (const [raw, access, fault] of [
      [V | R | W | U, 'read', 'access-flag'],
      [V | R | W | U | A, 'read', undefined],
      [V | R | W | U | A, 'write', 'access-flag'],
      [V | R | W | U | A | D, 'write', undefined],
    ] as const) {
      expect(type(svade, raw, access, false)).toBe(fault)
      expect(type(svadu, raw, access, false)).toBeUndefined()
    }
    expect(type(svade, V | R | U | A, 'write', false)).toBe('permission')
    expect(svade.geometry.nodes[2]?.kinds.at(-1)).toMatchObject({ updates: expect.any(Function) as () => void })
  })
  test('SUM and MXR decide an access, and leave the rights as they are', () => {
    const page = V | A | D | U | R | W
    expect(type(svade, page, 'read', true)).toBe('permission')
    expect(type(svade, page, 'read', true, { SUM: true })).toBeUndefined()
    expect(type(svade, page | X, 'execute', true, { SUM: true })).toBe('permission')
    const code = V | A | D | X
    expect(type(svade, code, 'read', true)).toBe('permission')
    expect(type(svade, code, 'read', true, { MXR: true })).toBeUndefined()
    expect(type(svade, code | U, 'read', false, { MXR: true })).toBeUndefined()
    expect(type(svade, code | U, 'read', true, { MXR: true })).toBe('permission')
    expect(type(svade, code | U, 'read', true, { MXR: true, SUM: true })).toBeUndefined()
    expect(type(guest, code | U, 'read', false, { MXR: true })).toBeUndefined()
  })
  test.each([
    ['not valid', 0n, 0, 'translation'],
    ['writable, not readable', V | W | X, 0, 'reserved'],
    ['pointer at level 0', V, 0, 'translation'],
    ['misaligned megapage', V | R | A | (1n << 10n), 1, 'misaligned'],
    ['reserved bits', V | R | A | (1n << 54n), 0, 'reserved'],
    ['A in a pointer', V | A, 1, 'reserved'],
  ] as const)('%s', (_name, raw, level, fault) => {
    expect(pathOf(svade, raw, level).fault).toMatchObject({ type: fault, level })
  })
  test('a page that guests may not use, a reserved memory type', () => {
    expect(pathOf(guest, V | R | A).fault).toMatchObject({ type: 'permission' })
    expect(type(svade, V | R | U | A | (3n << 61n), 'read', false)).toBe('reserved')
  })
  test('scause', () => {
    const cause = (fault: 'translation' | 'walk-abort', access: 'read' | 'write' | 'execute', g: boolean) =>
      riscvFault({ type: fault, access, privileged: false, level: 0, reason: '' }, g).codes.cause
    expect(['execute', 'read', 'write'].map((access) => cause('translation', access as 'read', false))).toEqual([12, 13, 15])
    expect(['execute', 'read', 'write'].map((access) => cause('translation', access as 'read', true))).toEqual([20, 21, 23])
    expect(['execute', 'read', 'write'].map((access) => cause('walk-abort', access as 'read', true))).toEqual([1, 5, 7])
  })
})

test('memory types of Svpbmt; without it the entry does not tell', () => {
  const memory = (rules: AccessRules, pbmt: bigint) => pathOf(rules, V | R | A | (pbmt << 61n)).memory
  expect([0n, 1n, 2n, 3n].map((pbmt) => memory(svade, pbmt)?.name)).toEqual(['PMA', 'NC', 'IO', 'reserved'])
  expect(memory(rulesOf({ ...SV39, extensions: [] }, riscvRegime(undefined)), 0n)).toBeUndefined()
})

test('menvcfg: what is left out is assumed', () => {
  expect(riscvRegime(undefined)).toEqual({ adue: false, assumed: ['menvcfg.ADUE 0'] })
  expect(riscvRegime(0n)).toEqual({ adue: false, assumed: [] })
  expect(enabledExtensions(['Svpbmt', 'Svnapot'], 0n)).toEqual(['Svnapot'])
  expect(enabledExtensions(['Svpbmt', 'Svnapot'], 1n << 62n)).toEqual(['Svpbmt', 'Svnapot'])
  expect(enabledExtensions(['Svpbmt'], undefined)).toEqual(['Svpbmt'])
})
