/** The demo: every scene's checks pass, and find what is wrong; the text, the JSON, the command's ends. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { runCli } from '../src/cli.ts'
import { readDump } from '../src/dump.ts'
import { renderScene } from '../src/render.ts'
import { buffers } from '../src/scenes/buffers.ts'
import { heapFault } from '../src/scenes/heap-fault.ts'
import { SCENES } from '../src/scenes/index.ts'
import { unmap } from '../src/scenes/unmap.ts'
import { vmBind } from '../src/scenes/vm-bind.ts'
import { walk } from '../src/scenes/walk.ts'
import { play, type Scene, toJson } from '../src/stage.ts'
import { bytes, colorsFor, columns, wantsColor, wrapped } from '../src/text.ts'

const DUMP = await readDump()
const PLAYED = await Promise.all(SCENES.map((scene) => play(scene, DUMP)))
/** The leaf of stream 24 at IOVA 0xffffc000, in the file. */
const LEAF = leafOf(0x4807_e000n + 0x1fcn * 8n)
const MEMORY = new URL('../../../packages/inspect/test-data/dumps/linux-smmuv3/memory.elf', import.meta.url)

function leafOf(paddr: bigint): number {
  const segment = DUMP.image.segments.find((one) => one.paddr <= paddr && paddr < one.paddr + BigInt(one.fileSize))
  return (segment?.offset ?? 0) + Number(paddr - (segment?.paddr ?? 0n))
}

async function run(args: readonly string[], { scenes = SCENES.slice(0, 2), color = false, dump = async () => DUMP } = {}) {
  const result = { code: -1, out: '', err: '' }
  const io = { out: (text: string) => (result.out += text), err: (text: string) => (result.err += text), color }
  result.code = await runCli(args, io, dump, scenes)
  return result
}

