/** Entries, rights, ASCEs and interruption codes by hand: Principles of Operation, chapter 3. */
import { AccessRules, decode, nodeOf, type ReadMemory, rightsByParty, walkAddress, walkTables } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { type S390Hardware, s390Dat } from '../src/index.ts'

const P = 0x200n
const IEP = 0x100n
const I = 0x20n
const FC = 0x400n

function rulesOf(registers: S390Hardware = { cr1: 0x1c3_41c7n }): AccessRules {
  const [root] = s390Dat.rootsFromRegs(registers)
  return new AccessRules(s390Dat, s390Dat.geometry(root!.params), root!.context)
}
const NO_EDAT = { cr1: 0x1007n, cr0: 1n << 20n }

describe('entries', () => {
  const { geometry } = rulesOf({ cr1: 0x1007n })
  const at = (id: string, raw: bigint, tree = geometry) => decode(tree, nodeOf(tree, id), raw)
  test('of a real kernel: region third, segment, page', () => {
    expect(at('L3.0.3', 0x0294_c007n)).toMatchObject({ type: 'table', next: 0x294_c000n, child: { level: 2, id: 'L2.0.3' }, reserved: 0n })
    expect(at('L2.0.3', 0x02a8_5800n)).toMatchObject({ type: 'table', next: 0x2a8_5800n, child: { level: 1 }, reserved: 0n })
    expect(at('L1', 0x0167_2215n)).toMatchObject({ type: 'leaf', paddr: 0x167_2000n, reserved: 0n })
  })
  test('what is invalid, and an all-zero entry, which is valid', () => {
    expect([at('L3.0.3', I | 4n), at('L2.0.3', I), at('L1', 0x400n)].map(({ type }) => type)).toEqual(['empty', 'empty', 'empty'])
    expect(at('L1', 0n)).toMatchObject({ type: 'leaf', paddr: 0n })
    expect(at('L2.0.3', 0n)).toMatchObject({ type: 'table', next: 0n })
    expect(at('L3.0.3', 0n)).toMatchObject({ type: 'invalid', kind: { name: 'of another table type' } })
    expect(at('L1', 0x800n)).toMatchObject({ reserved: 0x800n })
  })
  test('frames, with enhanced DAT alone', () => {
    expect(at('L3.0.3', 0x1_8000_0404n)).toMatchObject({ type: 'leaf', paddr: 0x1_8000_0000n, size: { pgsize: 2 ** 31 } })
    expect(at('L2.0.3', 0x0230_0400n)).toMatchObject({ type: 'leaf', paddr: 0x230_0000n, size: { pgsize: 2 ** 20 } })
    const { geometry: plain } = rulesOf(NO_EDAT)
    expect(at('L2.0.3', 0x0230_0400n, plain)).toMatchObject({ type: 'table', next: 0x230_0000n })
    expect(at('L3.0.3', 0x0230_0407n, plain)).toMatchObject({ type: 'table', next: 0x230_0000n })
  })
  test('table offset and length choose a part of the next table; an offset beyond the length leaves nothing', () => {
    const node = (raw: bigint) => (at('L3.0.3', raw) as { child?: { exists?: readonly number[] } }).child?.exists
    expect([node(4n), node(0x45n), node(0xc7n)]).toEqual([
      [0, 512],
      [512, 1024],
      [1536, 2048],
    ])
    expect(at('L3.0.3', 0x84n)).toMatchObject({ type: 'invalid' })
  })
  test('a common segment of a private space', () => {
    const { geometry: isPrivate } = rulesOf({ cr1: 0x1107n })
    expect([at('L2.0.3', 0x1810n).type, at('L2.0.3', 0x1810n, isPrivate)]).toMatchObject(['table', { reserved: 0x10n }])
  })
})

test.each([
  // [registers, region, segment, page, rights]
  [{ cr1: 0x1007n }, 7n, 0n, 0n, 'rwx'],
  [{ cr1: 0x1007n }, 7n, 0n, P, 'r-x'],
  [{ cr1: 0x1007n }, 7n, 0n, IEP, 'rw-'],
  [{ cr1: 0x1007n }, 7n, P, 0n, 'r-x'],
  [{ cr1: 0x1007n }, 7n | P, 0n, IEP, 'r--'],
  [NO_EDAT, 7n | P, 0n, 0n, 'rwx'],
  [NO_EDAT, 7n, P, IEP, 'r--'],
  [{ cr1: 0x1007n, cr0: 0n }, 7n, 0n, IEP, 'rwx'],
] as const)('%o, %i, %i, %i: %s', (registers, region, segment, page, expected) => {
  const rules = rulesOf(registers)
  const path = [region, segment, page].map((raw, i) => decode(rules.geometry, nodeOf(rules.geometry, ['L3.0.3', 'L2.0.3', 'L1'][i]!), raw))
  expect(Object.values(rightsByParty(rules.path(path).rights, rules.parties))).toEqual([expected])
})

