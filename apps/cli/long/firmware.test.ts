/** What `iopt build` writes for firmware, in the hands of the tools that take it: gcc, as, ld, readelf, objcopy. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { iopt, jsonLines } from '../test/support.ts'

const TOOLS = ['gcc', 'readelf', 'objcopy']
const missing = TOOLS.filter((tool) => spawnSync(tool, ['--version']).status !== 0)
const required = process.env.REQUIRE_GCC === '1'
const skipped = missing.length > 0 && !required
const why = skipped ? ` (skipped: there is no ${missing.join(', ')})` : ''

const LAYOUTS = {
  'arm64-lpae-s1': { ias: 39 },
  'arm-v7s': {},
  x86_64: {},
  riscv64: {},
  vtdss: { ias: 48 },
} as const

/** binutils know files of their own machine. */
const MACHINE = process.arch === 'arm64' ? 'aarch64' : 'x86-64'

const folder = mkdtempSync(join(tmpdir(), 'iopt-firmware-'))
const file = (name: string): string => join(folder, name)

function tool(name: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(name, args, { encoding: 'utf8', cwd: folder })
  expect([name, status, stderr, error]).toEqual([name, 0, '', undefined])
  return stdout
}

/** Builds a layout in every form; the bytes of the tables, and the registers. */
function build(format: keyof typeof LAYOUTS): { bytes: Buffer; facts: Record<string, string> } {
  const regions = [
    { name: 'ram', iova: '0x40000000', paddr: '0x40000000', size: '16M', prot: ['READ', 'WRITE'] },
    { name: 'uart', iova: '0x9000000', paddr: '0x9000000', size: '4K', prot: ['READ', 'WRITE', 'MMIO', 'NOEXEC'] },
  ]
  writeFileSync(file('layout.json'), JSON.stringify({ format, base: '0x40200000', config: LAYOUTS[format], regions }))
  for (const emit of ['elf', 'c', 'asm', 'bin'])
    expect(iopt(['build', file('layout.json'), '--emit', emit, '--machine', MACHINE, '-o', file(`tables.${emit}`)])).toMatchObject({
      code: 0,
      err: '',
    })
  const { out } = iopt(['build', file('layout.json'), '--emit', 'bin', '--json', '-o', file('tables.bin')])
  return { bytes: readFileSync(file('tables.bin')), facts: (jsonLines(out)[0] ?? {}) as Record<string, string> }
}

describe.skipIf(skipped)(`build for firmware${why}`, () => {
  test.each(Object.keys(LAYOUTS) as (keyof typeof LAYOUTS)[])('%s: C, assembly and ELF hold the same tables', (format) => {
    const { bytes, facts } = build(format)
    const section = (object: string): Buffer => {
      tool('objcopy', '-O', 'binary', '--only-section=.pgtables', '--set-section-flags', '.pgtables=alloc,load', object, 'section.bin')
      return readFileSync(file('section.bin'))
    }
    tool('gcc', '-std=c11', '-Wall', '-Wextra', '-Werror', '-pedantic', '-x', 'c', '-c', 'tables.c', '-o', 'c.o')
    expect(section('c.o').equals(bytes)).toBe(true)
    writeFileSync(file('tables.s'), readFileSync(file('tables.asm')))
    tool('gcc', '-c', 'tables.s', '-o', 'asm.o')
    expect(section('asm.o').equals(bytes)).toBe(true)
    expect(section('tables.elf').equals(bytes)).toBe(true)
    const headers = tool('readelf', '--wide', '--file-header', '--segments', '--sections', '--symbols', 'tables.elf')
    expect(headers).toMatch(/EXEC \(Executable file\)/)
    expect(headers).toMatch(
      new RegExp(`LOAD +0x0*1000 0x0*${facts.base?.slice(2)} 0x0*${facts.base?.slice(2)} 0x0*${Number(facts.size).toString(16)} `),
    )
    expect(headers).toMatch(/OBJECT +GLOBAL DEFAULT +1 page_tables\n/)
  })

  test('a C program sees base, size and registers', () => {
    const { bytes, facts } = build('arm64-lpae-s1')
    const source =
      '#include <stdio.h>\n#include "tables.c"\nint main(void) { printf("%llx %zu %llx\\n", PAGE_TABLES_BASE, sizeof page_tables, PAGE_TABLES_TCR); return 0; }\n'
    writeFileSync(file('main.c'), source)
    tool('gcc', '-std=c11', 'main.c', '-o', 'main')
    expect(tool(file('main'))).toBe(`${facts.base?.slice(2)} ${bytes.byteLength} ${facts.tcr?.slice(2)}\n`)
  })

  test('the ELF file is an image of the command again', () => {
    const { facts } = build('arm64-lpae-s1')
    const registers = ['--ttbr0', facts.ttbr0 ?? '', '--tcr', facts.tcr ?? '', '--mair', facts.mair ?? '']
    const { code, out } = iopt(['dump', 'arm64-lpae-s1', '--image', file('tables.elf'), ...registers, '--json'])
    expect(code).toBe(0)
    expect(jsonLines(out).map(({ iova, paddr, size }) => [iova, paddr, size])).toEqual([
      ['0x9000000', '0x9000000', 4096],
      ['0x40000000', '0x40000000', 1 << 24],
    ])
  })
})
