/** Input that means no good, and slips of those who mean well: what the command refuses, bounds, escapes and admits. */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readText } from '../src/text-file.ts'
import { bundle, DUMPS, jsonLines, run } from './support.ts'

const folder = mkdtempSync(join(tmpdir(), 'iopt-hostile-'))
const AARCH64 = join(DUMPS, 'linux-aarch64-4k/memory.elf')
const VTD = join(DUMPS, 'linux-vtd/memory.elf')
const SMMU = ['--strtab-base', '0x4000000043217000', '--strtab-base-cfg', '0x10210']
const AT = ['--base', '0', '--ttbr0', '0x1000', '--tcr', '0x80803510', '--mair', '0xff44']

function file(name: string, contents: string | Uint8Array): string {
  writeFileSync(join(folder, name), contents)
  return join(folder, name)
}

/** Pages of 512 entries each, from 0 on. */
function image(name: string, pages: readonly ((entry: number) => bigint)[]): string {
  const words = pages.flatMap((page) => Array.from({ length: 512 }, (_, entry) => page(entry)))
  return file(name, new Uint8Array(BigUint64Array.from(words).buffer))
}

const NOTHING = (): bigint => 0n
/** Three levels of which every entry leads to one table of the next, and pages that do not join. */
const SHARED = [
  NOTHING,
  () => 0x2003n,
  () => 0x3003n,
  () => 0x4003n,
  (i: number) => BigInt(0x40_0000 + i * 0x3000) | 0x703n | (BigInt(i % 2) << 6n),
]
const shared = image('shared.raw', SHARED)
const cycle = image('cycle.raw', [NOTHING, () => 0x1003n])
const cycle2 = image('cycle2.raw', [NOTHING, () => 0x2003n, () => 0x1003n])
/** A pipe that nobody writes to. */
const silent = join(folder, 'silent')
execFileSync('sh', ['-c', 'mkfifo "$0"', silent])

