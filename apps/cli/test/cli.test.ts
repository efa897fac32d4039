/** How the command behaves: words, exit codes, streams. What it finds is tested elsewhere. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FORMATS } from '../src/formats.ts'
import { wantsColor } from '../src/io.ts'
import { Progress } from '../src/progress.ts'
import { registersOf, registerValues } from '../src/registers.ts'
import { formatOf } from '../src/targets.ts'
import { bundle, DUMPS, jsonLines, run } from './support.ts'

const COMMANDS = ['formats', 'explain', 'translate', 'dump', 'check', 'diff', 'find', 'streams', 'fault', 'log', 'roots', 'build', 'replay']
const AARCH64 = join(DUMPS, 'linux-aarch64-4k/memory.elf')
const REGISTERS = ['--ttbr0', '0x440a5000', '--tcr', '0x500074b5503510', '--mair', '0x40044ffff']
const DUMP = ['dump', 'arm64-lpae-s1', '--image', AARCH64, ...REGISTERS]
const folder = mkdtempSync(join(tmpdir(), 'iopt-test-'))

function file(name: string, contents: string | Uint8Array): string {
  writeFileSync(join(folder, name), contents)
  return join(folder, name)
}

describe('help', () => {
  test.each(COMMANDS)('%s has examples', async (command) => {
    const { code, out, err } = await run([command, '--help'])
    expect([code, err]).toEqual([0, ''])
    expect(out).toContain(`Usage: iopt ${command}`)
    expect(out).toMatch(new RegExp(`\nExamples:\n {2}\\$ iopt ${command}`))
  })

  test('of all: exit codes', async () => {
    const { code, out } = await run(['--help'])
    expect(code).toBe(0)
    expect(out).toMatch(/Exit codes:\n {2}0 .*\n {2}1 .*\n {2}2 .*\n {2}130 /)
  })

  test('check tells its findings', async () => {
    expect((await run(['check', '--help'])).out).toMatch(/alias-attributes +warning/)
  })
})

describe('a bad command line exits with 2, and writes nothing to stdout', () => {
  test.each([
    ['no command', []],
    ['an unknown one', ['dumps']],
    ['an unknown option', [...DUMP, '--jsn']],
    ['a format', ['dump', 'arm65', '--image', AARCH64]],
    ['no image', ['dump', 'arm64-lpae-s1', ...REGISTERS]],
    ['a missing file', ['dump', 'arm64-lpae-s1', '--image', '/nowhere', ...REGISTERS]],
    ['a missing register', ['dump', 'arm64-lpae-s1', '--image', AARCH64, '--ttbr0', '0']],
    ['an unknown register', [...DUMP, '--reg', 'tcrr=0']],
    ['a register that is no number', [...DUMP, '--reg', 'ttbr1=abc']],
    ['a reserved value', ['dump', 'arm64-lpae-s1', '--image', AARCH64, '--ttbr0', '0', '--mair', '0', '--tcr', '0xc010']],
    ['a level', ['explain', 'sv32', '0', '--level', '7']],
    ['a descriptor that is too wide', ['explain', 'sv32', '0x100000000']],
    ['no number', ['explain', 'sv32', '0xg']],
    ['a raw image without a base', ['dump', 'arm64-lpae-s1', '--image', AARCH64, '--image-format', 'raw', ...REGISTERS]],
    ['two streams to translate in', ['translate', 'vtd', '--image', join(DUMPS, 'linux-vtd/memory.elf'), '--rtaddr', '0x564d000', '0']],
    ['a range', [...DUMP, '--iova', '5..4']],
    ['a configuration', ['explain', 'sv32', '0', '--config', 'nope']],
    ['JSON in it', ['explain', 'sv32', '0', '--config', '{"ias": }']],
    ['a symbol', ['build', file('x.json', '{}'), '--symbol', '1x']],
    ['binary to a terminal', ['build', file('l.json', '{"format":"sv32","base":0,"regions":[]}'), '--emit', 'bin']],
    ['a layout', ['build', file('bad.json', '{\n "format": 5 }')]],
    ['a fault record', ['fault', 'vtd', '1']],
    ['a policy', ['check', ...DUMP.slice(1), '--policy', file('p.json', '{"severity": []}')]],
  ])('%s', async (_, args) => {
    const { code, out, err } = await run(args)
    expect([code, out]).toEqual([2, ''])
    expect(err).not.toBe('')
    // what is expected to go wrong has no trace
    expect(err).not.toMatch(/\n +at /)
  })

  test('a layout is told with line and column', async () => {
    expect((await run(['build', join(folder, 'bad.json')])).err).toMatch(/bad\.json:1:1: "format", "base" and "regions" expected/)
  })
})

describe('output', () => {
  test('--json: objects alone on stdout; what is unknown goes to stderr, and the code is 0', async () => {
    const cut = file('cut.bin', new Uint8Array(4096).fill(3))
    const { code, out, err } = await run([
      'dump',
      'riscv64',
      '--image',
      cut,
      '--base',
      '0x80000000',
      '--satp',
      '0x8000000000080000',
      '--json',
    ])
    expect(code).toBe(0)
    for (const line of jsonLines(out)) expect(line).toHaveProperty('iova')
    expect(err).toMatch(/error/)
  })

  test('check alone signals what it found', async () => {
    const cut = file('zero.bin', new Uint8Array(8))
    const args = ['--image', cut, '--base', '0x80000000', '--satp', '0x8000000000080000']
    expect((await run(['check', 'riscv64', ...args])).code).toBe(1)
    expect((await run(['dump', 'riscv64', ...args])).code).toBe(0)
    const policy = file('off.json', '{"severity": {"table-unknown": "note"}}')
    expect((await run(['check', 'riscv64', ...args, '--policy', policy])).code).toBe(0)
  })

  test('a limit, over all roots', async () => {
    const { out, err } = await run([...DUMP, '--json', '--limit', '3'])
    const lines = jsonLines(out)
    expect(lines.slice(0, 3).every(({ iova }) => iova !== undefined)).toBe(true)
    expect(lines.slice(3)).toEqual([{ incomplete: 'limit', root: 'ttbr0' }])
    expect(err).toMatch(/limit/)
  })

  test('filters', async () => {
    const all = jsonLines((await run([...DUMP, '--json'])).out) as {
      prot: string[]
      fields: Record<string, number>
      iova: string
      size: number
    }[]
    const count = async (...filter: string[]): Promise<number> => jsonLines((await run([...DUMP, '--json', ...filter])).out).length
    expect(await count('--prot', 'write')).toBe(all.filter(({ prot }) => prot.includes('WRITE')).length)
    expect(await count('--not-prot', 'WRITE,NOEXEC')).toBe(
      all.filter(({ prot }) => !prot.includes('WRITE') && !prot.includes('NOEXEC')).length,
    )
    expect(await count('--field', 'DBM=1')).toBe(all.filter(({ fields }) => fields.DBM === 1).length)
    expect(await count('--min-size', '64K', '--max-size', '112K')).toBe(all.filter(({ size }) => size >= 65536 && size <= 114688).length)
    expect(await count('--iova', '0x400000+1M')).toBe(all.filter(({ iova }) => BigInt(iova) < 0x50_0000n).length)
  })

  test('TTBR1 and level -1, by name', async () => {
    const { out } = await run(['explain', 'arm64-lpae-s1', '0x44601f47', '--level=-1', '--json'])
    expect(jsonLines(out)).toMatchObject([{ level: -1, type: 'table', nextLevel: 0 }])
  })

  test('colours only where they are wanted', async () => {
    expect((await run(['formats'], { color: true })).out).toContain('\x1b[')
    expect((await run(['formats'])).out).not.toContain('\x1b[')
    expect(wantsColor(true, {})).toBe(true)
    expect(wantsColor(true, { NO_COLOR: '1' })).toBe(false)
    expect(wantsColor(true, { TERM: 'dumb' })).toBe(false)
    expect(wantsColor(undefined, {})).toBe(false)
    expect(wantsColor(undefined, { FORCE_COLOR: '1' })).toBe(true)
  })

  test('a pipe that is closed ends it quietly', () => {
    const command = `"${process.execPath}" "${bundle()}" ${DUMP.join(' ')} --json; echo "code $?" >&2`
    const { stdout, stderr } = spawnSync('sh', ['-c', `(${command}) | head -c 10`], { encoding: 'utf8' })
    expect([stdout.length, stderr]).toEqual([10, 'code 0\n'])
  })
})

describe('registers as the hardware holds them', () => {
  /** Builds a layout, and dumps it by the registers that `build` says. */
  async function there(format: string, layout: object, ...more: string[]): Promise<Record<string, unknown>[]> {
    const path = file('layout.json', JSON.stringify({ format, base: '0x80200000', ...layout }))
    const image = join(folder, 'tables.bin')
    const registers = jsonLines((await run(['build', path, '--emit', 'bin', '--json', '-o', image])).out)[0] ?? {}
    const names = Object.keys(registers).filter((name) => !['base', 'size', 'tables'].includes(name))
    const args = names.flatMap((name) => ['--reg', `${name}=${registers[name]}`])
    const { code, out, err } = await run(['dump', format, '--image', image, '--base', '0x80200000', ...args, ...more, '--json'])
    expect([code, err]).toEqual([0, ''])
    return jsonLines(out)
  }
  const regions = (iova: string, paddr: string): object => ({ regions: [{ iova, paddr, size: '2M', prot: ['READ', 'WRITE'] }] })

  /** Small pages alone; large pages of several entries; no place for some address bits with 4K pages. */
  const OTHERS = ['sun50i-iommu', 'arm-v7s', 'apple-dart2']

  test('formats in between', async () => {
    const total = (runs: Record<string, unknown>[]): number => runs.reduce((sum, { size }) => sum + Number(size), 0)
    expect(total(await there('arm-v7s', regions('0x200000', '0x200000'), '--ttbcr', '0'))).toBe(2 ** 21)
    const config = { pgsizeBitmap: '16K', ias: 36, oas: 36 }
    expect(total(await there('apple-dart2', { config, ...regions('0x200000', '0x200000') }))).toBe(2 ** 21)
    expect(total(await there('sun50i-iommu', regions('0x200000', '0x200000')))).toBe(2 ** 21)
  })

  test('arm64-lpae-s1 with TCR.DS = 1: level -1, 52 bits', async () => {
    const config = { ias: 52, oas: 52, lpa2: true }
    const runs = await there('arm64-lpae-s1', { config, ...regions('0x8000000000000', '0xf000000200000') })
    expect(runs).toMatchObject([{ iova: '0x8000000000000', paddr: '0xf000000200000', size: 2 ** 21, level: 2, root: 'ttbr0' }])
  })

  test('arm32-lpae-s1: ttbcr, mair0, mair1; a TTBR1 beside it', async () => {
    const runs = await there('arm32-lpae-s1', regions('0x40000000', '0x80000000'))
    expect(runs).toMatchObject([{ iova: '0x40000000', paddr: '0x80000000', leafSize: 2 ** 21, root: 'ttbr0' }])
  })

  test.each(FORMATS.filter(({ FORMAT, writes }) => writes !== false && !OTHERS.includes(FORMAT)).map(({ FORMAT }) => FORMAT))(
    '%s',
    async (format) => {
      const runs = await there(format, regions('0x200000', '0x200000'))
      expect(runs.reduce((sum, { size }) => sum + Number(size), 0)).toBe(2 ** 21)
      expect(runs[0]).toMatchObject({ iova: '0x200000', paddr: '0x200000' })
    },
  )
})

