/** Each finding of a check has a table that triggers it, and one that almost does. */
import { armV7s } from '@io-pgtable/arm-v7s'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { Prot, pgsizeBitmap, SZ_1M, SZ_2M, SZ_4K, SZ_64K } from '@io-pgtable/core'
import { riscv64 } from '@io-pgtable/riscv64'
import { riscv64G } from '@io-pgtable/riscv64-g'
import { sun50iIommu } from '@io-pgtable/sun50i-iommu'
import { vtdSs } from '@io-pgtable/vtdss'
import { x8632 } from '@io-pgtable/x86-32'
import { x8664 } from '@io-pgtable/x86-64'
import { x86Pae } from '@io-pgtable/x86-pae'
import { describe, expect, test } from 'vitest'
import { Check, type CheckOptions, checkTables } from '../src/check/check.ts'
import { CHECK_CODES } from '../src/check/codes.ts'
import type { Verdict } from '../src/check/leaf-check.ts'
import { Mappings } from '../src/check/mappings.ts'
import { parsePolicy } from '../src/check/policy.ts'
import type { Finding } from '../src/finding.ts'
import { BASE, Subject } from './subject.ts'

const RW = Prot.READ | Prot.WRITE
const DATA = RW | Prot.CACHE | Prot.NOEXEC
const IOVA = 0x1000_0000n
const PADDR = 0x8000_0000n

const arm64 = () => new Subject(arm64LpaeS1, { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: 39, oas: 40 })
const x86 = () => new Subject(x8664, { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: 47, oas: 46, quirks: ['NX'] })
const riscv = () => new Subject(riscv64, { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: 39, oas: 56, quirks: ['SIGN_EXTEND'] })
const types = () => new Subject(riscv64, { pgsizeBitmap: pgsizeBitmap(SZ_4K), ias: 39, oas: 56, quirks: ['SVPBMT'] })
const v7s = () => new Subject(armV7s, { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M), ias: 32, oas: 32 })
const sun50i = () => new Subject(sun50iIommu, { pgsizeBitmap: pgsizeBitmap(SZ_4K), ias: 32, oas: 32 }).map(IOVA, PADDR, SZ_4K, RW)
const cpu = () => riscv().map(IOVA, PADDR, SZ_4K, RW)
const guest = () => new Subject(riscv64G, { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: 41, oas: 56 }).map(IOVA, PADDR, SZ_4K, RW)
const page = (): Subject<typeof arm64LpaeS1> => arm64().map(IOVA, PADDR, SZ_4K, DATA)

type AnySubject = Pick<Subject<typeof arm64LpaeS1>, 'tables'>
interface Case {
  readonly code: keyof typeof CHECK_CODES
  readonly what: string
  readonly triggers: () => AnySubject
  readonly almost: () => AnySubject
  readonly options?: CheckOptions
  /** The finding that is expected, in part. */
  readonly finding?: Readonly<Record<string, unknown>>
  /** Default 1. */
  readonly count?: number
}

/** Sixteen pages with a contiguous hint. */
function contiguous(change: (raw: bigint) => bigint, paddr = PADDR): Subject<typeof arm64LpaeS1> {
  const subject = arm64().map(IOVA, paddr, SZ_64K, DATA)
  for (let i = 0n; i < 16n; i++) subject.edit(IOVA + i * 0x1000n, 3, (raw) => raw | (1n << 52n))
  return subject.edit(IOVA + 0x5000n, 3, change)
}

const forbidden = (first: bigint, more: object = {}): CheckOptions => ({
  policy: { forbidden: [{ name: 'firmware', space: 'paddr', first, last: first + 0xfffn, ...more }] },
})

