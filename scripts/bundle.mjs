// Bundles the app in the current folder, src/main.ts, to dist/main.js, straight from the packages' sources: no build comes before it.
import { readFile, writeFile } from 'node:fs/promises'
import { build } from 'esbuild'
import { keepConst } from './keep-const.mjs'
import { packagesIn, ROOT, SOURCE } from './workspace.mjs'

/** `import { formats } from 'workspace:formats'`: what every format package of the workspace exports, from source. */
const formats = {
  name: 'workspace-formats',
  /** @param {import('esbuild').PluginBuild} build */
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^workspace:formats$/ }, ({ path }) => ({ path, namespace: 'workspace' }))
    onLoad({ filter: /.*/, namespace: 'workspace' }, () => {
      const found = packagesIn('packages').filter(({ manifest }) => manifest.ioPgtable)
      const lines = found.map(({ folder }, i) => `import * as f${i} from './${folder}/src/index.ts'`)
      const all = `export const formats = [${found.map((_, i) => `f${i}`).join()}].flatMap(Object.values).filter((f) => f.FORMAT && f.configs)`
      return { contents: [...lines, all].join('\n'), resolveDir: ROOT }
    })
  },
}

await build({
  entryPoints: ['src/main.ts'],
  outfile: 'dist/main.js',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  conditions: [SOURCE],
  plugins: [formats],
  sourcemap: true,
  logLevel: 'warning',
}).catch(() => process.exit(1)) // esbuild has told why

const main = 'dist/main.js'
await writeFile(main, await keepConst(await readFile(main, 'utf8')))