test('ASCEs: type and length say what is translated; a real space has no tables; several registers are several roots', () => {
  const brief = (registers: S390Hardware) =>
    s390Dat.rootsFromRegs(registers).map(({ name, params, roots, last }) => [name, params.levels, params.tl, roots[0], last])
  expect(brief({ cr1: 0x1c3_41c7n, cr13: 0x129_0007n })).toEqual([
    ['cr1', 3, 3, 0x1c3_4000n, (1n << 42n) - 1n],
    ['cr13', 3, 3, 0x129_0000n, (1n << 42n) - 1n],
  ])
  expect(brief({ cr7: 0x1000n })).toEqual([['cr7', 2, 0, 0x1000n, (1n << 29n) - 1n]])
  expect(brief({ cr1: 0x100fn })).toEqual([['cr1', 5, 3, 0x1000n, (1n << 64n) - 1n]])
  expect(brief({ cr1: 0x1027n })).toEqual([])
  expect(() => s390Dat.rootsFromRegs({})).toThrow(
    expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(/cr1, cr7 or cr13/) }),
  )
  expect(s390Dat.rootsFromRegs({ cr1: 7n })[0]?.context.assumed).toEqual(['CR0.40 (EDAT) 1', 'CR0.43 (IEP) 1'])
})

/** Big-endian doublewords at addresses. */
function memory(entries: Readonly<Record<number, bigint>>): ReadMemory {
  const view = new DataView(new ArrayBuffer(0x4_0000))
  for (let at = 0; at < 0x4_0000; at += 8) view.setBigUint64(at, at >= 0x3_0000 ? 0x400n : I)
  for (const [at, entry] of Object.entries(entries)) view.setBigUint64(Number(at), entry)
  return (paddr, bytes) => new Uint8Array(view.buffer).subarray(Number(paddr), Number(paddr) + bytes)
}

test('an entry that does not exist is none, whatever is there', () => {
  // segment tables of the entries 512 to 1023 alone; what stands before and behind is somebody else's
  const segments = { [0x2_0000 + 8 * 511]: 0x3_0000n, [0x2_0000 + 8 * 512]: 0x3_0000n, [0x2_0000 + 8 * 1024]: 0x3_0000n }
  const read = memory({ 65536: 0x2_0000n | 0x45n, ...segments, 196608: 0x7000n })
  const rules = rulesOf({ cr1: 0x1_0007n })
  const found: bigint[] = []
  walkTables(rules.geometry, [0x1_0000n], read, { leaf: ({ iova }) => void found.push(iova) })
  expect(found).toEqual([512n << 20n])
  expect([511n, 512n, 1024n].map((segment) => walkAddress(rules.geometry, [0x1_0000n], read, segment << 20n).length)).toEqual([1, 3, 1])
  const { fault } = rules.translate([0x1_0000n], read, 511n << 20n)
  expect(fault).toMatchObject({ type: 'translation', level: 2 })
})

test('interruption codes', () => {
  const rules = rulesOf({ cr1: 0x1_0005n })
  const code = (entries: Readonly<Record<number, bigint>>, address: bigint, access: 'read' | 'write' | 'execute' = 'read') => {
    const verdict = rules.translate([0x1_0000n], memory(entries), address)
    const fault = rules.fault(verdict, { access, privileged: true })
    return fault && s390Dat.fault?.(fault, rules.context as never)?.codes.code
  }
  const way = { 65536: 0x2_0007n, 131072: 0x3_0000n }
  expect(code({ ...way, 196608: 0x7000n }, 0n, 'write')).toBeUndefined()
  expect(code({ ...way, 196608: 0x7000n | P }, 0n, 'write')).toBe(0x4)
  expect(code({ ...way, 196608: 0x7000n | IEP }, 0n, 'execute')).toBe(0x4)
  expect(code(way, 0n)).toBe(0x11)
  expect(code({ 65536: 0x2_0007n }, 0n)).toBe(0x10)
  expect(code({}, 0n)).toBe(0x3b)
  expect(code({ 65536: 0x2_000bn }, 0n)).toBe(0x12)
  expect(code(way, 1n << 42n)).toBe(0x38)
  expect(code({ 65536: FC | 4n }, 0n)).toBeUndefined()
})

test.each([
  [{ ias: 40 }, /ias 40: 31, 42, 53, 64 expected/],
  [{ pgsizeBitmap: 0x2000n }, /pgsizeBitmap 0x2000: 4K, 1M or 2G/],
])('the configuration %o is refused', (change, message) => {
  const config = { ...s390Dat.configs[0]!.config, ...change }
  expect(() => s390Dat.configure(config)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) }))
})
