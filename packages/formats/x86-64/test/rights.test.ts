/** Rights as the manuals have them, case by case: SDM 4.6 (access rights), 4.7 (error code), 11.12 (PAT); APM 15.25; VT-d 9.6. */
import { AccessRules, decode, nodeOf, rightsByParty } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { type X8664Hardware, x8664 } from '../src/index.ts'

const [P, RW, US, PWT, PCD, A, D, PS, PAT, XD] = [1n, 2n, 4n, 8n, 16n, 32n, 64n, 128n, 128n, 1n << 63n]
const OPEN = P | RW | US
const PAE = 0x20n
const [SMEP, SMAP] = [1n << 20n, 1n << 21n]

/** Nested paging. */
const NPT = { cr3: undefined, ncr3: 0x1000n }

function rulesOf(registers: Partial<X8664Hardware> = {}): AccessRules {
  const [root] = x8664.rootsFromRegs({ cr3: 0x1000n, cr4: PAE, ...registers })
  return new AccessRules(x8664, x8664.geometry(root!.params), root!.context)
}

/** A way through 4 levels: the last is a page. */
function pathOf(rules: AccessRules, ...raws: readonly bigint[]) {
  return rules.path(raws.map((raw, i) => decode(rules.geometry, nodeOf(rules.geometry, `L${4 - i}`), raw)))
}

function rights(registers: Partial<X8664Hardware>, page: bigint, tables = OPEN): string {
  const rules = rulesOf(registers)
  return Object.values(rightsByParty(pathOf(rules, tables, OPEN, OPEN, page).rights, rules.parties)).join(' ')
}

test.each([
  // [registers, page, what user and privileged may]
  [{}, OPEN, 'rwx rwx'],
  [{}, P | US, 'r-x r-x'],
  [{}, P | RW, '--- rwx'],
  [{}, P, '--- r-x'],
  [{}, OPEN | XD, 'rw- rw-'],
  [{ cr0: 1n << 16n }, P | US, 'r-x r-x'],
  [{ cr0: 0n }, P | US, 'r-x rwx'],
  [{ cr0: 0n }, P, '--- rwx'],
  [{ cr4: PAE | SMEP }, OPEN, 'rwx rw-'],
  [{ cr4: PAE | SMEP }, P | RW, '--- rwx'],
  [{ cr4: PAE | SMAP }, OPEN, 'rwx rwx'],
  [{ requests: { supervisor: false, execute: false } }, OPEN, 'rw- ---'],
  [{ requests: { supervisor: true, execute: false } }, OPEN, 'rw- rw-'],
  [{ requests: { supervisor: false, execute: true } }, P | RW, '--- ---'],
  [NPT, OPEN, 'rwx'],
  [NPT, P | RW, '---'],
  [NPT, P | US | XD, 'r--'],
] as const)('%o, page %i: %s', (registers, page, expected) => {
  expect(rights(registers, page)).toBe(expected)
})

test.each([
  [OPEN, 'rwx rwx'],
  [P | US, 'r-x r-x'],
  [P | RW, '--- rwx'],
  [OPEN | XD, 'rw- rw-'],
  [P | XD, '--- r--'],
] as const)('a table %i takes away what it knows', (table, expected) => {
  expect(rights({}, OPEN, table)).toBe(expected)
})