describe('Ctrl-C', () => {
  test.each([
    ['dump', ['dump', 'arm64-lpae-s1', '--image', shared]],
    ['dump that tells nothing', ['dump', 'arm64-lpae-s1', '--min-size', '1T', '--image', cycle]],
    ['dump --stats', ['dump', 'arm64-lpae-s1', '--stats', '--image', cycle]],
    ['find', ['find', 'arm64-lpae-s1', '--paddr', '0x10', '--image', shared]],
    ['diff', ['diff', 'arm64-lpae-s1', cycle, cycle2]],
    ['replay of a pipe', ['replay', silent]],
    ['build of a pipe', ['build', '-']],
  ])('ends %s while nothing is read', async (_, args) => {
    const child = spawn(process.execPath, [bundle(), ...args, ...(args[0] === 'replay' || args[0] === 'build' ? [] : AT)], {
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    const ended = new Promise<unknown>((resolve) => child.on('exit', (code, signal) => resolve([code, signal])))
    await new Promise((resolve) => setTimeout(resolve, 1000))
    expect(child.exitCode).toBe(null)
    child.kill('SIGINT')
    const late = new Promise<unknown>((resolve) => setTimeout(resolve, 5000, 'still running'))
    const how = await Promise.race([ended, late])
    child.kill('SIGKILL')
    expect(how).toEqual([null, 'SIGINT'])
  })

  /** A handler would wait for the event loop, which a walk does not let turn. */
  describe('no command has a handler of its own', () => {
    const heard: string[] = []
    const note = (name: string | symbol): void => void heard.push(String(name))
    beforeAll(() => void process.on('newListener', note))
    afterAll(() => void process.off('newListener', note))
    const layout = file('empty.json', '{"format":"sv32","base":0,"regions":[]}')
    const trace = file('empty.txt', '# tracer: nop\n')
    test.each([
      ['formats'],
      ['explain', 'sv32', '0'],
      ['translate', 'arm64-lpae-s1', '--image', cycle, ...AT, '0'],
      ['dump', 'arm64-lpae-s1', '--image', cycle, '--limit', '3', ...AT],
      ['check', 'arm64-lpae-s1', '--image', cycle, ...AT],
      ['diff', 'arm64-lpae-s1', cycle, cycle, '--iova', '0+1M', ...AT],
      ['find', 'arm64-lpae-s1', '--image', cycle, '--paddr', '0', '--limit', '1', ...AT],
      ['streams', 'vtd', '--image', VTD, '--rtaddr', '0x564d000'],
      ['fault', 'vtd', '0xffebc000', '0x8000000500000008', '--image', VTD, '--rtaddr', '0x564d000'],
      ['build', layout],
      ['replay', trace],
    ])('%s', async (...args) => {
      const { code } = await run(args)
      expect([code === 2, heard.filter((name) => name.startsWith('SIG'))]).toEqual([false, []])
    })
  })
})

describe('bounds', () => {
  test('diff: of tables that lead to themselves, the work', async () => {
    const { code, out, err } = await run(['diff', 'arm64-lpae-s1', cycle, cycle2, '--json', ...AT])
    expect([code, jsonLines(out)]).toEqual([0, [{ incomplete: 'work-limit', root: 'ttbr0' }]])
    expect(err).toMatch(/error work-limit ttbr0: ended/)
  })

  test('diff: --limit, --iova', async () => {
    const args = ['diff', 'arm64-lpae-s1', shared, cycle, '--json', ...AT]
    const lines = jsonLines((await run([...args, '--limit', '3'])).out)
    expect(lines.map(({ change, incomplete }) => change ?? incomplete)).toEqual(['changed', 'changed', 'changed', 'limit'])
    const some = jsonLines((await run([...args, '--iova', '0x3000+8K'])).out)
    expect(some.map(({ iova }) => iova)).toEqual(['0x3000', '0x4000'])
  })

  test('a limit that is used up exactly says that there is more in the next table', async () => {
    const both = [...AT, '--ttbr1', '0x1000', '--tcr', '0x500803510']
    const [first] = jsonLines((await run(['dump', 'arm64-lpae-s1', '--image', cycle, '--json', '--iova', '0+4K', ...both])).out)
    expect(first).toMatchObject({ iova: '0x0' })
    for (const command of ['dump', 'find']) {
      const args = [command, 'arm64-lpae-s1', '--image', shared, '--json', '--limit', '1', ...both]
      const lines = jsonLines((await run(command === 'find' ? [...args, '--paddr', '0x400000'] : args)).out)
      expect(lines.at(-1)).toMatchObject({ incomplete: 'limit' })
    }
  })
})

describe('what is incomplete says so on stdout, with --json', () => {
  const cut = image('cut.raw', [NOTHING, () => 0x5003n])
  test.each([
    ['dump', ['dump', 'arm64-lpae-s1', '--image', cut], 'unknown-memory'],
    ['dump --tree', ['dump', 'arm64-lpae-s1', '--tree', '--image', cut], 'unknown-memory'],
    ['dump --stats', ['dump', 'arm64-lpae-s1', '--stats', '--image', cut], 'unknown-memory'],
    ['dump, ended by work', ['dump', 'arm64-lpae-s1', '--min-size', '1T', '--image', cycle], 'work-limit'],
    ['diff', ['diff', 'arm64-lpae-s1', cut, cut], 'unknown-memory'],
    ['find', ['find', 'arm64-lpae-s1', '--paddr', '0', '--image', cut], 'unknown-memory'],
  ])('%s', async (_, args, incomplete) => {
    const { out } = await run([...args, '--json', ...AT])
    expect(jsonLines(out).filter((line) => 'incomplete' in line)).toEqual([{ incomplete, root: 'ttbr0' }])
  })

  test('streams, and dump of them', async () => {
    const small = image('small.raw', [NOTHING])
    for (const command of ['streams', 'dump', 'find', 'translate']) {
      const more = command === 'find' ? ['--paddr', '0'] : []
      const { out, err } = await run([
        command,
        'vtd',
        '--image',
        small,
        '--base',
        '0x800',
        '--rtaddr',
        '0x1000',
        '--json',
        ...more,
        ...(command === 'translate' ? ['0'] : []),
      ])
      expect(out.split('\n')[0]).toBe('{"incomplete":"unknown-memory"}')
      expect(err).toMatch(/error unknown-memory root table/)
    }
  })

  test('nothing is said of what is whole', async () => {
    const { out } = await run(['dump', 'vtd', '--image', VTD, '--rtaddr', '0x564d000', '--json'])
    expect(jsonLines(out).filter((line) => 'incomplete' in line)).toEqual([])
  })
})

describe('text of others', () => {
  const OURS = new RegExp(`${String.fromCharCode(0x1b)}\\[(31|39|1|22)m`, 'g')
  const EVIL = 'ram\n*/\n#error injected\n/*\u001b[2J\u202e??/\\'

  test('a name of a region stays in its comment, in C and in assembly', async () => {
    const layout = {
      format: 'sv32',
      base: '0x80000000',
      regions: [{ name: EVIL, iova: 0, paddr: 0, size: '4M', prot: ['READ'] }],
    }
    const path = file('evil.json', JSON.stringify(layout))
    for (const emit of ['c', 'asm']) {
      const { out } = await run(['build', path, '--emit', emit])
      const line = out.split('\n').find((each) => each.includes('injected')) ?? ''
      expect(line).toMatch(/^[ -~]+$/)
      expect(line).toContain('ram\\u{a}* /\\u{a}#error injected\\u{a}/ *\\u{1b}[2J\\u{202e}?? /')
      // each comment that is opened is closed once
      expect(out.match(/\/\*/g)?.length).toBe(out.match(/\*\//g)?.length)
      const code = out.replace(/\/\*[\s\S]*?\*\//g, '')
      expect(code).not.toContain('injected')
    }
  })

  test.each([false, true])('no escape of a name reaches the terminal (colours: %s)', (color) => {
    const env = { ...process.env, NO_COLOR: color ? '' : '1', FORCE_COLOR: color ? '1' : '' }
    const iopt = (...args: string[]): string => {
      const command = `"$@" 2>&1 || true`
      return execFileSync('sh', ['-c', command, 'sh', process.execPath, bundle(), ...args], { encoding: 'utf8', env, cwd: folder })
    }
    const evil = file('e\u001b[2J\u001b[31m\u009b2Jvil.elf', '\u001b[2J\u009b')
    const layout = file(
      'evil2.json',
      JSON.stringify({
        format: 'sv32',
        base: 1,
        regions: [
          { name: EVIL, iova: 0, paddr: 0, size: 5, prot: [] },
          { name: EVIL, iova: 0, paddr: 0, size: 5, prot: [] },
        ],
      }),
    )
    const texts = [
      iopt('dump', 'arm64-lpae-s1', '--image', evil, '--image-format', 'elf', ...AT),
      iopt('dump', 'arm64-lpae-s1', '--image', `${evil}.none`, ...AT),
      iopt('dump', 'arm64-lpae-s1', `--\u001b[2J`, '--image', evil),
      iopt('dump', '\u001b[2J', '--image', evil),
      iopt('\u001b[2J'),
      iopt('build', layout),
      iopt('replay', evil),
    ]
    for (const text of texts) {
      // only our own red, bold and their ends
      const rest = color ? text.replace(OURS, '') : text
      expect(rest).not.toMatch(/(?![\n\t])[\p{Cc}\p{Bidi_Control}]/u)
      expect(rest).toMatch(/\\u001b|\\u\{1b\}/)
    }
    if (color) expect(texts[0]).not.toContain('\u001b[31m\\u009b')
  })

  test('results that are JSON stay JSON', async () => {
    const layout = { format: 'sv32', base: '0x80000000', regions: [{ name: 'a\u009bb', iova: 0, paddr: 0, size: '4M', prot: ['READ'] }] }
    const { out } = await run(['build', file('c1.json', JSON.stringify(layout))])
    expect(JSON.parse(out)).toMatchObject({ format: 'sv32' })
  })
})

describe('files that are none', () => {
  const fifo = join(folder, 'fifo')
  execFileSync('sh', ['-c', 'mkfifo "$0"', fifo])
  test.each([
    ['a pipe', fifo, /a regular file expected, not a pipe/],
    ['a device', '/dev/zero', /a regular file expected, not a device/],
    ['a directory', folder, /a regular file expected, not a directory/],
    ['/proc', '/proc/self/maps', /empty, or of a kind without a size/],
    ['an empty file', file('nothing', ''), /empty/],
  ])('%s is refused', async (_, path, words) => {
    for (const args of [
      ['dump', 'arm64-lpae-s1', '--image', path, ...AT],
      ['check', 'arm64-lpae-s1', '--image', cycle, '--image', path, ...AT],
      ['diff', 'arm64-lpae-s1', cycle, path, ...AT],
      ['streams', 'vtd', '--image', path, '--rtaddr', '0', '--base', '0'],
    ]) {
      const { code, out, err } = await run(args)
      expect([code, out]).toEqual([2, ''])
      expect(err).toMatch(words)
    }
  })

  test('a text may come from a pipe; one without an end is refused', async () => {
    expect(() => readText('/dev/zero')).toThrow(/more than 67108864 bytes/)
    const { code, err } = await run(['replay', '/dev/zero'])
    expect([code, err]).toEqual([2, expect.stringMatching(/EBADMSG: trace: line 1 has more than 1048576 characters/)])
    const text = execFileSync(
      'sh',
      ['-c', `echo '{"format":"sv32","base":0,"regions":[]}' | "$0" "$1" build -`, process.execPath, bundle()],
      { encoding: 'utf8' },
    )
    expect(JSON.parse(text)).toMatchObject({ format: 'sv32' })
  })
})

describe('names that there are not, and options without a use, are refused, with what there is', () => {
  const vtd = ['--image', VTD, '--rtaddr', '0x564d000']
  const arm = ['--image', AARCH64, '--ttbr0', '0x440a5000', '--tcr', '0x500074b5503510', '--mair', '0x40044ffff']
  test.each([
    ['a register of no IOMMU', ['streams', 'vtd', ...vtd, '--reg', 'rtadr=0'], /no register rtadr: rtaddr, cap, gsts/],
    ['one of another IOMMU', ['dump', 'vtd', ...vtd, '--strtab-base', '0'], /no register strtabBase: rtaddr, cap, gsts/],
    ['one of a format', ['dump', 'vtd', ...vtd, '--ttbr0', '0'], /no register ttbr0: rtaddr, cap, gsts/],
    [
      'the old name of MSI_FLAT',
      ['streams', 'riscv', '--image', VTD, '--ddtp', '2', '--capabilities', '0', '--reg', 'extended=1'],
      /no register extended: ddtp, capabilities/,
    ],
    ['no capabilities', ['streams', 'riscv', '--image', VTD, '--ddtp', '2'], /--capabilities VALUE is needed/],
    ['in fault, too', ['fault', 'vtd', '0xffebc000', '0x8000000500000008', ...vtd, '--reg', 'x=1'], /no register x/],
    ['fault without an image', ['fault', 'vtd', '0xffebc000', '0x8000000500000008', '--rtaddr', '0x564d000'], /--rtaddr.*--image/],
    ['an IOMMU register for a format', ['dump', 'arm64-lpae-s1', ...arm, '--rtaddr', '0'], /no register rtaddr: /],
    [
      'a part of a register',
      ['dump', 'arm-v7s', '--image', VTD, '--ttbr0', '0', '--reg', 'mtk.isa=34'],
      /no register mtk\.isa: .*mtk\.ias/,
    ],
    ['a register with parts, whole', ['dump', 'arm-v7s', '--image', VTD, '--ttbr0', '0', '--reg', 'mtk=34'], /no register mtk: /],
    ['parts that lack', ['dump', 'arm-v7s', '--image', VTD, '--ttbr0', '0', '--reg', 'mtk.ias=34'], /needs --reg mtk\.oas=VALUE/],
    ['parts of one without', ['dump', 'riscv64', '--image', VTD, '--reg', 'satp.x=1'], /no register satp\.x: satp/],
    ['a stream of a format', ['dump', 'arm64-lpae-s1', ...arm, '--sid', '8'], /--sid, --pasid and --stage select streams/],
    ['--config without --root', ['dump', 'arm64-lpae-s1', ...arm, '--config', '0'], /--config goes with --root/],
    ['--root of an IOMMU', ['dump', 'vtd', ...vtd, '--root', '0'], /--root and --config are of a format/],
    ['a member of --config', ['explain', 'sv32', '0', '--config', '{"isa":32}'], /no member "isa": .*ias/],
    [
      'one of a layout',
      ['build', file('slip.json', '{"format":"sv32","base":0,"config":{"quirk":["SUPERVISOR"]},"regions":[]}')],
      /no member "quirk": .*quirks/,
    ],
    ['in replay', ['replay', file('t.txt', ''), '--config', '{"ais":48}'], /no member "ais"/],
    ['a field', ['dump', 'arm64-lpae-s1', ...arm, '--field', 'AttrIndex=1'], /no field AttrIndex: .*AttrIndx/],
    ['a value of a field', ['dump', 'arm64-lpae-s1', ...arm, '--field', 'AttrIndx=x'], /AttrIndx "x": an integer expected/],
  ])('%s', async (_, args, words) => {
    const { code, out, err } = await run(args)
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(words)
  })

  test('what there is, is taken', async () => {
    expect((await run(['streams', 'vtd', ...vtd, '--reg', 'cap=0xd2008c40660462'])).code).toBe(0)
    expect((await run(['streams', 'smmuv3', '--image', join(DUMPS, 'linux-smmuv3/memory.elf'), ...SMMU])).code).toBe(0)
  })
})