const CASES: readonly Case[] = [
  {
    code: 'reserved-bits',
    what: 'a bit from MAXPHYADDR on; the highest address bit',
    triggers: () =>
      x86()
        .map(IOVA, PADDR, SZ_4K, DATA)
        .edit(IOVA, 1, (raw) => raw | (1n << 46n)),
    almost: () =>
      x86()
        .map(IOVA, PADDR, SZ_4K, DATA)
        .edit(IOVA, 1, (raw) => raw | (1n << 45n)),
    finding: { severity: 'error', level: 1, iova: IOVA },
  },
  {
    code: 'access-flag',
    what: 'a page without AF; with it',
    triggers: () => page().edit(IOVA, 3, (raw) => raw & ~(1n << 10n)),
    almost: () => page(),
    finding: { severity: 'error', iova: IOVA },
  },
  {
    code: 'domain',
    what: 'a page of a domain that is shut; of one that is open',
    triggers: () => shut(0x5555_5554),
    almost: () => shut(0x5555_5555),
    finding: { severity: 'error', iova: IOVA },
  },
  {
    code: 'reserved-value',
    what: 'PBMT 3; PBMT 2',
    triggers: () =>
      types()
        .map(IOVA, PADDR, SZ_4K, DATA)
        .edit(IOVA, 0, (raw) => raw | (3n << 61n)),
    almost: () =>
      types()
        .map(IOVA, PADDR, SZ_4K, DATA)
        .edit(IOVA, 0, (raw) => raw | (2n << 61n)),
    finding: { severity: 'error', iova: IOVA },
  },
  {
    code: 'misaligned-block',
    what: 'bit 12 of a 2M block; bit 16, which is nT',
    triggers: () =>
      arm64()
        .map(0n, PADDR, SZ_2M, DATA)
        .edit(0n, 2, (raw) => raw | (1n << 12n)),
    almost: () =>
      arm64()
        .map(0n, PADDR, SZ_2M, DATA)
        .edit(0n, 2, (raw) => raw | (1n << 16n)),
    finding: { severity: 'error', level: 2, index: 0 },
  },
  {
    code: 'illegal-kind',
    what: 'a block at the last level; an entry that is not valid',
    triggers: () => page().edit(IOVA, 3, (raw) => raw & ~2n),
    almost: () => page().edit(IOVA, 3, (raw) => raw & ~3n),
  },
  {
    code: 'table-unknown',
    what: 'a table just behind the memory; the last one in it',
    triggers: () => page().edit(IOVA, 2, () => (BASE + 0x20_0000n) | 3n),
    almost: () => page().edit(IOVA, 2, () => (BASE + 0x1f_f000n) | 3n),
    finding: { table: BASE + 0x20_0000n, level: 3 },
  },
  {
    code: 'table-misaligned',
    what: 'a root in the middle of a page; at its start',
    triggers: () => ({ tables: () => arm64().tables({ roots: [BASE + 0x800n] }) }),
    almost: () => ({ tables: () => arm64().tables({ roots: [BASE + 0x1000n] }) }),
  },
  {
    code: 'address-out-of-range',
    what: 'address bit 40 of 40 bits; bit 39',
    triggers: () => page().edit(IOVA, 3, (raw) => raw | (1n << 40n)),
    almost: () => page().edit(IOVA, 3, (raw) => raw | (1n << 39n)),
  },
  {
    code: 'cycle',
    what: 'a root that points to itself; to a copy of the next table',
    // the walk sees the entry at levels 4, 3 and 2
    count: 3,
    triggers: () => {
      const subject = x86().map(IOVA, PADDR, SZ_4K, DATA)
      const [root = 0n] = subject.table.roots
      return subject.poke(root + 8n * 255n, root | 7n)
    },
    almost: () => {
      const subject = x86().map(IOVA, PADDR, SZ_4K, DATA)
      const [root = 0n] = subject.table.roots
      const [, upper] = subject.table.walk(IOVA)
      return subject.poke(root + 8n * 255n, subject.copy(upper?.table ?? 0n) | 7n)
    },
  },
  {
    code: 'table-shared',
    what: 'two entries with one table; with a copy',
    triggers: () => shared(false),
    almost: () => shared(true),
    finding: { severity: 'note', level: 2, index: 129, message: expect.stringMatching(/^the table at 0x[0-9a-f]+ is used before$/) },
  },
  {
    code: 'table-two-levels',
    what: 'a table of level 2 that is one of level 3, too; a copy',
    triggers: () => twoLevels(false),
    almost: () => twoLevels(true),
  },
  {
    code: 'repeat-inconsistent',
    what: 'an entry of a large page that differs; the entry behind it',
    triggers: () => largePage(0x5000n),
    almost: () => largePage(0x1_0000n),
    finding: { level: 2 },
  },
  {
    code: 'contiguous-inconsistent',
    what: 'other memory type in one entry; another access flag',
    triggers: () => contiguous((raw) => raw ^ (1n << 3n)),
    almost: () => contiguous((raw) => raw ^ (1n << 10n)),
    finding: { index: 0, level: 3 },
  },
  {
    code: 'alias-attributes',
    what: 'memory and device memory at one address; side by side',
    triggers: () =>
      arm64()
        .map(IOVA, PADDR, SZ_64K, DATA)
        .map(0n, PADDR + 0xf000n, SZ_4K, RW | Prot.MMIO | Prot.NOEXEC),
    almost: () =>
      arm64()
        .map(IOVA, PADDR, SZ_64K, DATA)
        .map(0n, PADDR + 0x1_0000n, SZ_4K, RW | Prot.MMIO | Prot.NOEXEC),
    finding: { value: PADDR + 0xf000n },
  },
  {
    code: 'alias-permissions',
    what: 'writable here, executable there; side by side',
    triggers: () =>
      riscv()
        .map(IOVA, PADDR, SZ_64K, RW | Prot.NOEXEC)
        .map(0n, PADDR + 0x3000n, SZ_4K, Prot.READ),
    almost: () =>
      riscv()
        .map(IOVA, PADDR, SZ_64K, RW | Prot.NOEXEC)
        .map(0n, PADDR + 0x1_0000n, SZ_4K, Prot.READ),
    finding: { severity: 'note' },
  },
  {
    code: 'writable-executable',
    what: 'a mapping without NOEXEC; with it',
    triggers: () => riscv().map(IOVA, PADDR, SZ_4K, RW),
    almost: () => riscv().map(IOVA, PADDR, SZ_4K, RW | Prot.NOEXEC),
    finding: { severity: 'warning', iova: IOVA },
  },
  {
    code: 'maps-tables',
    what: 'the root in a writable mapping; in one that is read-only',
    triggers: () => arm64().map(0n, BASE, SZ_2M, DATA),
    almost: () => arm64().map(0n, BASE, SZ_2M, Prot.READ | Prot.CACHE | Prot.NOEXEC),
    finding: { table: BASE },
  },
  {
    code: 'forbidden',
    what: 'the last page of a mapping; the one behind it',
    triggers: () => arm64().map(IOVA, PADDR - 0xf000n, SZ_64K, DATA),
    almost: () => arm64().map(IOVA, PADDR - 0x1_0000n, SZ_64K, DATA),
    options: forbidden(PADDR),
    finding: { iova: IOVA + 0xf000n, value: PADDR },
  },
  {
    code: 'forbidden',
    what: 'by flags: writable; read-only',
    triggers: () => page(),
    almost: () => arm64().map(IOVA, PADDR, SZ_4K, Prot.READ),
    options: forbidden(PADDR, { prot: Prot.WRITE }),
  },
  {
    code: 'work-limit',
    what: 'three tables and a limit of two; a leaf higher up',
    triggers: () => page(),
    almost: () => arm64().map(IOVA, PADDR, SZ_2M, DATA),
    options: { maxTables: 2 },
  },
]