describe('long work', () => {
  test('a bar is drawn on a terminal only, after a while, and goes away', async () => {
    const texts: string[] = []
    const io = { status: (text: string) => void texts.push(text), isInteractive: true } as unknown as ConstructorParameters<
      typeof Progress
    >[0]
    const progress = new Progress(io, 'pages', 100)
    progress.at(10)
    expect(texts).toEqual([])
    await new Promise((resolve) => setTimeout(resolve, 510))
    progress.at(50)
    progress.end()
    expect(texts).toEqual([`[${'#'.repeat(15)}${'-'.repeat(15)}] 50 % · 50 pages`, ''])
  })
})

describe('registers', () => {
  test('every format has some, and its own samples lead to roots', () => {
    for (const format of FORMATS) expect(registersOf(format).length).toBeGreaterThan(0)
  })

  test('are typed by samples', () => {
    expect(registerValues(formatOf('apple-dart'), { ttbrs: '0x80000000,0x80004000', nLevels: '3', pgsize: '16K' })).toEqual({
      ttbrs: [0x8000_0000n, 0x8000_4000n],
      nLevels: 3,
      pgsize: 16384,
    })
    expect(
      registerValues(formatOf('arm-v7s'), { ttbr0: '0x4000', 'mtk.ias': '34', 'mtk.oas': '35', 'mtk.tables': 'true', dacr: '1' }),
    ).toEqual({
      ttbr0: 0x4000n,
      mtk: { ias: 34, oas: 35, tables: true },
      dacr: 1n,
    })
    expect(registerValues(formatOf('riscv64'), { satp: '0', extensions: 'Svpbmt,Svnapot' })).toEqual({
      satp: 0n,
      extensions: ['Svpbmt', 'Svnapot'],
    })
  })
})
