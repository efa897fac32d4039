// Checks the types of every package by its own tsconfig.json, and those of the tests and scripts by the root's, with the native compiler.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import { packagesIn, ROOT } from './workspace.mjs'

const run = promisify(execFile)
const projects = ['.', ...[...packagesIn('packages'), ...packagesIn('apps')].map(({ folder }) => folder)].filter((folder) =>
  existsSync(`${ROOT}${folder}/tsconfig.json`),
)
let failed = false

async function worker() {
  for (let project = projects.shift(); project !== undefined; project = projects.shift()) {
    const args = [`${ROOT}node_modules/typescript-7/bin/tsc`, '-p', project, '--noEmit', '--pretty', 'false']
    await run(process.execPath, args, { cwd: ROOT }).catch((/** @type {{ stdout: string, stderr: string }} */ { stdout, stderr }) => {
      process.stdout.write(`${project}:\n${stdout}${stderr}`)
      failed = true
    })
  }
}
await Promise.all(Array.from({ length: availableParallelism() }, worker))
if (failed) process.exitCode = 1
