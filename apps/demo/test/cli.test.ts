import { describe, expect, test } from 'vitest'
import { runCli } from '../src/cli.ts'
import { agreement, compareFacts, compareRows } from '../src/compare.ts'
import { type Dumps, openDump } from '../src/dumps.ts'
import { bytes, colorsFor, columns, wantsColor } from '../src/text.ts'
import { ALL, DUMPS, flip, spoilt } from './support.ts'

interface Result {
  readonly code: number
  readonly out: string
  readonly err: string
}

async function run(args: readonly string[], dumps: () => Promise<Dumps> = async () => DUMPS, color = false): Promise<Result> {
  const result = { code: -1, out: '', err: '' }
  const io = { out: (text: string) => (result.out += text), err: (text: string) => (result.err += text), color }
  result.code = await runCli(args, io, dumps)
  return result
}

const TAMPERED: Dumps = { ...DUMPS, smmuv3: spoilt(DUMPS.smmuv3, (image) => flip(image, 0x4807_efe0n, 1n << 6n)) }

describe('the command', () => {
  test('ends well', async () => {
    const { code, out, err } = await run([], async () => ALL)
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/✔ 64 of 64 checks .* 0 differences .*\n$/)
    expect(out).toContain('… and 257 more ranges (--all shows every one)')
    expect(out.split('\n').filter((line) => line.length > 110)).toEqual([])
  })

  test('--json is one document, whatever is found', async () => {
    const { code, out } = await run(['--json'])
    expect([code, JSON.parse(out).ok]).toEqual([0, true])
    const tampered = await run(['--json'], async () => TAMPERED)
    expect([tampered.code, JSON.parse(tampered.out).ok]).toEqual([1, false])
  })

  test('a tampered image exits with 1 and says what differs', async () => {
    const { code, out } = await run([], async () => TAMPERED)
    expect(code).toBe(1)
    expect(out).toMatch(/✘ 43 of 44 checks/)
    expect(out).toContain('stream 24 mappings, 0xffffc000')
  })

  test('an image that cannot be read exits with 1', async () => {
    const { code, out, err } = await run([], async () => ({ ...DUMPS, armv7: await openDump('armv7', new Uint8Array(20), '{}') }))
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/^demo: EBADMSG: armv7\/memory.elf: .*\n$/)
  })

  test.each([['--help'], ['-h']])('%s', async (flag) => {
    const { code, out, err } = await run([flag])
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/^usage: /)
  })

  test.each([['--jsn'], ['file'], ['--print'], ['--json=1'], ['-x']])('%s is a bad argument', async (argument) => {
    const { code, out, err } = await run([argument])
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(/^demo: .*\nusage: /s)
  })

  test('colours only where they are wanted', async () => {
    expect((await run([], async () => DUMPS, true)).out).toContain('\x1b[')
    expect(wantsColor({ isTTY: true }, {})).toBe(true)
    expect(wantsColor({}, {})).toBe(false)
    expect(wantsColor({ isTTY: true }, { NO_COLOR: '1' })).toBe(false)
    expect(wantsColor({ isTTY: true }, { TERM: 'dumb' })).toBe(false)
  })
})

describe('text', () => {
  test('columns align what is seen, not what is sent', () => {
    const { red } = colorsFor(true)
    expect(
      columns(
        [
          ['a', 'long'],
          [red('bcd'), 'x'],
        ],
        [1],
        0,
      ),
    ).toEqual(['a    long', `${red('bcd')}     x`])
    expect(columns([])).toEqual([])
  })

  test('sizes', () => {
    expect([0, 512, 4096, 2 ** 20, 2 ** 30, 3 * 2 ** 40, 34 * 2 ** 20 + 4096].map(bytes)).toEqual([
      '0 B',
      '512 B',
      '4 KiB',
      '1 MiB',
      '1 GiB',
      '3 TiB',
      '34,820 KiB',
    ])
  })
})

describe('comparisons', () => {
  const COLUMNS = ['key', 'value']

  test('count what differs, is missing, or is too much', () => {
    const result = compareRows(
      COLUMNS,
      [
        ['a', 1],
        ['b', 2],
        ['c', 3],
      ],
      [
        ['a', 1],
        ['b', 9],
        ['d', 4],
      ],
    )
    expect(result).toMatchObject({ expected: 3, identical: 1, differing: 3 })
    expect(result.differences).toEqual([
      { where: 'b', column: 'value', expected: '2', got: '9' },
      { where: 'c', column: 'mapping', expected: 'c 3', got: 'none' },
      { where: 'd', column: 'mapping', expected: 'none', got: 'd 4' },
    ])
  })

  test('a number is not its text', () => {
    expect(compareRows(COLUMNS, [['a', 1]], [['a', '1']]).differing).toBe(1)
  })

  test('hold the first ten differences', () => {
    const rows = (value: number) => Array.from({ length: 100 }, (_, i): [string, number] => [`${i}`, value])
    const { differing, differences } = compareRows(COLUMNS, rows(1), rows(2))
    expect([differing, differences.length]).toEqual([100, 10])
  })

  test('facts that one side lacks differ', () => {
    expect(compareFacts({ a: 1, b: [2, 'x'] }, { a: 1, b: [2, 'x'] })).toMatchObject({ identical: 2, differing: 0 })
    expect(compareFacts({ a: 1 }, {}).differing).toBe(1)
    expect(compareFacts({}, { a: 1 }).differing).toBe(1)
  })

  test('agree together when each does, and on something', () => {
    const [none, one] = [compareRows(COLUMNS, [], []), compareRows(COLUMNS, [['a', 1]], [['a', 1]])]
    expect(agreement('x', [none, one])).toEqual({ name: 'x', ok: true, detail: '1 of 1' })
    expect(agreement('x', [none]).ok).toBe(false)
    expect(agreement('x', []).ok).toBe(false)
    expect(agreement('x', [one, compareRows(COLUMNS, [], [['a', 1]])]).ok).toBe(false)
  })
})
