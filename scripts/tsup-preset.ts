// How every package is built: its entries are the sources that its package.json names (exports, and bin: dist/x.js is src/x.ts).
import { readFileSync } from 'node:fs'
import { defineConfig, type Options } from 'tsup'
import { keepConst } from './keep-const.mjs'

const SOURCE = '@io-pgtable/source'

interface Manifest {
  readonly exports: Record<string, string | Record<string, string>>
  readonly bin?: Record<string, string>
}

function entries(): string[] {
  const { exports, bin = {} } = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest
  const exported = Object.values(exports).map((target) => (typeof target === 'string' ? undefined : target[SOURCE]))
  const commands = Object.values(bin).map((file) => file.replace('dist/', 'src/').replace(/\.js$/, '.ts'))
  return [...exported, ...commands].filter((file) => file !== undefined)
}

/** A tsup configuration for the package in the current folder, with what is particular to it. */
export function preset(more: Options = {}): Options {
  return defineConfig({
    entry: entries(),
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    dts: {
      // `Disposable` is in no library that a user's TypeScript takes by itself before es2025
      banner: '/// <reference lib="esnext.disposable" />',
      // the declarations of other packages are read as users read them: built
      compilerOptions: { ignoreDeprecations: '6.0', customConditions: [] },
    },
    sourcemap: true,
    clean: true,
    silent: true,
    // esbuild remembers the folder of the first build, and one process builds several packages
    esbuildOptions(options) {
      options.absWorkingDir = process.cwd()
    },
    ...more,
    plugins: [{ name: 'keep-const', renderChunk: async (code) => ({ code: await keepConst(code) }) }],
  }) as Options
}
