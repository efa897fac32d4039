/** QEMU does not notice that its parent died: whichever way that happens, the child must be gone. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ends } from './helpers.ts'

const folder = mkdtempSync(join(tmpdir(), 'io-pgtable-dying-'))
const program = join(folder, 'parent.mjs')

beforeAll(() => {
  const entry = fileURLToPath(new URL('dying-parent.ts', import.meta.url))
  return build({ entryPoints: [entry], outfile: program, bundle: true, platform: 'node', format: 'esm', logLevel: 'silent' })
}, 60_000)
afterAll(() => rmSync(folder, { recursive: true }))

/** Runs the program until it is dead. */
function parent(way: string, signal?: NodeJS.Signals): Promise<{ child: number; status: number | null; signal: NodeJS.Signals | null }> {
  const running = spawn(process.execPath, [program, way], { stdio: ['ignore', 'pipe', 'ignore'] })
  return new Promise((resolve, reject) => {
    let child = 0
    running.on('error', reject)
    running.stdout.once('data', (text) => {
      child = Number(text)
      if (signal !== undefined) running.kill(signal)
    })
    running.once('exit', (status, by) => resolve({ child, status, signal: by }))
  })
}

describe('a child that is always killed', () => {
  it.each(['exit', 'exception', 'rejection'])('when its parent ends by an %s', async (way) => {
    const { child, status } = await parent(way)
    expect(child).toBeGreaterThan(0)
    expect(status).toBe(way === 'exit' ? 0 : 1)
    expect(await ends(child)).toBe(true)
  })

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const)('when its parent is killed by %s, which it dies of', async (name) => {
    const { child, signal } = await parent('signal', name)
    expect(child).toBeGreaterThan(0)
    expect(signal).toBe(name)
    expect(await ends(child)).toBe(true)
  })
})
