// Runs the golden vectors of every package that has some, packages/*/test-data/vectors, through the built command of the conformance kit.
// Arguments are handed on: `npm run check:vectors -- --format F`.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { packagesIn, ROOT } from './workspace.mjs'

const folders = packagesIn('packages')
  .map(({ folder }) => `${folder}/test-data/vectors`)
  .filter((folder) => existsSync(ROOT + folder))
const command = ['packages/conformance/dist/cli.js', 'vectors', ...folders, ...process.argv.slice(2)]
process.exit(spawnSync(process.execPath, command, { cwd: ROOT, stdio: 'inherit' }).status ?? 1)