function shared(copy: boolean): AnySubject {
  const subject = page()
  const entry = subject.entry(IOVA, 2)
  const next = subject.peek(entry)
  return subject.poke(entry + 8n, copy ? subject.copy(next & 0xffff_f000n) | 3n : next)
}

function twoLevels(copy: boolean): AnySubject {
  const subject = page()
  const last = subject.peek(subject.entry(IOVA, 2))
  return subject.poke(subject.entry(IOVA, 1) + 8n, copy ? subject.copy(last & 0xffff_f000n) | 3n : last)
}

function largePage(spoilt: bigint): AnySubject {
  const subject = v7s()
    .map(IOVA, PADDR, 2 * SZ_64K, DATA)
    .map(IOVA + 0x2_0000n, 0n, SZ_4K, DATA)
  const first = subject.entry(IOVA, 2)
  // the second large page becomes sixteen small ones
  for (let i = 16n; i < 32n; i++) subject.poke32(first + 4n * i, () => 0)
  return subject.poke32(first + (spoilt / 0x1000n) * 4n, (raw) => (raw === 0 ? 0x8000_0c32 : raw ^ 0x800))
}

/** A page where DACR is this. */
function shut(dacr: number): AnySubject {
  const subject = v7s().map(IOVA, PADDR, SZ_4K, DATA)
  return {
    tables() {
      const tables = subject.tables()
      return { ...tables, context: { ...(tables.context as object), dacr } }
    },
  }
}

