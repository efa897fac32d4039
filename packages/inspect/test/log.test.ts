/** Records in logs: every source, and what becomes of each when its lines are dropped, swapped, wrapped, or printed with something before them. */

import { armV7s } from '@io-pgtable/arm-v7s'
import { arm32LpaeS1 } from '@io-pgtable/arm32-lpae-s1'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { rightsByParty } from '@io-pgtable/core'
import { riscv64 } from '@io-pgtable/riscv64'
import { vtdSs } from '@io-pgtable/vtdss'
import { x8632 } from '@io-pgtable/x86-32'
import { x8664 } from '@io-pgtable/x86-64'
import { describe, expect, test } from 'vitest'
import { judgeFault } from '../src/fault/judge.ts'
import { faultReportJson } from '../src/fault/report.ts'
import { translate } from '../src/leaves/translate.ts'
import { type LogRecord, LogScanner, scanLog } from '../src/log/scanner.ts'
import { type LogFormats, loggedTables, SPARSE_LIMIT, SparseMemory } from '../src/log/sparse.ts'
import { fuzzLogs } from './support/log-fuzz.ts'
import { SAMPLES, type Sample } from './support/logs.ts'
import { random } from './support/memory.ts'

const FORMATS: LogFormats = {
  'arm64-stage1': arm64LpaeS1,
  'arm32-stage1': arm32LpaeS1,
  'arm-short': armV7s,
  'riscv-stage1': riscv64,
  'x86-first-stage': x8664,
  'x86-32': x8632,
  'vtd-second-stage': vtdSs,
}

const samples = SAMPLES.map((sample) => [sample.name, sample] as const)

