// Checks the tarballs that would be published: what package.json promises is in them (publint), and TypeScript finds the types (attw).
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packagesIn, ROOT } from './workspace.mjs'

const out = mkdtempSync(join(tmpdir(), 'io-pgtable-packed-'))
const problems = []

for (const { folder, manifest } of [...packagesIn('packages'), ...packagesIn('apps')].filter(({ manifest }) => !manifest.private)) {
  const tarball = join(out, `${folder.replace('/', '-')}.tgz`)
  const commands = [
    ['pnpm', 'pack', '--out', tarball],
    ['publint', '--strict', tarball],
    ['attw', '--profile', 'esm-only', '--no-emoji', tarball],
  ]
  for (const [command = '', ...args] of commands) {
    const { status, stdout, stderr } = spawnSync(command, args, {
      cwd: join(ROOT, folder),
      encoding: 'utf8',
      shell: process.platform === 'win32',
    })
    if (status !== 0) problems.push(`${manifest.name}: ${command} fails\n${stdout}${stderr}`)
  }
}

rmSync(out, { recursive: true })
for (const problem of problems) process.stderr.write(`${problem}\n`)
process.exit(problems.length > 0 ? 1 : 0)
