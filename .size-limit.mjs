// What each package's own code may weigh, compressed by brotli: all of its entries together. A new format needs no line here. Core's second
// entry, `compiled`, repeats a part of the first, so that each is bundled whole and V8 folds the constants of its loops.
import { packagesIn } from './scripts/workspace.mjs'

const LIMITS = {
  '@io-pgtable/core': '57 kB',
  '@io-pgtable/pt-allocator': '12 kB',
  '@io-pgtable/conformance': '66 kB',
  '@io-pgtable/inspect': '82 kB',
  '@io-pgtable/gpuvm': '12 kB',
  '@io-pgtable/mmu': '16 kB',
  '@io-pgtable/iommu': '10 kB',
}
const OF_A_FORMAT = '10 kB'

export default packagesIn('packages')
  .filter(({ manifest }) => !manifest.private)
  .map(({ folder, manifest }) => ({
    name: manifest.name,
    path: `${folder}/dist/*.js`,
    limit: LIMITS[/** @type {keyof typeof LIMITS} */ (manifest.name)] ?? OF_A_FORMAT,
  }))