function found({ tables }: AnySubject, options: CheckOptions = {}): readonly string[] {
  return checkTables([tables()], options).findings.map(({ code }) => code)
}

describe('check', () => {
  test('every code has a case', () => {
    expect(new Set(CASES.map(({ code }) => code))).toEqual(new Set(Object.keys(CHECK_CODES)))
  })

  test.each(CASES)('$code: $what', ({ code, triggers, almost, options = {}, finding = {}, count = 1 }) => {
    const subject = triggers()
    const hits = checkTables([subject.tables()], options).findings.filter((each) => each.code === code)
    expect(hits).toHaveLength(count)
    expect(hits[0]).toMatchObject({ place: 'root', ...finding })
    const other = almost()
    expect(found({ tables: () => other.tables() }, options)).not.toContain(code)
  })

  test('sound tables have no findings', () => {
    for (const subject of [page(), riscv().map(IOVA, PADDR, SZ_2M, RW | Prot.NOEXEC), contiguous((raw) => raw)])
      expect(found({ tables: () => subject.tables() })).toEqual([])
  })

  test('a contiguous range that is not aligned is told once', () => {
    const subject = contiguous((raw) => raw, PADDR + 0x1000n)
    expect(found({ tables: () => subject.tables() })).toEqual(['contiguous-inconsistent'])
  })

  test('bits that end no walk are a warning, and bits that hardware ignores are nothing', () => {
    const bits = (raw: bigint): readonly Finding[] =>
      checkTables([
        page()
          .edit(IOVA, 3, (old) => old | raw)
          .tables(),
      ]).findings
    // AMEC is ignored without FEAT_MEC
    expect(bits(1n << 63n)).toEqual([])
    const table = sun50i().edit(IOVA, 1, (raw) => raw | 4n)
    expect(checkTables([table.tables()]).findings).toMatchObject([{ severity: 'warning', code: 'reserved-bits', level: 1 }])
    // bit 4 of table entries of short descriptors: every stock kernel sets it
    const short = v7s().map(IOVA, PADDR, SZ_4K, DATA)
    short.poke32(short.entry(IOVA, 1), (raw) => raw | 0x10)
    expect(checkTables([short.tables()]).findings).toEqual([])
  })

  test('rights are those of the path: a table above makes a mapping neither writable nor executable', () => {
    const subject = (bits: bigint) =>
      x86()
        .map(IOVA, PADDR, SZ_4K, RW | Prot.CACHE)
        .edit(IOVA, 2, (raw) => (raw | bits) & ~(bits === 2n ? 2n : 0n))
    expect(found({ tables: () => subject(0n).tables() })).toEqual(['writable-executable'])
    expect(found({ tables: () => subject(2n).tables() })).toEqual([])
    expect(found({ tables: () => subject(1n << 63n).tables() })).toEqual([])
  })

  test.each([
    ['a CPU', { ...cpu().tables() }, ['writable-executable']],
    ['a device that has such tables', { ...cpu().tables(), stage: 1 as const }, []],
    ['a second stage', guest().tables(), []],
  ])('what may be written and executed is told of %s', (_, tables, expected) => {
    expect(found({ tables: () => tables })).toEqual(expected)
  })

  test('a root beyond the address bits', () => {
    const tables = arm64().tables({ roots: [1n << 40n] })
    expect(found({ tables: () => tables })).toEqual(['address-out-of-range', 'table-unknown'])
  })

  test('formats that cannot forbid execution have no executable mappings', () => {
    const subject = new Subject(vtdSs, { pgsizeBitmap: pgsizeBitmap(SZ_4K), ias: 39, oas: 46 }).map(IOVA, PADDR, SZ_4K, RW)
    expect(checkTables([subject.tables()]).findings).toEqual([])
  })

  test('aliases are seen across tables', () => {
    const a = arm64().map(IOVA, PADDR, SZ_4K, DATA)
    const b = arm64().map(IOVA, PADDR, SZ_4K, RW | Prot.MMIO | Prot.NOEXEC)
    const { findings, mappings } = checkTables([a.tables({ name: 'a' }), b.tables({ name: 'b' })])
    expect(findings.map(({ code, place }) => [code, place])).toEqual([['alias-attributes', 'b']])
    expect(mappings).toBe(2)
  })

  test('aliases of the same rights are one note, those of other rights another', () => {
    const supervisor = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: 39, oas: 56, quirks: ['SUPERVISOR' as const] }
    const subject = new Subject(riscv64, supervisor).map(IOVA, PADDR, SZ_2M, RW | Prot.NOEXEC)
    for (let i = 0n; i < 4n; i++) subject.map(i * 0x2000n, PADDR + i * 0x4000n, SZ_4K, Prot.READ)
    subject.map(0x1_0000n, PADDR + 0x10_0000n, SZ_4K, Prot.READ | Prot.PRIV)
    const { findings, counts } = checkTables([subject.tables()])
    expect(findings.map(({ code, iova, value, count }) => [code, iova, value, count])).toEqual([
      // the page at iova 0 was seen before the block
      ['alias-permissions', IOVA, PADDR, 4],
      ['alias-permissions', 0x1_0000n, PADDR + 0x10_0000n, undefined],
    ])
    expect(findings[0]?.message).toMatch(/; and 3 more with the same rights, 0x4000 bytes together$/)
    expect(counts).toEqual({ error: 0, warning: 0, note: 2 })
  })

  test('aliases of other memory types are told one by one', () => {
    const subject = arm64().map(IOVA, PADDR, SZ_2M, DATA)
    for (let i = 0n; i < 3n; i++) subject.map(i * 0x2000n, PADDR + i * 0x4000n, SZ_4K, RW | Prot.MMIO | Prot.NOEXEC)
    expect(found({ tables: () => subject.tables() })).toEqual(['alias-attributes', 'alias-attributes', 'alias-attributes'])
  })

  test('a severity of the policy, and a code that is off', () => {
    const subject = riscv().map(IOVA, PADDR, SZ_4K, RW)
    const as = (severity: 'note' | 'off') => checkTables([subject.tables()], { policy: { severity: { 'writable-executable': severity } } })
    expect(as('note').counts).toEqual({ error: 0, warning: 0, note: 1 })
    expect(as('off').findings).toEqual([])
  })

  test('goes on after reading threw', () => {
    const subject = page().edit(IOVA, 3, (raw) => raw & ~2n)
    let misses = 0
    const seen = new Set<bigint>()
    const read = (paddr: bigint, bytes: number): Uint8Array | undefined => {
      if (seen.has(paddr)) return subject.read(paddr, bytes)
      seen.add(paddr)
      misses++
      throw new Error('page miss')
    }
    const check = checkLater(subject.tables({ read }))
    expect(check.findings.map(({ code }) => code)).toEqual(['illegal-kind'])
    expect(check.tables).toBe(3)
    expect(misses).toBe(3)
  })

  test('all tables full of pointers to all tables end soon', () => {
    const subject = page()
    for (let at = 0n; at < 0x8_0000n; at += 8n) subject.poke(BASE + at, (BASE + ((at * 512n) % 0x8_0000n)) | 3n)
    const { tables, complete, findings } = checkTables([subject.tables({ read: subject.read })])
    // 128 pages, each of two levels, and once the root
    expect(tables).toBeGreaterThan(128)
    expect(tables).toBeLessThanOrEqual(2 * 128 + 1)
    expect([complete, findings.length > 0, findings.length < 6000]).toEqual([true, true, true])
  })
})

