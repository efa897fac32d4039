// One project for each package and app that has tests. They run from source: the condition makes `@io-pgtable/x` its src/index.ts.
import { existsSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { defaultServerConditions } from 'vite'
import { defineConfig } from 'vitest/config'

const conditions = ['@io-pgtable/source', ...defaultServerConditions]

function projects(folder: string) {
  return readdirSync(folder)
    .map((name) => ({ name, root: `${folder}/${name}` }))
    .filter(({ root }) => existsSync(`${root}/test`))
    .map(({ name, root }) => ({ extends: true as const, root, test: { name } }))
}

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    // vitest would leave one core idle, which on a machine of two is half of it
    maxWorkers: availableParallelism(),
    reporters: ['default', ['json', { outputFile: 'reports/vitest.json' }]],
    projects: [...projects('packages'), ...projects('apps')],
  },
})