describe('faults', () => {
  const code = (rules: AccessRules, path: readonly bigint[], access: 'read' | 'write' | 'execute', privileged: boolean, state = {}) => {
    const fault = rules.fault(pathOf(rules, ...path), { access, privileged }, state)
    return fault && [fault.type, fault.level, x8664.fault?.(fault, rules.context as never).codes.error]
  }
  const to = (page: bigint) => [OPEN, OPEN, OPEN, page]

  test('the error code', () => {
    const rules = rulesOf({ cr4: PAE | SMEP | SMAP })
    expect(code(rules, to(OPEN), 'write', false)).toBeUndefined()
    expect(code(rules, to(0n), 'read', true)).toEqual(['translation', 1, 0])
    expect(code(rules, [OPEN, 0n], 'write', false)).toEqual(['translation', 3, 6])
    expect(code(rules, to(P | US), 'write', true)).toEqual(['permission', 1, 3])
    expect(code(rules, to(P | RW), 'read', false)).toEqual(['permission', 1, 5])
    expect(code(rules, to(OPEN | XD), 'execute', false)).toEqual(['permission', 1, 0x15])
    expect(code(rules, to(OPEN), 'execute', true)).toEqual(['permission', 1, 0x11])
    expect(code(rules, to(OPEN), 'read', true)).toEqual(['permission', 1, 1])
    expect(code(rules, to(OPEN), 'read', true, { AC: true })).toBeUndefined()
    expect(code(rules, [OPEN, OPEN, OPEN | PS | (1n << 13n)], 'read', false)).toEqual(['reserved', 2, 0xd])
    expect(code(rules, [OPEN | PS], 'read', false)).toEqual(['reserved', 4, 0xd])
  })
  test('XD without NXE, and address bits from MAXPHYADDR on, are reserved at every level; the C-bit is not', () => {
    const noNx = rulesOf({ efer: 0n })
    expect(code(noNx, to(OPEN | XD), 'read', false)).toEqual(['reserved', 1, 0xd])
    expect(code(noNx, [OPEN | XD], 'read', false)).toEqual(['reserved', 4, 0xd])
    const small = rulesOf({ maxPhyAddr: 40, encryptionBit: 47 })
    expect(code(small, [OPEN | (1n << 40n)], 'write', true)).toEqual(['reserved', 4, 0xb])
    expect(code(small, to(OPEN | (1n << 51n)), 'read', false)).toEqual(['reserved', 1, 0xd])
    expect(code(small, to(OPEN | (1n << 47n)), 'read', false)).toBeUndefined()
  })
  test('not canonical; nested paging has no such address', () => {
    const read = () => undefined
    expect(rulesOf().translate([0x1000n], read, 1n << 47n).fault).toMatchObject({ type: 'not-canonical' })
    expect(rulesOf(NPT).translate([0x1000n], read, 1n << 47n).fault).toMatchObject({ type: 'unknown-memory', level: 4 })
    expect(rulesOf(NPT).translate([0x1000n], read, 1n << 48n).fault).toMatchObject({ type: 'translation' })
  })
})

test('memory types by PAT, PCD and PWT; the reset PAT', () => {
  const name = (registers: Partial<X8664Hardware>, bits: bigint) => pathOf(rulesOf(registers), OPEN, OPEN, OPEN, OPEN | bits).memory
  expect([0n, PWT, PCD, PCD | PWT, PAT].map((bits) => name({}, bits)?.name)).toEqual(['WB', 'WT', 'UC-', 'UC', 'WB'])
  const pat = 0x0302_0107_0605_0400n
  expect(Array.from({ length: 8 }, (_, i) => (BigInt(i & 3) * PWT) | (i & 4 ? PAT : 0n)).map((bits) => name({ pat }, bits)?.name)).toEqual([
    'UC',
    'WT',
    'WP',
    'WB',
    'UC-',
    'WC',
    'reserved',
    'reserved',
  ])
  expect(name({ encryptionBit: 47 }, 0n)).toEqual({ name: 'WB, not encrypted', caching: 'device' })
  expect(name({ encryptionBit: 47 }, 1n << 47n)).toEqual({ name: 'WB', caching: 'cached' })
})

test('what was assumed', () => {
  expect(pathOf(rulesOf()).assumed).toEqual(['CR0.WP 1', 'EFER.NXE 1'])
  expect(pathOf(rulesOf({ cr0: 0n, efer: 0n })).assumed).toEqual([])
})

test('A is set on the whole way, D in the leaf', () => {
  const kinds = x8664.geometry(x8664.params(x8664.configure(x8664.configs[0]!.config))).nodes.flatMap((node) => node.kinds)
  for (const kind of kinds)
    if (kind.type === 'leaf' || kind.type === 'table') expect(kind.updates?.(undefined).accessed).toEqual({ clear: 0n, set: A })
  expect(kinds.find(({ type }) => type === 'leaf')).toBeDefined()
  for (const kind of kinds) if (kind.type === 'leaf') expect(kind.updates?.(undefined).dirty).toEqual({ clear: 0n, set: D })
})