/** What two logs have to agree in: all but the place in the log. */
function content({ report, walk, missing }: LogRecord): string {
  const text = JSON.stringify({ json: faultReportJson(report), walk, missing }, (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}` : value,
  )
  return text
}

/** The single record of a sample. */
function recordOf({ text }: Sample): LogRecord {
  const [record, ...more] = scanLog(text)
  if (record === undefined || more.length > 0) throw new Error(`${more.length} records more than one`)
  return record
}

/** No record but the wanted ones, unless it says what is missing. @returns how many are whole */
function allSound(records: readonly LogRecord[], wanted: readonly LogRecord[], log: string): number {
  const whole = records.filter(({ missing }) => missing.length === 0)
  for (const record of whole)
    if (!wanted.some((each) => isSame(record, each)))
      throw new Error(`another record, of line ${record.line}:\n${content(record)}\nin\n${log}`)
  return whole.length
}

/** The same record, and of its walk what is left: what is not there is missing where it is walked. */
function isSame(record: LogRecord, wanted: LogRecord): boolean {
  const { walk, ...rest } = record
  const { walk: all, ...own } = wanted
  if (content(rest) !== content(own)) return false
  if (walk === undefined || all === undefined) return walk === undefined
  const entries = all.entries.map((value, i) => (walk.entries[i] === undefined ? undefined : value))
  return content({ ...rest, walk }) === content({ ...own, walk: { ...all, entries } })
}

describe('each source', () => {
  test.each(samples)('%s', (_, sample) => {
    const record = recordOf(sample)
    const json = faultReportJson(record.report)
    expect(record.missing).toEqual([])
    expect(json.kind).toBe(sample.kind)
    expect(Object.values(json.access)).toEqual(sample.access)
    expect(Object.values(json.fault)).toEqual(sample.fault)
    if (sample.record !== undefined) expect(json.record).toMatchObject(sample.record)
    expect(record.walk !== undefined).toBe(sample.walk !== undefined)
  })

  test.each(samples.filter(([, { walk }]) => walk !== undefined))(
    'the entries of %s are walked, and agree with the record',
    (_, sample) => {
      const { walk, report } = recordOf(sample)
      const iova = report.access.iova ?? 0n
      if (walk === undefined) throw new Error('no walk')
      const found = loggedTables(walk, iova, FORMATS)
      if (found === undefined) throw new Error('no tables')
      expect(found.missing).toBeUndefined()
      const { paddr, fault, walk: entries } = translate(found.tables, iova)
      if (typeof sample.walk === 'string') expect(paddr).toBe(BigInt(sample.walk))
      else expect({ level: fault?.level, entries: entries.length }).toEqual(sample.walk)
      if (sample.fault[0] !== null) expect(judgeFault(found.tables, report, iova, false)).toMatchObject({ agrees: true })
    },
  )
})

const PREFIXES: Readonly<Record<string, (i: number) => string>> = {
  'printk’s time': (i) => `[  123.${String(456_000 + i)}] `,
  'time and task': (i) => `[  123.${String(456_000 + i)}][  T812] `,
  'priority, time and CPU': (i) => `<1>[    1.${String(100_000 + i)}] [    C1] `,
  journal: () => 'Mar 01 12:00:00 host kernel: ',
  'ISO time': (i) => `2024-03-01T12:00:00.${i}+0000 host kernel: `,
  'dmesg -T': () => '[Fri Mar  1 12:00:00 2024] ',
  'dmesg -x': (i) => `kern  :alert : [  123.${String(456_000 + i)}] `,
  mail: (i) => `> [  123.${String(456_000 + i)}] `,
  'a mail that is quoted twice': (i) => `> > <4>[  123.${String(456_000 + i)}] `,
}

describe('something before the lines', () => {
  test.each(Object.entries(PREFIXES))('%s', (_, prefix) => {
    for (const sample of SAMPLES) {
      const text = sample.text
        .split('\n')
        .map((line, i) => `${prefix(i)}${line}`)
        .join('\r\n')
      expect(scanLog(text).map(content)).toEqual([content(recordOf(sample))])
    }
  })
})

test('lines of mail programs, broken at 76 columns', () => {
  for (const sample of SAMPLES) {
    const lines = sample.text.split('\n').flatMap((line) => wrapped(`[  123.456789] ${line}`, 76))
    const records = scanLog(lines.join('\n'))
    expect(allSound(records, [recordOf(sample)], lines.join('\n'))).toBeLessThanOrEqual(1)
    if (sample.text.split('\n').every((line) => line.length < 200)) expect([sample.name, records.length]).toEqual([sample.name, 1])
  }
})

/** Broken at spaces, as mail programs do; what follows has nothing before it. */
function wrapped(line: string, columns: number): string[] {
  const lines: string[] = []
  let rest = line
  while (rest.length > columns) {
    const at = rest.lastIndexOf(' ', columns)
    if (at <= 0) break
    lines.push(rest.slice(0, at))
    rest = rest.slice(at + 1)
  }
  return [...lines, rest]
}

const stamp = (lines: readonly string[]): string[] => lines.map((line, i) => `[  123.${String(456_000 + i)}] ${line}`)

describe('mutations', () => {
  test('a line less: the same record, or what is missing, or none', () => {
    let whole = 0
    for (const sample of SAMPLES) {
      const lines = sample.text.split('\n')
      for (const i of lines.keys())
        whole += allSound(scanLog(lines.toSpliced(i, 1).join('\n')), [recordOf(sample)], `${sample.name} without ${lines[i]}`)
    }
    expect(whole).toBeGreaterThan(30)
  })

  test('two lines swapped, with times', () => {
    for (const sample of SAMPLES) {
      const lines = stamp(sample.text.split('\n'))
      for (let i = 0; i < lines.length; i++)
        for (let j = i + 1; j < Math.min(i + 4, lines.length); j++) {
          const log = lines
            .with(i, lines[j] as string)
            .with(j, lines[i] as string)
            .join('\n')
          allSound(scanLog(log), [recordOf(sample)], log)
        }
    }
  })

  test('any two reports one after the other, with a line less', () => {
    for (const [at, one] of SAMPLES.entries())
      for (const step of [0, 3]) {
        const two = SAMPLES[(at + step) % SAMPLES.length] as Sample
        const lines = [...one.text.split('\n'), ...two.text.split('\n')]
        for (const i of lines.keys()) {
          const log = lines.toSpliced(i, 1).join('\n')
          allSound(scanLog(log), [recordOf(one), recordOf(two)], log)
        }
      }
  })

  test('two reports of two tasks, line by line in turn', () => {
    for (const [at, one] of SAMPLES.entries())
      for (const step of [0, 3]) {
        const two = SAMPLES[(at + step) % SAMPLES.length] as Sample
        const [a, b] = [
          one.text.split('\n').map((line) => `[    1.000000][  T11] ${line}`),
          two.text.split('\n').map((line) => `[    1.000000][  T12] ${line}`),
        ]
        const lines = Array.from({ length: Math.max(a.length, b.length) }, (_, i) => [a[i], b[i]])
          .flat()
          .filter((line) => line !== undefined)
        const found = scanLog(lines.join('\n')).map(content).sort()
        expect(found).toEqual([content(recordOf(one)), content(recordOf(two))].sort())
      }
  })
})

describe('a log that contradicts itself', () => {
  test.each([
    [
      'the address before the entries is another',
      'arm64',
      `Unable to handle kernel paging request at virtual address ffff800054627000
  ESR = 0x96000047
[ffff800054628000] pgd=0000000000000000`,
    ],
    [
      'the lines below ESR are of another fault',
      'arm64',
      `Unable to handle kernel paging request at virtual address ffff800054627000
  ESR = 0x96000047
  FSC = 0x0f: level 3 permission fault`,
    ],
    [
      'CR2 is another',
      'x86',
      `BUG: kernel NULL pointer dereference, address: 0000000000000008
Oops: 0000 [#1] SMP
CR2: 0000000000000010 CR3: 0000000104e00000 CR4: 0000000000771ef0`,
    ],
    [
      'names of one level have different values',
      'arm64',
      `Unable to handle kernel paging request at virtual address ffff000007c00000
  ESR = 0x96000007
swapper pgtable: 64k pages, 48-bit VAs, pgdp=00002024f0d80000
[ffff000007c00000] pgd=1800205ffffd0003, p4d=1800205ffffe0003, pud=1800205ffffd0003, pmd=1800205ffffc0003, pte=0068000007c00f06`,
    ],
  ])('%s', (_, kind, text) => {
    const [record] = scanLog(text)
    expect(record?.report.kind).toBe(kind)
    expect(record?.missing).not.toEqual([])
    expect(record?.walk).toBeUndefined()
  })
})

describe('a listing of tables', () => {
  const text = `page table 0x0000000087f6e000
 ..0: pte 0x0000000021fda801 pa 0x0000000087f6a000
 .. ..0: pte 0x0000000021fda401 pa 0x0000000087f69000
 .. .. ..0: pte 0x0000000021fdac1f pa 0x0000000087f6b000
 .. .. ..1: pte 0x0000000021fda00f pa 0x0000000087f68000
 .. .. ..2: pte 0x0000000021fd9c1f pa 0x0000000087f67000
 ..255: pte 0x0000000021fdb401 pa 0x0000000087f6d000
 .. ..511: pte 0x0000000021fdb001 pa 0x0000000087f6c000
 .. .. ..510: pte 0x0000000021fdd807 pa 0x0000000087f76000
 .. .. ..511: pte 0x0000000020001c0b pa 0x0000000080007000
init: starting sh`

  test('each leaf is walked', () => {
    const [record, ...more] = scanLog(text)
    expect(more).toEqual([])
    const found = (record?.leaves ?? []).map((leaf) => {
      const tables = loggedTables(leaf, leaf.iova, FORMATS)?.tables
      if (tables === undefined) throw new Error('no tables')
      const { paddr, rights, parties } = translate(tables, leaf.iova)
      return [leaf.iova, paddr, rightsByParty(rights ?? 0, parties)]
    })
    expect(found).toEqual([
      [0x0n, 0x87f6_b000n, { user: 'rwx', privileged: expect.any(String) as string }],
      [0x1000n, 0x87f6_8000n, { user: '---', privileged: 'rwx' }],
      [0x2000n, 0x87f6_7000n, { user: 'rwx', privileged: expect.any(String) as string }],
      [0x3f_ffff_e000n, 0x87f7_6000n, { user: '---', privileged: 'rw-' }],
      [0x3f_ffff_f000n, 0x8000_7000n, { user: '---', privileged: 'r-x' }],
    ])
  })

  test('a row above others, or two rows out of order, are told', () => {
    const lines = text.split('\n')
    expect(scanLog(lines.toSpliced(1, 1).join('\n'))[0]?.missing).toEqual(['rows above others'])
    expect(
      scanLog(
        lines
          .with(3, lines[4] as string)
          .with(4, lines[3] as string)
          .join('\n'),
      )[0]?.missing,
    ).toEqual(['the rows in their order'])
  })
})

test('entries that end before the walk does say what is missing', () => {
  const text = `Unable to handle kernel paging request at virtual address ffff800054627000
  ESR = 0x96000047
swapper pgtable: 4k pages, 48-bit VAs, pgdp=0000000080954000
[ffff800054627000] pgd=00002020fffff003, p4d=00002020fffff003`
  const [record] = scanLog(text)
  if (record?.walk === undefined) throw new Error('no walk')
  expect(loggedTables(record.walk, 0xffff_8000_5462_7000n, FORMATS)?.missing).toBe('pud')
  expect(loggedTables(record.walk, 0xffff_8000_5462_7000n, {})).toBeUndefined()
})

test('values that no record has are told', () => {
  const [record] = scanLog(
    'NVRM: Xid (PCI:0000:01:00): 31, MMU Fault: faulted @ 0x0_1000. Fault is of type FAULT_NO_SUCH ACCESS_TYPE_VIRT_READ',
  )
  expect(record?.report.name).toBe('incomplete')
  expect(record?.missing[0]).toMatch(/a value that a record can have.*FAULT_NO_SUCH/)
})

test('logs that are spoilt throw nothing', () => fuzzLogs(random(20_261_130), 400))

describe('bounds', () => {
  test('a sparse memory takes so many entries, and one value of each', () => {
    const memory = new SparseMemory()
    for (let i = 0; i < SPARSE_LIMIT; i++) memory.set(BigInt(i) * 8n, 1n, 8)
    expect(() => memory.set(0x1000_0000n, 1n, 8)).toThrow(/EINVAL.*65536 entries/)
    expect(() => memory.set(0n, 2n, 8)).toThrow(/0x0 has two values/)
    expect(memory.read(8n, 4096)).toEqual(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0))
    expect(memory.read(4n, 4)).toBeUndefined()
  })

  test('long lines, many reports, and nonsense, in linear time', () => {
    const scanner = new LogScanner()
    const nonsense = 'Unable to handle kernel paging request at virtual address [> <[ 1.2] '.repeat(2000)
    const before = performance.now()
    let found = 0
    for (let i = 0; i < 200; i++)
      found += scanner.push(
        i % 2 === 0
          ? nonsense
          : `Unable to handle kernel read at virtual address ${String(i).padStart(16, '0')} pgd=`.padEnd(100_000, '(=x'),
      ).length
    found += scanner.end().length
    expect(found).toBe(100)
    expect(performance.now() - before).toBeLessThan(5000)
  })
})
