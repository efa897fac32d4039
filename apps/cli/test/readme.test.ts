/**
 * Runs every `$ iopt` line of the README's console fences, and compares what it writes to stdout. With UPDATE_EXAMPLES=1 it writes the
 * output into the README instead, and the table of findings.
 */
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bytesSource, CHECK_CODES, openImage } from '@io-pgtable/inspect'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { elfCore, qemuNote } from '../../../packages/inspect/test/support/core.ts'
import { DUMPS, ROOT, run } from './support.ts'

const README = join(ROOT, 'apps/cli/README.md')
const EXAMPLES = join(ROOT, 'apps/cli/examples')
const UPDATE = process.env.UPDATE_EXAMPLES === '1'
/** Output that is longer is cut, with `…`. */
const MOST_LINES = 36

interface Example {
  readonly command: string
  readonly expected: readonly string[]
}

const text = readFileSync(README, 'utf8')

function examplesOf(fence: string): Example[] {
  return fence
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const [command = '', ...expected] = part.trimEnd().split('\n')
      return { command, expected }
    })
}

const fences = [...text.matchAll(/^```console\n([\s\S]*?)^```$/gm)].map(([, fence = '']) => fence)
const examples = fences.flatMap(examplesOf)

/** Words of a command line: no quotes are needed in the examples. */
function wordsOf(command: string): string[] {
  return command.split(' ').slice(1)
}

async function output(command: string): Promise<string[]> {
  const { out } = await run(wordsOf(command))
  return out === '' ? [] : out.trimEnd().split('\n')
}

function shortened(lines: readonly string[]): readonly string[] {
  return lines.length > MOST_LINES ? [...lines.slice(0, MOST_LINES - 4), '…'] : lines
}

const before = process.cwd()

/** The files of the examples, vtd.elf with one page less, and a core of QEMU. */
beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'iopt-readme-'))
  for (const name of readdirSync(EXAMPLES)) copyFileSync(join(EXAMPLES, name), join(folder, name))
  for (const [name, dump] of Object.entries({
    smmuv3: 'linux-smmuv3',
    aarch64: 'linux-aarch64-4k',
    armv7: 'linux-armv7',
    vtd: 'linux-vtd',
  }))
    copyFileSync(join(DUMPS, dump, 'memory.elf'), join(folder, `${name}.elf`))
  const bytes = readFileSync(join(folder, 'vtd.elf'))
  const entry = 0x3fe9_6000n + 189n * 8n
  const { segments } = await openImage(bytesSource(bytes))
  const segment = segments.find(({ paddr, size }) => entry >= paddr && entry < paddr + size)
  if (segment === undefined) throw new Error('the entry is not in the image')
  bytes.writeBigUInt64LE(0n, segment.offset + Number(entry - segment.paddr))
  writeFileSync(join(folder, 'after.elf'), bytes)
  const guest = { machine: 62, notes: [qemuNote(0x8005_0033n, 0x1067000n, 0x750ef0n)], paddr: 0x106_7000n, memory: new Uint8Array(4096) }
  writeFileSync(join(folder, 'guest.elf'), elfCore(guest))
  process.chdir(folder)
})
afterAll(() => process.chdir(before))

describe.skipIf(UPDATE)('README', () => {
  test.each(examples)('$command', async ({ command, expected }) => {
    const lines = await output(command)
    if (expected.at(-1) === '…') expect(lines.slice(0, expected.length - 1)).toEqual(expected.slice(0, -1))
    else expect(lines).toEqual(expected)
  })

  test('every command has an example', async () => {
    const { out } = await run(['--help'])
    const commands = [...out.matchAll(/^ {2}(\w+) (?:\[|<)/gm)].map(([, name]) => name)
    expect(commands).toHaveLength(13)
    expect([...new Set(examples.map(({ command }) => wordsOf(command)[0]))].sort()).toEqual(commands.sort())
  })

  test('the table of findings is the list of codes', () => {
    expect(text).toContain(findingsTable())
  })

  test.each(readdirSync(EXAMPLES).filter((name) => name.endsWith('.json')))('%s stands there as it is', (name) => {
    expect(text).toContain(`\`\`\`json\n${readFileSync(join(EXAMPLES, name), 'utf8')}\`\`\``)
  })
})

function findingsTable(): string {
  const rows = Object.entries(CHECK_CODES).map(([code, { severity, what }]) => `| \`${code}\` | ${severity} | ${what} |`)
  return [
    '<!-- findings:begin -->',
    '| finding | severity | what it means |',
    '| --- | --- | --- |',
    ...rows,
    '<!-- findings:end -->',
  ].join('\n')
}

test.runIf(UPDATE)('update', async () => {
  let updated = text.replace(/<!-- findings:begin -->[\s\S]*?<!-- findings:end -->/, () => findingsTable())
  for (const fence of fences) {
    const parts: string[] = []
    for (const { command } of examplesOf(fence)) parts.push([`$ ${command}`, ...shortened(await output(command))].join('\n'))
    updated = updated.replace(fence, () => `${parts.join('\n\n')}\n`)
  }
  writeFileSync(README, updated)
})