function checkLater(tables: Parameters<typeof checkTables>[0][number]): ReturnType<typeof checkTables> {
  const check = new Check([tables])
  for (;;) {
    try {
      return check.run()
    } catch (error) {
      if ((error as Error).message !== 'page miss') throw error
    }
  }
}

describe('policy', () => {
  test('a whole one', () => {
    const text = `{
      "severity": { "cycle": "off", "alias-attributes": "error" },
      "failOn": "warning",
      "forbidden": [
        { "name": "secure", "paddr": "0xe000000", "size": "16M", "prot": ["WRITE"] },
        { "iova": 0, "size": 4096 }
      ]
    }`
    expect(parsePolicy(text)).toEqual({
      severity: { cycle: 'off', 'alias-attributes': 'error' },
      failOn: 'warning',
      forbidden: [
        { name: 'secure', space: 'paddr', first: 0xe00_0000n, last: 0xeff_ffffn, prot: Prot.WRITE },
        { name: 'forbidden[1]', space: 'iova', first: 0n, last: 0xfffn },
      ],
    })
  })

  test.each([
    ['{', /^EBADMSG: p\.json:1:\d: /],
    ['{\n  "severty": {}\n}', /^EBADMSG: p\.json:2:14: severty: there is no member "severty"/],
    ['{"severity": {"cycles": "off"}}', /^EBADMSG: p\.json:1:25: severity\.cycles: there is no finding "cycles"/],
    ['{"severity": {"cycle": "fatal"}}', /^EBADMSG: p\.json:1:24: severity\.cycle: "fatal": one of error, warning, note, off/],
    ['{"forbidden": [\n{"paddr": 0, "size": "4Q"}]}', /^EBADMSG: p\.json:2:22: forbidden\[0\]\.size: an integer/],
    ['{"forbidden": [{"paddr": 0, "size": 0}]}', /^EBADMSG: p\.json:1:37: forbidden\[0\]\.size: 0 bytes/],
    ['{"forbidden": [{"paddr": 0, "iova": 0, "size": 1}]}', /either "iova" or "paddr" expected/],
    ['{"forbidden": [{"paddr": 0}]}', /"size" expected/],
    ['{"failOn": "error", "failOn": "note"}', /^EBADMSG: p\.json:1:31: failOn: it is there twice/],
    ['{"forbidden": [{"paddr": "0xffffffffffffffff", "size": 2}]}', /ends beyond 2\^64/],
    ['{"forbidden": [{"paddr": -1, "size": 2}]}', /an integer from 0/],
    ['[]', /^EBADMSG: p\.json:1:1: an object expected/],
  ])('%s', (text, message) => {
    expect(() => parsePolicy(text, 'p.json')).toThrow(message)
  })

  test('nested too deeply', () => {
    expect(() => parsePolicy('['.repeat(200_000), 'p.json')).toThrow(/^EBADMSG: p\.json: objects and arrays in too many others/)
  })
})

