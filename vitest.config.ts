// One project for each package and app that has tests, and one for the scripts. They run from source: the condition makes `@io-pgtable/x` its src/index.ts.
// Long tests (QEMU, fuzzing, a million operations) lie in `long/` beside `test/`: vitest.long.config.ts, `npm run check -- long`.
import { existsSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename } from 'node:path'
import { defaultServerConditions } from 'vite'
import { defineConfig, type ViteUserConfig } from 'vitest/config'

/** `npm test` has just built every package, and takes the others from there: Node loads a file for each, instead of a hundred that are transformed first. */
const BUILT = process.env.IO_PGTABLE_BUILT === '1'
const conditions = BUILT ? [...defaultServerConditions] : ['@io-pgtable/source', ...defaultServerConditions]

/** The folders that have tests: the packages, the apps, the scripts. */
function projects(tests: string) {
  const inside = ['packages', 'packages/formats', 'apps'].flatMap((folder) => readdirSync(folder).map((name) => `${folder}/${name}`))
  return [...inside, 'scripts']
    .filter((root) => existsSync(`${root}/${tests}`))
    .map((root) => ({ extends: true as const, root, test: { name: basename(root) } }))
}

export function configOf(tests: 'test' | 'long', options: NonNullable<ViteUserConfig['test']>): ViteUserConfig {
  return defineConfig({
    resolve: { conditions },
    ssr: { resolve: { conditions } },
    test: {
      server: { deps: { external: BUILT ? [/\/packages\/.*\/dist\//] : [] } },
      include: [`${tests}/**/*.test.ts`],
      // vitest would leave one core idle, which on a machine of two is half of it
      maxWorkers: availableParallelism(),
      projects: projects(tests),
      ...options,
    },
  })
}

export default configOf('test', { testTimeout: 60_000, reporters: ['default', ['json', { outputFile: 'reports/vitest.json' }]] })
