// Every law of the conformance kit at full effort, on every format package as it is built: the sequences of `npm test`, only longer.
// `node scripts/laws.mjs [NAME...]` checks the packages of these folder names alone; with `--minutes N` none is begun after that time, and
// each day begins with another one, so that all have their turn.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { packagesIn, ROOT } from './workspace.mjs'

const { values, positionals: wanted } = parseArgs({ allowPositionals: true, options: { minutes: { type: 'string' } } })
const end = values.minutes === undefined ? Number.POSITIVE_INFINITY : performance.now() + 60_000 * Number(values.minutes)
const formats = packagesIn('packages').filter(({ folder, manifest }) => {
  return manifest.ioPgtable && (wanted.length === 0 || wanted.includes(basename(folder)))
})
if (values.minutes !== undefined) formats.push(...formats.splice(0, Math.floor(Date.now() / 86_400_000) % formats.length))
let failed = false

/** @param {import('./workspace.mjs').Package} pkg */
function check({ folder, manifest }) {
  const vectors = `${ROOT}${folder}/test-data/vectors`
  const truth = existsSync(vectors) ? ['--vectors', vectors] : []
  const module = `${ROOT}${folder}/${manifest.ioPgtable?.format}`
  const started = performance.now()
  const args = [`${ROOT}packages/conformance/dist/cli.js`, 'check', module, '--effort', 'full', ...truth]
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
  return new Promise((resolve) => {
    child.on('close', (status) => {
      const seconds = ((performance.now() - started) / 1000).toFixed(1)
      process.stdout.write(status === 0 ? `ok      ${folder} (${seconds} s)\n` : `FAILED  ${folder}\n${output}\n`)
      if (status !== 0) failed = true
      resolve(undefined)
    })
  })
}

async function worker() {
  while (performance.now() < end) {
    const next = formats.shift()
    if (next === undefined) return
    await check(next)
  }
}
await Promise.all([worker(), worker()])
if (formats.length > 0)
  process.stdout.write(`not begun in ${values.minutes} minutes: ${formats.map(({ folder }) => basename(folder)).join(', ')}\n`)
process.exit(failed ? 1 : 0)
