/**
 * 64 MiB of tables in a file: a dump of merged runs to nowhere, and a check, take at most three times as long as merely reading the file and summing it
 * up as 32-bit words. Measured on bundled code in a process of its own: the test runner's modules are slower.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { expect, it } from 'vitest'

const MOST_RATIO = 3

it('a dump and a check are at least a third as fast as reading and summing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'inspect-speed-'))
  try {
    const outfile = join(folder, 'speed.mjs')
    const entry = fileURLToPath(new URL('support/speed.ts', import.meta.url))
    const conditions = ['@io-pgtable/source']
    await build({ entryPoints: [entry], bundle: true, format: 'esm', platform: 'node', conditions, outfile })
    const times = JSON.parse(execFileSync(process.execPath, [outfile], { encoding: 'utf8' })) as Record<'sum' | 'dump' | 'check', number>
    const { sum, dump, check } = times
    console.log(`inspect speed, 64 MiB: sum ${sum.toFixed(1)} ms, dump ${dump.toFixed(1)} ms, check ${check.toFixed(1)} ms`)
    expect(dump / sum).toBeLessThan(MOST_RATIO)
    expect(check / sum).toBeLessThan(MOST_RATIO)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
