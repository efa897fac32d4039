// What the README's table says of each format: levels, granules, page sizes and address bits as the declaration's configurations have
// them, bundled and run from source, so that no build comes before it; features and verification as package.json says; vectors counted.
import { existsSync, readdirSync } from 'node:fs'
import { basename } from 'node:path'
import { build } from 'esbuild'
import { ROOT, SOURCE } from './workspace.mjs'

/** @typedef {import('./workspace.mjs').Package} Package */
/** @typedef {import('../packages/core/src/format/format.ts').AnyFmt} AnyFmt */
/** @typedef {import('../packages/core/src/format/format.ts').Geometry} Geometry */

export const COLUMNS = ['format', 'package', 'levels', 'granules', 'page sizes', 'address bits', 'features', 'verified']

/** The groups that formats are shown in, and which one a package is of by its keywords: the first that takes it. */
const GROUPS = /** @type {readonly { title: string, takes: (keywords: readonly string[]) => boolean }[]} */ ([
  { title: 'GPUs and media', takes: (keywords) => ['gpu', 'camera'].some((word) => keywords.includes(word)) },
  { title: 'CPUs, and IOMMUs that walk the same tables', takes: (keywords) => keywords.includes('cpu') || !keywords.includes('iommu') },
  { title: 'IOMMUs', takes: () => true },
])
const ORDER = [1, 2, 0]

/** Formats by group, in the order in which they are shown. @param {Package[]} packages @returns {{ title: string, packages: Package[] }[]} */
export function grouped(packages) {
  const groupOf = (/** @type {Package} */ { manifest }) => GROUPS.findIndex(({ takes }) => takes(manifest.keywords ?? []))
  return ORDER.map((at) => ({ title: GROUPS[at]?.title ?? '', packages: packages.filter((each) => groupOf(each) === at) }))
}

/** The rows of the table, a cell for each of COLUMNS. @param {Package[]} packages @returns {Promise<string[][]>} */
export async function formatRows(packages) {
  const modules = await importSources(packages.map(({ folder }) => `${folder}/src/index.ts`))
  return packages.map(({ folder, manifest }, i) => {
    const formats = Object.values(modules[i] ?? {}).filter(isFormat)
    if (formats.length === 0) throw new Error(`${folder}/src/index.ts exports no format`)
    const { title = '', features = '–' } = manifest.ioPgtable ?? {}
    const link = `[\`${basename(folder)}\`](${folder})`
    return [title, link, ...declared(formats), features, verified(folder, manifest.ioPgtable?.verified)]
  })
}

/** What a format's README says of its verification. @param {Package} format @returns {Promise<string>} */
export async function verifiedBy({ folder, manifest }) {
  const [module = {}] = await importSources([`${folder}/src/index.ts`])
  const configurations = Object.values(module)
    .filter(isFormat)
    .flatMap(({ configs }) => [...configs]).length
  const kit = `the laws of the [conformance kit](../../conformance#the-laws) in ${configurations} configurations`
  const more = verified(folder, manifest.ioPgtable?.verified)
  return `By ${kit}; ${more}. The counts are in [VERIFICATION.md](../../../docs/VERIFICATION.md).`
}

/** The module of the command that imports every format, from source. @param {Package[]} packages @returns {Promise<string>} */
export async function formatsModule(packages) {
  const modules = await importSources(packages.map(({ folder }) => `${folder}/src/index.ts`))
  const found = packages.map((each, i) => ({
    each,
    folder: each.folder,
    names: Object.entries(modules[i] ?? {}).flatMap(([name, value]) => (isFormat(value) ? [name] : [])),
  }))
  const namesOf = (/** @type {Package} */ each) => found.find((one) => one.each === each)?.names ?? []
  return [
    "/** Every format of the workspace: made by scripts/generate.mjs from the packages' `ioPgtable` fields. */",
    "import type { AnyFmt } from '@io-pgtable/core'",
    ...found.map(({ folder, names }) => `import { ${names.join(', ')} } from '../../../${folder}/src/index.ts'`),
    '',
    'export interface FormatGroup {',
    '  readonly title: string',
    '  readonly formats: readonly AnyFmt[]',
    '}',
    '',
    'export const GROUPS: readonly FormatGroup[] = [',
    ...grouped(packages).flatMap(({ title, packages: members }) => [
      '  {',
      `    title: '${title}',`,
      '    formats: [',
      '      // one a line: changes then seldom meet',
      ...members.flatMap(namesOf).map((name) => `      ${name},`),
      '    ],',
      '  },',
    ]),
    ']',
    '',
    'export const FORMATS: readonly AnyFmt[] = GROUPS.flatMap(({ formats }) => formats)',
    '',
  ].join('\n')
}

