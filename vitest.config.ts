// One project for each package and app that has tests. They run from source: the condition makes `@io-pgtable/x` its src/index.ts.
// Long tests (QEMU, fuzzing, a million operations) lie in `long/` beside `test/`: vitest.long.config.ts, `npm run check -- long`.
import { existsSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { defaultServerConditions } from 'vite'
import { defineConfig, type ViteUserConfig } from 'vitest/config'

const conditions = ['@io-pgtable/source', ...defaultServerConditions]

function projects(folder: string, tests: string) {
  return readdirSync(folder)
    .map((name) => ({ name, root: `${folder}/${name}` }))
    .filter(({ root }) => existsSync(`${root}/${tests}`))
    .map(({ name, root }) => ({ extends: true as const, root, test: { name } }))
}

export function configOf(tests: 'test' | 'long', options: NonNullable<ViteUserConfig['test']>): ViteUserConfig {
  return defineConfig({
    resolve: { conditions },
    ssr: { resolve: { conditions } },
    test: {
      include: [`${tests}/**/*.test.ts`],
      // vitest would leave one core idle, which on a machine of two is half of it
      maxWorkers: availableParallelism(),
      projects: ['packages', 'packages/formats', 'apps'].flatMap((folder) => projects(folder, tests)),
      ...options,
    },
  })
}

export default configOf('test', { testTimeout: 60_000, reporters: ['default', ['json', { outputFile: 'reports/vitest.json' }]] })
