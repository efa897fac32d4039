// Bundles the app in the current folder, src/main.ts, to dist/main.js, straight from the packages' sources: no build comes before it.
import { readFile, writeFile } from 'node:fs/promises'
import { build } from 'esbuild'
import { keepConst } from './keep-const.mjs'

await build({
  entryPoints: ['src/main.ts'],
  outfile: 'dist/main.js',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  conditions: ['@io-pgtable/source'],
  sourcemap: true,
  logLevel: 'warning',
}).catch(() => process.exit(1)) // esbuild has told why

const main = 'dist/main.js'
await writeFile(main, await keepConst(await readFile(main, 'utf8')))
