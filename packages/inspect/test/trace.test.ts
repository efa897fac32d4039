/** Traces as ftrace prints them: what is read, what is refused and where, and replaying them on a table. */
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { IoPageTable, IoPgtableError, Prot, pgsizeBitmap, SZ_2M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { parseTrace, readTrace, type TraceEvent, TraceParser, TraceReplay } from '../src/trace.ts'

const HEAD = '    kworker/u2:1-23      [000] d.h..     1.403471: '
const MAP = `${HEAD}map: IOMMU: iova=0x00000000ffffe000 - 0x00000000fffff000 paddr=0x00000000474c4000 size=4096`
const UNMAP = `${HEAD}unmap: IOMMU: iova=0x00000000ffffe000 - 0x00000000fffff000 size=4096 unmapped_size=4096`

function errorOf(text: string): string {
  try {
    for (const _ of parseTrace(text));
  } catch (error) {
    if (error instanceof IoPgtableError && error.code === 'EBADMSG') return error.message
    throw error
  }
  return ''
}

test('both events, with what their line says', () => {
  const [map, unmap] = [...parseTrace(`# tracer: nop\n#\n\n${MAP}\n${UNMAP}\n`)]
  const common = { task: 'kworker/u2:1', pid: 23, cpu: 0, time: 1.403471, iova: 0xffff_e000n, size: 4096 }
  expect(map).toEqual({ op: 'map', line: 4, ...common, paddr: 0x474c_4000n })
  expect(unmap).toEqual({ op: 'unmap', line: 5, ...common, unmapped: 4096 })
})

const TASKS: [string, string, number][] = [
  ['          <idle>-0       [001] ..s1. 12345.000001: ', '<idle>', 0],
  ['  a-1 [0] b: c-77 (-----) [007] .N...     0.5: ', 'a-1 [0] b: c', 77],
  ['        fio job-8001    (   8000) [011] .....   100.123456: ', 'fio job', 8001],
  ['            sshd-1  [001] d..3   100.123456: ', 'sshd', 1],
  ['            sshd-1  [001]   100.123456: ', 'sshd', 1],
]

test.each(TASKS)('%s', (head, task, pid) => {
  const [event] = [...parseTrace(MAP.replace(HEAD, head))]
  expect([event?.task, event?.pid, event?.iova]).toEqual([task, pid, 0xffff_e000n])
})

test('other events and comments are passed over, and counted', () => {
  const parser = new TraceParser()
  const lines = [
    '# x',
    '',
    '##### CPU 1 buffer started ####',
    `${HEAD}io_page_fault: IOMMU:0000:00:04.0 iova=0x0`,
    `${HEAD}attach_device_to_domain: IOMMU: device=x`,
    MAP,
  ]
  expect(lines.map((line) => parser.next(line)?.op)).toEqual([undefined, undefined, undefined, undefined, undefined, 'map'])
  expect([...parser.skipped]).toEqual([
    ['io_page_fault', 1],
    ['attach_device_to_domain', 1],
  ])
  expect(parser.lines).toBe(6)
})

test('pieces of a stream may end anywhere; the last line may lack its end; lines may end as on Windows', async () => {
  const text = `#\n${MAP}\r\n${UNMAP}\r\n${MAP}`
  const whole = [...parseTrace(text)]
  expect(whole).toHaveLength(3)
  for (const size of [1, 7, 100, 1000]) {
    const chunks = Array.from({ length: Math.ceil(text.length / size) }, (_, i) => text.slice(i * size, (i + 1) * size))
    const events: TraceEvent[] = []
    for await (const event of readTrace(chunks)) events.push(event)
    expect(events).toEqual(whole)
  }
})

describe('EBADMSG with line and column', () => {
  const at = (column: number): string => `EBADMSG: trace: line 2, column ${column}: `
  const BAD: [string, string, string, string][] = [
    ['no event', 'no event at all', 'TASK-PID', at(1)],
    ['no CPU', MAP.replace('[000] ', ''), 'TASK-PID', at(5)],
    ['no time', MAP.replace('1.403471: ', ''), 'a time in seconds', at(42)],
    ['no address', MAP.replace('0x00000000ffffe000 -', '- -'), 'iova as 0x', at(69)],
    ['17 digits', MAP.replace('0x00000000ffffe000 -', '0x000000000ffffe000 -'), 'iova as 0x', at(69)],
    ['not hex', MAP.replace('ffffe000 -', 'ffffeg00 -'), 'iova as 0x', at(69)],
    ['no end', MAP.replace('- 0x00000000fffff000 ', ''), '" - "', at(87)],
    ['no paddr', MAP.replace('paddr=', 'addr='), '"paddr="', at(109)],
    ['no size', MAP.replace(' size=4096', ''), 'a space expected at the end of the line', at(133)],
    ['half a line', MAP.slice(0, -14), 'a space expected at the end of the line', at(129)],
    [
      'a size that the range does not have',
      MAP.replace('size=4096', 'size=409'),
      'a size of 0x1000 bytes, as the range 0xffffe000 - 0xfffff000 has',
      at(134),
    ],
    ['a range that ends before it starts', MAP.replace('0x00000000fffff000', '0x00000000ffffd000'), 'a size of -0x1000 bytes', at(134)],
    ['a size of 0', MAP.replace('size=4096', 'size=0').replace('0x00000000fffff000', '0x00000000ffffe000'), 'a size above 0', at(134)],
    ['a size of 2^53', UNMAP.replace('unmapped_size=4096', 'unmapped_size=9007199254740992'), 'below 2^53', ''],
    ['a negative size', MAP.replace('size=4096', 'size=-4096'), 'a number of bytes', at(139)],
    ['more after it', `${MAP} 7`, 'nothing after it', at(139)],
    ['more after it', `${UNMAP}x`, 'nothing after it', ''],
    ['another text', MAP.replace('IOMMU:', 'IOMM:'), '"IOMMU:"', ''],
    ['lost events', 'CPU:0 [LOST 112 EVENTS]', 'the kernel lost events here', at(1)],
    [
      'events that are no longer in the buffer',
      '# entries-in-buffer/entries-written: 100/120   #P:1',
      '100 of 120 events are here',
      at(38),
    ],
  ]
  test.each(BAD)('%s', (_name, line, says, where) => {
    const message = errorOf(`${MAP}\n${line}\n${UNMAP}`)
    expect(message).toContain(says)
    expect(message).toContain('line 2, column ')
    if (where !== '') expect(message.slice(0, where.length)).toBe(where)
  })
})

describe('replay', () => {
  function replay(lines: readonly string[]): TraceReplay {
    const allocator = new PtPool({ base: 0x8000_0000n, size: 2 ** 21 })
    const table = IoPageTable.createRaw(arm64LpaeS1, { allocator, pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: 39, oas: 40 })
    const run = new TraceReplay(table, Prot.READ | Prot.WRITE)
    for (const event of parseTrace(lines.join('\n'))) run.apply(event)
    return run
  }
  const map = (iova: bigint, paddr: bigint, size: number): string =>
    `x-1 [0] ..... 1.0: map: IOMMU: iova=0x${iova.toString(16)} - 0x${(iova + BigInt(size)).toString(16)} paddr=0x${paddr.toString(16)} size=${size}`
  const unmap = (iova: bigint, size: number, unmapped = size): string =>
    `x-1 [0] ..... 1.0: unmap: IOMMU: iova=0x${iova.toString(16)} - 0x${(iova + BigInt(size)).toString(16)} size=${size} unmapped_size=${unmapped}`

  test('maps, and one unmap of several', () => {
    const run = replay([map(0n, 0x4000n, 0x2000), map(0x2000n, 0x9000n, 0x1000), map(0x20_0000n, 0x40_0000n, SZ_2M), unmap(0n, 0x3000)])
    expect(run.totals).toEqual({ maps: 3, unmaps: 1, mappedBytes: SZ_2M + 0x3000, unmappedBytes: 0x3000, problems: 0 })
    expect([0n, 0x2fffn, 0x20_1234n].map((iova) => run.table.iovaToPhys(iova))).toEqual([undefined, undefined, 0x40_1234n])
  })

  test('what goes otherwise than in the kernel is a problem, and the rest is replayed', () => {
    const run = replay([
      map(0n, 0x4000n, 0x1000),
      map(0n, 0x5000n, 0x1000),
      unmap(0n, 0x2000),
      unmap(0x4000n, 0x1000, 0),
      map(0x10n, 0n, 0x1000),
      unmap(0x10n, 0x1000),
      map(0x80_0000_0000n, 0n, 0x1000),
      map(0x3000n, 0x7000n, 0x1000),
    ])
    expect(run.totals).toMatchObject({ maps: 5, unmaps: 3, problems: 5 })
    const told = run.problems.map(({ event, message }) => `${event.line} ${message}`)
    expect(told.map((text) => text.slice(0, 9))).toEqual(['2 EEXIST:', '3 0x1000 ', '5 EINVAL:', '6 EINVAL:', '7 ERANGE:'])
    expect(told[1]).toBe('3 0x1000 bytes unmapped, by the kernel 0x2000')
    expect(run.table.iovaToPhys(0x3000n)).toBe(0x7000n)
  })

  test('many problems are counted, and some kept', () => {
    const run = replay(Array.from({ length: 50 }, () => unmap(0n, 0x1000)))
    expect([run.totals.problems, run.problems.length]).toEqual([50, 20])
  })
})