test('where no entry can withhold execution, as in 32-bit paging of x86, it is no finding', () => {
  const subject = new Subject(x8632, { pgsizeBitmap: 0x1000n, ias: 32, oas: 32 }).map(0x1000n, 0x9000_0000n, SZ_4K, Prot.READ | Prot.WRITE)
  expect(checkTables([subject.tables()]).findings).toEqual([])
  const pae = new Subject(x86Pae, { pgsizeBitmap: 0x1000n, ias: 32, oas: 32 }).map(0x1000n, 0x9000_0000n, SZ_4K, Prot.READ | Prot.WRITE)
  expect(checkTables([pae.tables()]).findings).toMatchObject([{ code: 'writable-executable' }])
})

test('a table that many entries point to is one finding, with their number and the first of them', () => {
  const subject = page()
  const entry = subject.entry(IOVA, 2)
  const next = subject.peek(entry)
  for (let i = 1n; i <= 100n; i++) subject.poke(entry + 8n * i, next)
  const { findings, counts } = checkTables([subject.tables()])
  const shared = findings.filter(({ code }) => code === 'table-shared')
  expect(shared).toMatchObject([
    { level: 2, index: 129, count: 100, message: expect.stringMatching(/is used before; and 99 more entries point to it$/) },
  ])
  expect(counts.note).toBe(1)
})

describe('mappings', () => {
  test('by physical address, narrow and wide: the same order, equal ones as they came', () => {
    const verdict: Verdict = { prot: 3, rights: 0o33, memory: 'cached', writable: true, executable: false, writableExecutable: false }
    const paddrs = [5, 1, 3, 1, 9, 0, 5].map((page) => page * 4096)
    const order = (top: number): number[] => {
      const mappings = new Mappings()
      for (const [i, paddr] of [...paddrs, top].entries()) mappings.add(0, i, paddr, 4096, verdict)
      return [...mappings.byPaddr()].map(({ iova }) => iova)
    }
    expect(order(4096 * 100)).toEqual([5, 1, 3, 2, 0, 6, 4, 7])
    expect(order(2 ** 51)).toEqual([5, 1, 3, 2, 0, 6, 4, 7])
    expect(order(2 ** 20 + 1)).toEqual([5, 1, 3, 2, 0, 6, 4, 7])
  })
})
