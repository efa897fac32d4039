// Builds the JavaScript of every package, without declarations: all that the tests load. One process does it in seconds, where a build of
// each package by itself takes a minute of processors' time before the first line is compiled.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { build } from 'tsup'
import { packagesIn, ROOT } from './workspace.mjs'

const packages = [...packagesIn('packages'), ...packagesIn('apps')].filter(({ manifest }) => manifest.scripts?.build)

/** @param {import('./workspace.mjs').Package} app one that is built by another command */
async function command({ folder, manifest }) {
  const child = spawn(manifest.scripts?.build ?? '', { cwd: ROOT + folder, shell: true, stdio: 'inherit' })
  const [status] = await once(child, 'close')
  if (status !== 0) throw new Error(`${folder}: the build fails`)
}

const others = packages.filter(({ manifest }) => manifest.scripts?.build !== 'tsup').map(command)
for (const { folder } of packages.filter(({ manifest }) => manifest.scripts?.build === 'tsup')) {
  process.chdir(ROOT + folder) // where tsup looks for its configuration
  await build({ dts: false, clean: false })
}
await Promise.all(others)
