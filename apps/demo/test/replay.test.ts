/** Real kernels' traces, replayed; traces, images and arguments with mistakes; the commands. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { runCli } from '../src/cli.ts'
import { randomScenario } from '../src/gpu/random.ts'
import { replay } from '../src/replay.ts'
import type { ReplayReport } from '../src/report.ts'
import { ALL, DUMPS, errorOf } from './support.ts'

const failed = ({ checks }: ReplayReport): string[] => checks.filter(({ ok }) => !ok).map(({ name, detail }) => `${name}: ${detail}`)

/** Events, page sizes and leaves of each, as the folders' names say; tables: ours and the kernel's. */
const WANTED: Readonly<Record<string, unknown>> = {
  'linux61-4k-nvme': [5131, 'arm64-lpae-s1', '4 x 2097152 + 285 x 4096', 6, 6],
  'linux61-4k-e1000e': [6690, 'arm64-lpae-s1', '349 x 4096', 4, 4],
  'linux612-16k-nvme': [3422, 'arm64-lpae-s1', '592 x 16384', 4, 4],
  'linux61-vtd-nvme': [5111, 'vtdss', '4 x 2097152 + 285 x 4096', 12, 12],
}

test.each(ALL.traces.map(({ trace, dump }) => ({ name: trace.name, trace, dump })))(
  "$name: every leaf is the kernel's",
  ({ name, trace, dump }) => {
    const report = replay(trace, dump, 32)
    const { totals, format, sizes, tables, sid } = report
    expect(failed(report)).toEqual([])
    const leaves = sizes.map(({ pgsize, count }) => `${count} x ${pgsize}`).join(' + ')
    expect([totals.maps + totals.unmaps, format, leaves, tables.ours, tables.kernel]).toEqual(WANTED[name])
    expect(sid).toBe(32)
  },
)

describe('the shortest trace', () => {
  const { trace, dump } = ALL.traces[2] as (typeof ALL.traces)[number]
  const lines = trace.text.split('\n')
  const mapAt =
    lines.length -
    2 -
    [...lines]
      .reverse()
      .slice(1)
      .findIndex((line) => line.includes(' map: '))
  const changed = (at: number, change: (line: string) => string): ReplayReport =>
    replay({ ...trace, text: lines.map((line, i) => (i === at ? change(line) : line)).join('\n') }, dump)

  test('without one map differs, and says where', () => {
    const report = changed(mapAt, () => '# gone')
    expect(failed(report).length).toBeGreaterThan(0)
    expect(report.kernel.differing + report.totals.problems).toBeGreaterThan(0)
  })

  test('with a map to another address differs in one leaf', () => {
    const report = changed(12, (line) => line.replace(/paddr=0x[0-9a-f]+/, 'paddr=0x0000000012340000'))
    expect(report.kernel.differing).toBe(1)
    expect(report.kernel.differences[0]).toMatchObject({ where: '0xffffc000', column: 'pa', got: '0x12340000' })
  })

  test('an unmap of what is not there is a problem with its line', () => {
    const report = changed(12, (line) => line.replace(/map: (.*) paddr=.* size=(\d+)/, 'unmap: $1 size=$2 unmapped_size=$2'))
    expect(report.problems[0]).toEqual({ line: 13, message: '0x0 bytes unmapped, by the kernel 0x4000' })
  })

  test('with a line that cannot be read is EBADMSG with line and column', () => {
    expect(errorOf(() => changed(12, (line) => line.replace('paddr', 'pd'))).message).toMatch(
      /^EBADMSG: trace: line 13, column \d+: "paddr=" expected/,
    )
  })

  test('of a stream that the image does not have', () => {
    expect(() => replay(trace, dump, 7)).toThrow('the image has no stream 0x7')
  })
})

describe('the commands', () => {
  const folder = mkdtempSync(`${tmpdir()}/io-pgtable-demo-`)
  afterAll(() => rmSync(folder, { recursive: true }))
  const at = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url))

  async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const result = { code: -1, out: '', err: '' }
    const io = { out: (text: string) => (result.out += text), err: (text: string) => (result.err += text), color: false, folder }
    result.code = await runCli(args, io, async () => DUMPS)
    return result
  }

  test('replay: a folder or its trace, as text or JSON', async () => {
    const { code, out } = await run('replay', at('../../packages/inspect/test-data/traces/linux612-16k-nvme'))
    expect(code).toBe(0)
    expect(out).toMatch(/592 of 592(.*\n)*.*✔ 5 of 5 checks\n$/)
    const json = await run(
      'replay',
      at('../../packages/inspect/test-data/traces/linux612-16k-nvme/trace.txt'),
      '--json',
      '--stream',
      '0x20',
    )
    expect([json.code, JSON.parse(json.out).ok, JSON.parse(json.out).kernel.identical]).toEqual([0, true, 592])
  })

  test('random: runs, or prints what scenario runs', async () => {
    expect(await run('random', '5', '12')).toMatchObject({ code: 0, err: '', out: expect.stringMatching(/✔ 13 of 13 checks\n$/) })
    const { out } = await run('random', '5', '12', '--print')
    expect(out).toBe(randomScenario(5, 12))
    writeFileSync(`${folder}/s.json`, out)
    const json = await run('scenario', 's.json', '--json')
    expect([json.code, JSON.parse(json.out).ok, JSON.parse(json.out).reports.length]).toEqual([0, true, 2])
  })

  test('a scenario that goes otherwise exits with 1', async () => {
    writeFileSync(`${folder}/wrong.json`, randomScenario(5, 12).replace('"steps": [', '"steps": [{"unmap": 0, "size": 0},'))
    const { code, out } = await run('scenario', 'wrong.json')
    expect(code).toBe(1)
    expect(out).toMatch(/✘ EINVAL was not expected/)
    expect(out).toMatch(/✘ 11 of 13 checks\n$/)
  })

  test('files with mistakes exit with 1, and say where', async () => {
    writeFileSync(`${folder}/bad.json`, '{\n  "buffers": []\n}')
    expect(await run('scenario', 'bad.json')).toMatchObject({
      code: 1,
      out: '',
      err: 'demo: EBADMSG: bad.json:2:14: buffers: an object expected\n',
    })
    expect(await run('scenario', 'none.json')).toMatchObject({ code: 1, err: expect.stringMatching(/^demo: EFAULT: read: none.json: /) })
    expect(await run('replay', 'none')).toMatchObject({ code: 1, err: expect.stringMatching(/^demo: EFAULT: /) })
  })

  const USAGE: string[][] = [
    ['scenari', 'x'],
    ['scenario'],
    ['scenario', 'a', 'b'],
    ['random', '1'],
    ['random', 'x', '1'],
    ['random', '1', '0'],
    ['random', '1', '-5'],
  ]
  test.each([...USAGE, ['replay', 'x', '--stream', 'y'], ['replay', 'x', '--print'], ['scenario', 'x', '--stream', '1'], ['--print']])(
    '%s %s %s is a bad argument',
    async (...args) => {
      const { code, out, err } = await run(...args)
      expect([code, out]).toEqual([2, ''])
      expect(err).toMatch(/^demo: .*\nusage: /s)
    },
  )
})
