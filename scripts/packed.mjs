// Checks the tarballs that would be published: what package.json promises is in them (publint), and TypeScript finds the types (attw).
import { attempt, inFolder, pack } from './tarballs.mjs'
import { ROOT } from './workspace.mjs'

await inFolder('packed', async (out) => {
  const tarballs = pack(out)
  return [...tarballs].flatMap(([name, tarball]) => {
    const commands = [
      ['publint', '--strict', tarball],
      ['attw', '--profile', 'esm-only', '--no-emoji', tarball],
    ]
    return commands.flatMap(([command = '', ...args]) => {
      const { ok, output } = attempt(ROOT, command, ...args)
      return ok ? [] : [`${name}: ${command} fails\n${output}`]
    })
  })
})
