// Bundles the app in the current folder, straight from the packages' sources: no build comes before it. `bundle.mjs [FROM TO]`, by default
// src/main.ts to dist/main.js.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'
import { keepConst } from './keep-const.mjs'
import { packagesIn, ROOT, SOURCE } from './workspace.mjs'

/** `import { formats } from 'workspace:formats'`: the formats of the workspace that make tables, from source. */
const formats = {
  name: 'workspace-formats',
  /** @param {import('esbuild').PluginBuild} build */
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^workspace:formats$/ }, ({ path }) => ({ path, namespace: 'workspace' }))
    onLoad({ filter: /.*/, namespace: 'workspace' }, () => {
      const found = packagesIn('packages').filter(({ manifest }) => manifest.ioPgtable)
      const lines = found.map(({ folder }, i) => `import * as f${i} from './${folder}/src/index.ts'`)
      const all = `export const formats = [${found.map((_, i) => `f${i}`).join()}].flatMap(Object.values).filter((f) => f.FORMAT && f.configs && f.writes !== false)`
      return { contents: [...lines, all].join('\n'), resolveDir: ROOT }
    })
  },
}

const [from = 'src/main.ts', to = 'dist/main.js'] = process.argv.slice(2)
const { metafile } = await build({
  entryPoints: [from],
  outfile: to,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  conditions: [SOURCE],
  plugins: [formats],
  // what CommonJS dependencies require of Node
  banner: { js: "import { createRequire } from 'node:module'\nconst require = createRequire(import.meta.url)" },
  sourcemap: true,
  metafile: true,
  logLevel: 'warning',
}).catch(() => process.exit(1)) // esbuild has told why

await writeFile(to, await keepConst(await readFile(to, 'utf8')))

/** The licences of what others wrote, beside the bundle that holds it. */
async function thirdParty() {
  const folders = new Set(Object.keys(metafile.inputs).flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0] ?? []))
  const texts = await Promise.all(
    [...folders].sort().map(async (folder) => {
      const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
      const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry))
      return `${name} ${version} (${license})\n\n${file ? await readFile(join(folder, file), 'utf8') : ''}`
    }),
  )
  return texts.join(`\n${'-'.repeat(80)}\n\n`)
}
await writeFile(join(dirname(to), 'THIRD-PARTY.txt'), await thirdParty())
