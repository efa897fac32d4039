// Writes docs/VERIFICATION.md: runs the oracles of packages/qemu-oracle, which need QEMU, and reports what they found.
// --no-run: of the last run, as reports/oracle has it. --check: the same, but compares, up to QEMU's version, and changes nothing; without
// a run on this machine there is nothing to compare with.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { importSources, isFormat } from './formats.mjs'
import { packagesIn, ROOT } from './workspace.mjs'

const PAGE = `${ROOT}docs/VERIFICATION.md`
const REPORTS = `${ROOT}reports/oracle`

const check = process.argv.includes('--check')
if (!check && !process.argv.includes('--no-run')) {
  rmSync(REPORTS, { recursive: true, force: true })
  const command = ['vitest', 'run', '--config', 'vitest.long.config.ts', '--project', 'qemu-oracle']
  const { status } = spawnSync('npx', command, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, REQUIRE_QEMU: '1' } })
  if (status !== 0) process.exit(status ?? 1)
}

const packages = packagesIn('packages').filter(({ manifest }) => manifest.ioPgtable)
const modules = await importSources([...packages.map(({ folder }) => `${folder}/src/index.ts`), 'packages/qemu-oracle/src/report/index.ts'])
const { verification } = /** @type {typeof import('../packages/qemu-oracle/src/report/index.ts')} */ (modules.at(-1))
const text = verification(
  ROOT,
  packages.map(({ folder, manifest }, i) => ({
    folder,
    formats: Object.values(modules[i] ?? {}).filter(isFormat),
    verified: manifest.ioPgtable?.verified ?? '',
  })),
)

const withoutVersion = (/** @type {string} */ page) => page.replace(/^QEMU [\d., ]+\./m, 'QEMU.')
if (!check) writeFileSync(PAGE, text)
else if (!existsSync(REPORTS)) process.stdout.write('docs/VERIFICATION.md: no run of the oracles on this machine to compare with\n')
else if (withoutVersion(readFileSync(PAGE, 'utf8')) !== withoutVersion(text)) {
  process.stderr.write('docs/VERIFICATION.md is not what the oracles found: run `node scripts/verification.mjs`\n')
  process.exitCode = 1
}