/** The modules of TypeScript files, paths from the root on, bundled and run from source. @param {string[]} files @returns {Promise<Record<string, unknown>[]>} */
export async function importSources(files) {
  const lines = files.map((file, i) => `import * as f${i} from './${file}'`)
  const contents = [...lines, `export default [${files.map((_, i) => `f${i}`).join()}]`].join('\n')
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: ROOT },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    conditions: [SOURCE],
    logLevel: 'error',
  })
  const code = Buffer.from(outputFiles[0]?.contents ?? []).toString('base64')
  return (await import(`data:text/javascript;base64,${code}`)).default
}

/** @param {unknown} value @returns {value is AnyFmt} */
export function isFormat(value) {
  return typeof value === 'object' && value !== null && 'FORMAT' in value && 'configs' in value
}

/** The cells that come from the declaration. @param {AnyFmt[]} formats */
function declared(formats) {
  const configured = formats.flatMap((format) =>
    format.configs.map(({ config }) => {
      const agreed = format.configure(config)
      return { sizes: agreed.pgsizeBitmap, geometry: format.geometry(format.params(agreed)) }
    }),
  )
  const levels = configured.flatMap(({ geometry }) => levelCounts(geometry))
  const byGranule = /** @type {Map<bigint, bigint>} */ (new Map())
  for (const { sizes } of configured) {
    const granule = sizes & -sizes
    byGranule.set(granule, (byGranule.get(granule) ?? 0n) | sizes)
  }
  const granules = [...byGranule].sort(([a], [b]) => (a < b ? -1 : 1))
  const widest = (/** @type {(geometry: Geometry) => number} */ of) => Math.max(...configured.map(({ geometry }) => of(geometry)))
  return [
    range(Math.min(...levels), Math.max(...levels)),
    granules.map(([granule]) => sizeText(log2(granule))).join(', '),
    granules.map(([, sizes]) => sizesText(sizes)).join(' · '),
    `${widest(({ ias }) => ias)} → ${widest(({ oas }) => oas)}`,
  ]
}

/** How many levels a walk from the root has, and from the highest that the root may grow to. @param {Geometry} geometry */
function levelCounts({ nodes, top, growsTo = top }) {
  const at = (/** @type {string} */ id) => nodes.find((node) => node.id === id)
  const below = (/** @type {string} */ id, /** @type {Set<number>} */ seen = new Set()) => {
    const node = at(id)
    if (node === undefined || seen.has(node.level)) return seen
    seen.add(node.level)
    for (const kind of node.kinds)
      if (kind.type === 'table')
        for (const child of typeof kind.child === 'string' ? [kind.child] : Object.values(kind.child.nodes)) below(child, seen)
    return seen
  }
  return [below(top).size, below(growsTo).size]
}

/** @param {number} first @param {number} last */
function range(first, last) {
  return first === last ? `${first}` : `${first} to ${last}`
}

/** Sizes of a bitmap; powers of two that follow one another as a range. @param {bigint} bitmap */
function sizesText(bitmap) {
  const bits = Array.from({ length: 64 }, (_, bit) => bit).filter((bit) => (bitmap >> BigInt(bit)) & 1n)
  const runs = /** @type {number[][]} */ ([])
  for (const bit of bits) {
    const run = runs.at(-1)
    if (run?.at(-1) === bit - 1) run.push(bit)
    else runs.push([bit])
  }
  return runs
    .flatMap((run) => (run.length > 2 ? [`${sizeText(run[0] ?? 0)} to ${sizeText(run.at(-1) ?? 0)}`] : run.map(sizeText)))
    .join(', ')
}

/** 12 is 4K. @param {number} bits */
function sizeText(bits) {
  return `${2 ** (bits % 10)}${['', 'K', 'M', 'G', 'T', 'P', 'E'][Math.floor(bits / 10)]}`
}

/** @param {bigint} power */
function log2(power) {
  return power.toString(2).length - 1
}

/** @param {string} folder @param {string | undefined} text */
function verified(folder, text) {
  const vectors = `${ROOT}${folder}/test-data/vectors`
  const files = existsSync(vectors) ? readdirSync(vectors, { recursive: true }).filter((name) => String(name).endsWith('.json')).length : 0
  if (files === 0) return text ?? 'self-consistent only (conformance kit)'
  return [`${files} vector file${files === 1 ? '' : 's'}`, ...(text === undefined ? [] : [text])].join(', ')
}
