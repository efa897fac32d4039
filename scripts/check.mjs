// Everything that is checked besides the tests, two at a time. Each check is silent unless it fails, except that the structure prints its
// figures; all are run whatever the others say.
// Arguments select checks by name: `npm run check -- types lint`. The packages are built already.
import { spawn } from 'node:child_process'
import { ROOT } from './workspace.mjs'

const CHECKS = /** @type {Record<string, string>} */ ({
  types: 'node scripts/types.mjs',
  lint: 'biome check --error-on-warnings .',
  'dead-exports': 'knip --no-progress --no-config-hints',
  tarballs: 'node scripts/packed.mjs',
  'user-types': 'node scripts/user-types.mjs',
  'third-party': 'node scripts/third-party.mjs',
  size: 'size-limit',
  generated: 'node scripts/generate.mjs --check',
  sources: 'node scripts/sources.mjs',
  structure: 'node scripts/structure.mjs',
  examples: 'node scripts/docs.mjs',
  'api-docs': 'typedoc --logLevel Warn',
  vectors: 'pnpm run --if-present check:vectors',
  scaffold: 'node scripts/scaffold.mjs',
  long: 'vitest run --config vitest.long.config.ts --passWithNoTests',
})

/** @param {string} name @returns {Promise<boolean>} whether the check passed */
function check(name) {
  const started = performance.now()
  const child = spawn(CHECKS[name] ?? '', {
    cwd: ROOT,
    shell: true,
    env: { ...process.env, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
  return new Promise((resolve) => {
    child.on('close', (status) => {
      const seconds = ((performance.now() - started) / 1000).toFixed(1)
      const figures = name === 'structure' ? output.replace(/^/gm, '        ').trimEnd() : ''
      process.stdout.write(
        status === 0 ? `ok      ${name} (${seconds} s)\n${figures && `${figures}\n`}` : `FAILED  ${name}: ${CHECKS[name]}\n${output}\n`,
      )
      resolve(status === 0)
    })
  })
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !Object.hasOwn(CHECKS, name))
if (unknown.length > 0) throw new Error(`no check is called ${unknown.join(', ')}; there are ${Object.keys(CHECKS).join(', ')}`)
const queue = wanted.length > 0 ? wanted : Object.keys(CHECKS)
const failed = /** @type {string[]} */ ([])

async function worker() {
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) if (!(await check(name))) failed.push(name)
}
await Promise.all([worker(), worker()])
if (failed.length > 0) process.stderr.write(`failed: ${failed.join(', ')}\n`)
process.exit(failed.length > 0 ? 1 : 0)
