// What each package's own code may weigh, compressed by brotli. A new format needs no line here.
import { packagesIn } from './scripts/workspace.mjs'

const LIMITS = {
  '@io-pgtable/core': '40 kB',
  '@io-pgtable/pt-allocator': '12 kB',
  '@io-pgtable/conformance': '50 kB',
  '@io-pgtable/inspect': '60 kB',
  '@io-pgtable/gpuvm': '10 kB',
}
const OF_A_FORMAT = '10 kB'

export default packagesIn('packages')
  .filter(({ manifest }) => !manifest.private)
  .map(({ folder, manifest }) => ({
    name: manifest.name,
    path: `${folder}/dist/*.js`,
    limit: LIMITS[/** @type {keyof typeof LIMITS} */ (manifest.name)] ?? OF_A_FORMAT,
  }))
