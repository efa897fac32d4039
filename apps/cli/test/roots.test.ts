/** Cores that say their roots: `iopt roots`, and commands that take them when no register is given. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { elfCore, qemuNote } from '../../../packages/inspect/test/support/core.ts'
import { jsonLines, run } from './support.ts'

const folder = mkdtempSync(join(tmpdir(), 'iopt-roots-'))

/** A table of level 4 at 0x1000, one of level 3 with a page of 1G at 0x2000. */
function memory(): Uint8Array {
  const bytes = new Uint8Array(0x2000)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, 0x2067n, true)
  view.setBigUint64(0x1008, 0x4000_00e3n, true)
  return bytes
}

const file = (name: string, bytes: Uint8Array): string => {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}
const CORE = file('core', elfCore({ machine: 62, notes: [qemuNote(0x8000_0001n, 0x1000n, 0x20n)], paddr: 0x1000n, memory: memory() }))
const MUTE = file('mute', elfCore({ machine: 62, notes: [], paddr: 0x1000n, memory: memory() }))

test('the roots of a core', async () => {
  const { code, out } = await run(['roots', CORE, '--json'])
  expect(code).toBe(0)
  expect(jsonLines(out)).toEqual([{ format: 'x86_64', registers: { cr3: '0x1000', cr4: '0x20' }, from: "CPU 0, QEMU's note" }])
  expect((await run(['roots', CORE])).out).toBe("x86_64  --cr3 0x1000 --cr4 0x20  CPU 0, QEMU's note\n")
  const mute = await run(['roots', MUTE])
  expect([mute.code, mute.out]).toEqual([0, ''])
  expect(mute.err).toMatch(/no note of this image tells a root/)
})

test.each([
  ['dump', ['dump', 'x86_64', '--image', CORE], /0x40000000/],
  ['translate', ['translate', 'x86_64', '--image', CORE, '0x40000123'], /0x40000123/],
  ['check', ['check', 'x86_64', '--image', CORE], /1 merged mappings/],
] as const)('%s takes them, and says so', async (_, args, expected) => {
  const { code, out, err } = await run([...args])
  expect(code).toBeLessThan(2)
  expect(`${out}${err}`).toMatch(expected)
  expect(`${out}${err}`).toMatch(/no register was given: cr3 0x1000, cr4 0x20 are taken/)
})

test('registers that are given, and images that say nothing, are as ever', async () => {
  const given = await run(['dump', 'x86_64', '--image', CORE, '--cr3', '0x1000', '--cr4', '0x20'])
  expect([given.code, given.err]).toEqual([0, ''])
  expect((await run(['dump', 'x86_64', '--image', MUTE])).err).toMatch(/x86_64 needs/)
  expect((await run(['dump', 'riscv64', '--image', CORE])).err).toMatch(/riscv64 needs/)
})
