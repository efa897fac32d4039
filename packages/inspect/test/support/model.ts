/** Tables of random descriptors in every format and configuration, and what core's walker makes of them: the model of a dump. */
import {
  type AnyFmt,
  bitsOf,
  deposit,
  entryOffset,
  entrySpan,
  type FormatConfig,
  type Geometry,
  inputRanges,
  type LevelNode,
  nodeOf,
  type PathVerdict,
  slotBytes,
  type TableKind,
  walkTables,
} from '@io-pgtable/core'
import { FORMATS } from '../../../../apps/cli/src/formats.ts'
import { dumpLeaves, type LeafRun, rulesOf, type Tables } from '../../src/index.ts'
import { Pages, random } from './memory.ts'

/** One entry of a table as a leaf maps it. */
interface Entry {
  readonly iova: bigint
  readonly paddr: bigint
  readonly raw: bigint
}

/** Puts random descriptors of the node's kinds into a table: single ones, runs that rise, groups that repeat, noise. */
function fill(pages: Pages, node: LevelNode, table: bigint, entries: number, next: (child: string) => bigint, rnd: () => number): void {
  const raws = Array.from({ length: entries }, () => node.empty ?? 0n)
  const used = Math.min(entries, 64)
  for (let i = 0; i < used; ) {
    const kind = node.kinds[rnd() % node.kinds.length]
    const noise = ((BigInt(rnd()) << 32n) | BigInt(rnd())) & (rnd() % 3 === 0 ? ~0n : 0n)
    if (kind === undefined) break
    if (kind.type === 'leaf') {
      const size = kind.sizes[rnd() % kind.sizes.length]
      const count = Math.min(used - i, rnd() % 20)
      const step = BigInt(size !== undefined && size.slots > 1 && size.stepsAddress !== true ? 0 : slotBytes(node))
      const base = (BigInt(rnd()) << 12n) & -BigInt(size?.pgsize ?? 1)
      const attributes = noise & ~bitsOf(kind.address)
      for (let k = 0; k < count; k++, i++) {
        const raw = attributes | kind.set | kind.match.value | (size?.or ?? 0n) | (size?.match?.value ?? 0n)
        raws[i] = raw | deposit(base + BigInt(k) * step, kind.address)
      }
    } else if (kind.type === 'table' && (entries <= 16 || rnd() % 5 === 0) && hasChild(kind)) {
      const choice = chooserOf(kind, rnd)
      const attributes = noise & ~bitsOf(kind.address) & ~kind.match.mask & ~choice.mask
      raws[i++] = kind.set | kind.match.value | attributes | choice.value | deposit(next(choice.child), kind.address)
    } else if (rnd() % 4 === 0) raws[i++] = noise
    else i += entries <= 16 ? 0 : rnd() % 5
  }
  const width = BigInt(8 * node.entryBytes)
  const ordered = (raw: bigint): bigint => (node.byteOrder === 'big' ? swapped(raw, node.entryBytes) : raw)
  const words = raws.map((raw) => ordered(BigInt.asUintN(Number(width), raw)))
  for (const [i, word] of words.entries()) {
    const at = table + BigInt(entryOffset(node, i))
    if (node.entryBytes === 8) pages.words(at, [word])
    else pages.words32(at, [word])
  }
}

/** The bytes of a value the other way round. */
function swapped(value: bigint, bytes: number): bigint {
  let result = 0n
  for (let i = 0; i < bytes; i++) result = (result << 8n) | ((value >> BigInt(8 * i)) & 0xffn)
  return result
}

function hasChild({ child }: TableKind): boolean {
  return typeof child === 'string' || Object.keys(child.nodes).length > 0
}

/** A child of a table kind, and the bits that choose it. */
function chooserOf({ child, fields }: TableKind, rnd: () => number): { child: string; mask: bigint; value: bigint } {
  if (typeof child === 'string') return { child, mask: 0n, value: 0n }
  const pieces = fields.find((field) => field.name === child.field)?.pieces ?? []
  const values = Object.keys(child.nodes).map(Number)
  const value = values[rnd() % values.length] ?? 0
  return { child: child.nodes[value] ?? '', mask: bitsOf(pieces), value: deposit(BigInt(value), pieces) }
}

function build(geometry: Geometry, rnd: () => number): { pages: Pages; root: bigint } {
  const pages = new Pages()
  let free = 0x10_0000n
  const take = (bytes: number): bigint => {
    const size = BigInt(Math.max(bytes, 4096))
    const at = (free + size - 1n) & -size
    free = at + size
    return at
  }
  const made = new Map<string, bigint[]>()
  // Few tables of each node, so that some are reached in several ways; every seventh is nowhere
  const next = (id: string): bigint => {
    if (rnd() % 7 === 0) return 0x7f_0000_0000n & ((1n << BigInt(geometry.oas)) - 1n)
    const tables = made.get(id) ?? []
    made.set(id, tables)
    if (tables.length < 4) tables.push(make(nodeOf(geometry, id)))
    return tables[rnd() % tables.length] ?? 0n
  }
  const make = (node: LevelNode): bigint => {
    const at = take(Math.max(node.tableBytes, node.align ?? 0))
    fill(pages, node, at, 2 ** node.bits, next, rnd)
    for (let half = node.next; half !== undefined; half = nodeOf(geometry, half).next)
      fill(pages, nodeOf(geometry, half), at, 2 ** node.bits, next, rnd)
    return at
  }
  const top = nodeOf(geometry, geometry.top)
  return { pages, root: make(top) }
}

