/** Entries, rights, CSRs and faults by hand: LoongArch Reference Manual, volume 1, 5.4 and 7.5. */
import { AccessRules, decode, nodeOf, rightsByParty, walkTables } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { loongarch64 } from '../src/index.ts'

/** Of Debian's kernel: pages of 16 KiB, levels of 11 bits from bits 14, 25 and 36. */
const GEOMETRY = { pwcl: 0x5e56en, pwch: 0x2e4n }
const [V, D, H, G_HUGE] = [1n, 2n, 1n << 6n, 1n << 12n]
const USER = 3n << 2n
const [NR, NX, RPLV] = [1n << 61n, 1n << 62n, 1n << 63n]

function rulesOf(registers = {}): AccessRules {
  const [root] = loongarch64.rootsFromRegs({ pgdl: 0n, ...GEOMETRY, ...registers })
  return new AccessRules(loongarch64, loongarch64.geometry(root!.params), root!.context)
}

test('CSRs: two halves, a window address in each, and the geometry', () => {
  const found = loongarch64.rootsFromRegs({ pgdl: 0x9000_0000_072e_4000n, pgdh: 0x9000_0000_01b2_0000n, ...GEOMETRY })
  const levels = [
    { level: 3, base: 36, width: 11 },
    { level: 1, base: 25, width: 11 },
    { level: 0, base: 14, width: 11 },
  ]
  expect(found).toEqual([
    { name: 'pgdl', params: { levels, window: 'low' }, roots: [0x72e_4000n], first: 0n, last: (1n << 47n) - 1n, context: undefined },
    {
      ...{ name: 'pgdh', params: { levels, window: 'top' }, roots: [0x1b2_0000n], context: undefined },
      ...{ first: 0xffff_8000_0000_0000n, last: 0xffff_ffff_ffff_ffffn },
    },
  ])
  const regs = loongarch64.regs(loongarch64.configure(loongarch64.configs[1]!.config), [0x1b2_0000n], 'L3')
  expect(regs).toEqual({ pgdh: 0x1b2_0000n, ...GEOMETRY })
})

test.each([
  [{ pwcl: 0x4005_e56en }, /pwcl 0x4005e56e: bits 31:30 of 0/],
  [{ pwch: 0x2e5n }, /pwch 0x2e5: Dir3_base 37: 36 expected/],
  [{ pwcl: 0x5e56bn }, /PTbase 11: 12 or more/],
  [{ pwcl: 0x5e40en }, /PTwidth 0: 3 to 16/],
  [{ pgdl: 0x2000n }, /pgdl 0x2000: a multiple of 0x4000 expected/],
  [{ pgdl: undefined }, /neither: pgdl, pgdh or both/],
])('%o is refused', (registers, message) => {
  const all = { pgdl: 0n, ...GEOMETRY, ...registers }
  // @ts-expect-error an undefined register is left out by people who write JavaScript
  expect(() => loongarch64.rootsFromRegs(all)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) }))
})

test('entries of a real kernel: directories with window addresses, a page, a huge page whose G is bit 12', () => {
  const { geometry } = rulesOf()
  const at = (level: number, raw: bigint) => decode(geometry, nodeOf(geometry, `L${level}`), raw)
  expect(at(3, 0x9000_0000_072f_c000n)).toMatchObject({ type: 'table', next: 0x72f_c000n, child: { level: 1 }, reserved: 0n })
  expect(at(0, 0x5cc_409dn)).toMatchObject({ type: 'leaf', paddr: 0x5cc_4000n, size: { pgsize: 0x4000 }, reserved: 0n })
  expect(at(1, 0xac00_11d3n)).toMatchObject({ type: 'leaf', paddr: 0xac00_0000n, size: { pgsize: 0x200_0000 }, reserved: 0n })
  expect(at(1, 0xac00_11d3n & ~V)).toMatchObject({ type: 'empty' })
  expect(at(0, 0x40n)).toMatchObject({ type: 'empty' })
  expect(at(1, H | V | (1n << 13n) | G_HUGE).kind.fields.find(({ name }) => name === 'G')?.pieces).toEqual([[12, 12, 0]])
  expect(at(1, H | V | (1n << 13n))).toMatchObject({ type: 'leaf', paddr: 0n, reserved: 0x2000n })
  expect(at(1, 0n)).toMatchObject({ type: 'table', next: 0n })
})