test.each(PLAYED)('$title: passes, and fits 80 columns', (played) => {
  expect(played.checks.filter(({ ok }) => !ok)).toEqual([])
  expect(played.checks.length).toBeGreaterThan(2)
  const text = renderScene(played, 1, { colors: colorsFor(false), width: 80 })
  expect(text.split('\n').filter((line) => line.length > 80)).toEqual([])
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what is looked for
  expect(text).not.toMatch(/\x1b|undefined|NaN|\[object/)
})

test('a VA space as a bar', () => {
  const bars = PLAYED[SCENES.indexOf(vmBind)]?.blocks.flatMap((block) => ('bar' in block ? [block.bar] : []))
  expect(bars?.[3]).toBe('···tTTT·····tT··············FFF+OO+FFFFFFF··········▒▒▒▒')
})

/** The rows of a scene's first table. */
function rowsOf(scene: Scene): readonly (readonly unknown[])[] {
  return PLAYED[SCENES.indexOf(scene)]?.blocks.flatMap((block) => ('head' in block ? [block.rows] : []))[0] ?? []
}

test('page sizes, levels, callbacks: what each format makes of the same calls', () => {
  expect(rowsOf(buffers)[4]).toEqual(['textures', 0x1000_0000n, '34,836K', '17×2M 5×4K', '2×16M 2×1M 5×4K'])
  expect(rowsOf(unmap)).toEqual([
    ['arm64-lpae-s1', '2M', 'flushWalk(2M) addPages(1×2M) sync', 'EEXIST', 0],
    ['arm-v7s', '1M', 'flushWalk(1M) sync', 'EEXIST', 2],
  ])
  expect(rowsOf(walk).map(([level, , index, descriptor]) => [level, index, descriptor])).toEqual([
    [0, 0, 0x8000_1003n],
    [1, 0, 0x8000_2003n],
    [2, 145, 0x8000_3003n],
    [3, 325, 0x60_0000_5678_9e43n],
  ])
  expect(rowsOf(heapFault).map(([access, address, level]) => [access, address, level])).toEqual([
    ['write', 0xd0_0000n, 2],
    ['write', 0xd1_0000n, 3],
    ['write', 0xd2_0000n, 3],
    ['write', 0x4000n, 3],
    ['read', 0x80_0000n, 2],
  ])
})

test('it stays small: 60 lines a scene, 1,500 lines in all', () => {
  const src = new URL('../src/', import.meta.url)
  const files = readdirSync(src, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.ts'))
  const lines = files.map((name) => [name, readFileSync(new URL(name, src), 'utf8').split('\n').length - 1] as const)
  expect(lines.filter(([name, count]) => name.startsWith('scenes') && count > 60)).toEqual([])
  expect(lines.reduce((sum, [, count]) => sum + count, 0)).toBeLessThanOrEqual(1500)
})

describe('the command', () => {
  test('ends with the count of its checks', async () => {
    const { code, out, err } = await run([])
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/\n✔ 13 of 13 checks · 2 scenes · [\d.]+ s\n$/)
    expect((await run([], { color: true })).out).toContain('\x1b[')
  })

  test('--json is one document with the same', async () => {
    const { code, out } = await run(['--json'])
    const json = JSON.parse(out)
    expect([code, json.ok, json.totals]).toEqual([0, true, { scenes: 2, checks: 13, passed: 13 }])
    expect(json.scenes).toEqual(JSON.parse(toJson(PLAYED.slice(0, 2))))
    expect(json.scenes[0].blocks[0].rows[1]).toEqual([4096, '0x4000', '0x80004000', 'gpu tables'])
  })

  test('one bit of one leaf exits with 1, and says where', async () => {
    const memory = new Uint8Array(readFileSync(MEMORY))
    memory[LEAF] = (memory[LEAF] ?? 0) ^ 0x80
    const spoilt = { scenes: SCENES.slice(-2), dump: () => readDump(memory) }
    const { code, out } = await run([], spoilt)
    expect(code).toBe(1)
    expect(out).toContain('✘ stream 24: leaves as an independent walker found them  2, not 3')
    expect(out).toMatch(/\n✘ \d+ of \d+ checks · 2 scenes/)
    expect(JSON.parse((await run(['--json'], spoilt)).out).ok).toBe(false)
  })

  test('what a scene throws is a check that fails', async () => {
    const broken: Scene = { title: 'x', about: 'y', play: () => Promise.reject(new Error('broken')) }
    const { code, out } = await run([], { scenes: [broken, SCENES[0] as Scene] })
    expect(code).toBe(1)
    expect(out).toMatch(/✘ the scene ends {2}broken\n(.*\n)*✘ 8 of 9 checks · 2 scenes/)
  })

  test('memory that cannot be read exits with 1', async () => {
    const { code, out, err } = await run([], { dump: () => readDump(new Uint8Array(20)) })
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/^demo: EBADMSG: linux-smmuv3\/memory.elf: .*\n$/)
  })

  test.each(['--help', '-h'])('%s', async (flag) => {
    expect(await run([flag])).toMatchObject({ code: 0, err: '', out: expect.stringMatching(/^usage: /) })
  })

  test.each(['--jsn', 'file', '--json=1', '-x'])('%s is a bad argument', async (argument) => {
    expect(await run([argument])).toMatchObject({ code: 2, out: '', err: expect.stringMatching(/^demo: .*\nusage: /s) })
  })
})

describe('text', () => {
  test('columns align what is seen, not what is sent', () => {
    const { red } = colorsFor(true)
    const rows = [
      ['a', 'long'],
      [red('bcd'), 'x'],
    ]
    expect(columns(rows, [1])).toEqual(['a    long', `${red('bcd')}     x`])
    expect(columns([])).toEqual([])
  })

  test('lines are broken at spaces', () => {
    expect(wrapped('one two three', 8, 2)).toEqual(['one two', '  three'])
  })

  test('sizes', () => {
    expect([0, 512, 4096, 2 ** 20, 2 ** 30, 34 * 2 ** 20 + 4096].map(bytes)).toEqual(['0', '512', '4K', '1M', '1G', '34,820K'])
  })

  test('colours only where they are wanted', () => {
    expect(wantsColor({ isTTY: true }, {})).toBe(true)
    expect(wantsColor({}, {})).toBe(false)
    expect(wantsColor({ isTTY: true }, { NO_COLOR: '1' })).toBe(false)
    expect(wantsColor({ isTTY: true }, { TERM: 'dumb' })).toBe(false)
  })
})