/** The model: every leaf entry as core's walker gives it. */
function entriesOf(tables: Tables): Entry[] {
  const entries: Entry[] = []
  walkTables(
    tables.geometry,
    tables.roots,
    tables.read,
    {
      leaf(leaf) {
        const paddr = leaf.paddr | (leaf.iova & BigInt(entrySpan(leaf.node, leaf.size) - 1))
        entries.push({ iova: leaf.iova, paddr, raw: leaf.raw })
      },
    },
    tables,
  )
  return entries
}

/** The same of a run: its entries, of which a leaf that repeats has several. */
function entriesOfRun(run: LeafRun): Entry[] {
  const slot = BigInt(slotBytes(run.node))
  const { leafSize, kind, descriptor } = run
  const entries: Entry[] = []
  const repeats = BigInt(leafSize) / slot
  for (let at = 0n; at < BigInt(run.size); at += slot) {
    const leaf = (at / BigInt(leafSize)) * BigInt(leafSize)
    const moved = repeats > 1n ? deposit(leaf, kind.address) : deposit(at, kind.address)
    // Addition carries through the pieces as the address does, since they are in order where runs are longer than one leaf
    const isPart = run.count > 1 && repeats === 1n && slot < BigInt(entrySpan(run.node, sizeOf(run)))
    entries.push({ iova: run.iova + at, paddr: run.paddr + at, raw: isPart ? descriptor : rise(run, descriptor, moved, leaf || at) })
  }
  return entries
}

function sizeOf(run: LeafRun) {
  const size = run.kind.sizes.find((one) => one.match === undefined || (run.descriptor & one.match.mask) === one.match.value)
  if (size === undefined) throw new Error('no size')
  return size
}

function rise(run: LeafRun, descriptor: bigint, moved: bigint, by: bigint): bigint {
  if (moved === 0n && by === 0n) return descriptor
  let address = 0n
  for (const [hi, lo, at] of run.kind.address) address |= ((descriptor >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n)) << BigInt(at)
  return (descriptor & ~bitsOf(run.kind.address)) | deposit(address + by, run.kind.address)
}

export const cases: readonly { readonly id: string; readonly format: AnyFmt; readonly config: FormatConfig }[] = FORMATS.flatMap((format) =>
  format.configs.map(({ name, config }) => ({ id: `${format.FORMAT}, ${name}`, format, config })),
)

/** What a dump gives, and what it should: entry by entry. */
export interface Compared {
  readonly got: readonly Entry[]
  readonly want: readonly Entry[]
  readonly runs: number
  readonly complete: boolean
  /** What runs say of accesses at both their ends, and what a walk there says. */
  readonly judged: readonly (readonly [run: string, walk: string])[]
}

/** Dumps random tables. A seed fixes them. */
export function compare({ format, config }: (typeof cases)[number], seed: number): Compared {
  const agreed = format.configure(config)
  const geometry = format.geometry(format.params(agreed))
  const { pages, root } = build(geometry, random(seed * 7919))
  const ranges = inputRanges(geometry)
  const count = geometry.roots ?? 1
  const step = BigInt(nodeOf(geometry, geometry.top).tableBytes / count)
  const tables: Tables = {
    name: 'root',
    format,
    geometry,
    context: format.context(agreed),
    roots: Array.from({ length: count }, (_, i) => root + BigInt(i) * step),
    first: ranges[0]?.first ?? 0n,
    last: ranges.at(-1)?.last ?? 0n,
    read: pages.read,
  }
  const runs: LeafRun[] = []
  const { complete } = dumpLeaves(tables, (run) => void runs.push(run.keep()))
  const judged = runs
    .slice(0, MOST_JUDGED)
    .flatMap((run) => [run.iova, run.iova + BigInt(run.size) - 1n].map((at) => judge(tables, run, at)))
  return { got: runs.flatMap(entriesOfRun), want: entriesOf(tables), runs: runs.length, complete, judged }
}

const MOST_JUDGED = 100

function judge(tables: Tables, run: LeafRun, at: bigint): readonly [string, string] {
  const walk = rulesOf(tables).translate(tables.roots, tables.read, at)
  const words = ({ path, memory, traps, fault }: PathVerdict): string => JSON.stringify([path, memory, traps, fault?.type, fault?.level])
  return [words(run.verdict), words(walk)]
}