test.each([
  [V | D | USER, 'rwx rwx'],
  [V | USER | NX, 'r-- r--'],
  [V | D | USER | NR, '-wx -wx'],
  [V | D, '--- rwx'],
  [V | D | USER | RPLV, 'rwx ---'],
  [V | D | RPLV, '--- rwx'],
  [V | D | (1n << 2n) | RPLV, '--- ---'],
])('a page %i: %s', (page, expected) => {
  const rules = rulesOf()
  const path = [0x1000n, 0x1000n, page].map((raw, i) => decode(rules.geometry, nodeOf(rules.geometry, ['L3', 'L1', 'L0'][i] ?? ''), raw))
  expect(Object.values(rightsByParty(rules.path(path).rights, rules.parties)).join(' ')).toBe(expected)
})

test('memory types and exceptions', () => {
  const rules = rulesOf()
  const path = (raw: bigint) => rules.path([decode(rules.geometry, nodeOf(rules.geometry, 'L0'), raw)])
  expect([0n, 1n, 2n, 3n].map((mat) => path(V | (mat << 4n)).memory?.name)).toEqual(['SUC', 'CC', 'WUC', 'reserved'])
  const ecode = (raw: bigint, access: 'read' | 'write' | 'execute', privileged: boolean) => {
    const fault = rules.fault(path(raw), { access, privileged })
    return fault && [fault.type, loongarch64.fault?.(fault, undefined).codes.ecode]
  }
  expect([ecode(0n, 'read', true), ecode(0n, 'write', true), ecode(0n, 'execute', true)]).toEqual([
    ['translation', 1],
    ['translation', 2],
    ['translation', 3],
  ])
  expect([ecode(V | NR, 'read', true), ecode(V, 'write', true), ecode(V | NX, 'execute', true)]).toEqual([
    ['permission', 5],
    ['permission', 4],
    ['permission', 6],
  ])
  expect(ecode(V | D, 'read', false)).toEqual(['permission', undefined])
})

test('shared empty tables are gone through once, however many entries point to them', () => {
  const { geometry } = rulesOf()
  const tables = new Map([0x1_0000n, 0x2_0000n, 0x3_0000n, 0x4_0000n, 0x5_0000n].map((at) => [at, new Uint8Array(0x4000)] as const))
  const view = (at: bigint) => new DataView(tables.get(at)?.buffer as ArrayBuffer)
  for (let i = 0; i < 2048; i++) {
    view(0x1_0000n).setBigUint64(8 * i, 0x9000_0000_0002_0000n, true)
    view(0x2_0000n).setBigUint64(8 * i, 0x9000_0000_0003_0000n, true)
    view(0x4_0000n).setBigUint64(8 * i, 0x9000_0000_0003_0000n, true)
  }
  view(0x1_0000n).setBigUint64(8 * 7, 0x9000_0000_0004_0000n, true)
  view(0x4_0000n).setBigUint64(8 * 5, 0x9000_0000_0005_0000n, true)
  view(0x5_0000n).setBigUint64(8 * 3, 0x123_409dn, true)
  let reads = 0
  const found: bigint[] = []
  const read = (paddr: bigint) => {
    reads++
    return tables.get(paddr)
  }
  walkTables(geometry, [0x1_0000n], read, { leaf: ({ iova }) => void found.push(iova) })
  expect(found).toEqual([(7n << 36n) | (5n << 25n) | (3n << 14n)])
  expect(reads).toBe(5)
  // of a table of which a part was wanted nothing is known
  const range = { first: 0n, last: (7n << 36n) | (3n << 25n) }
  walkTables(geometry, [0x1_0000n], read, { leaf: () => void found.push(0n) }, range)
  expect(found.length).toBe(1)
})

test.each([
  [{ ias: 46 }, /ias 46: 25, 36, 47 expected with pages of 16384 bytes/],
  [{ cpuPageSize: 8192 }, /cpuPageSize 8192: 4096, 16384 or 65536/],
  [{ pgsizeBitmap: 0x1000n }, /pgsizeBitmap 0x1000/],
  [{ oas: 13 }, /oas 13: 14 to 48/],
])('the configuration %o is refused', (change, message) => {
  const config = { ...loongarch64.configs[0]!.config, ...change }
  expect(() => loongarch64.configure(config)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) }))
})
