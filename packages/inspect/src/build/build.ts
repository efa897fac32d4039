/** Builds tables for a layout: at a given place in memory, with the largest blocks and the fewest levels, and the registers that go with them. */
import {
  type Agreed,
  type AnyFmt,
  agreedConfig,
  type FormatConfig,
  type Geometry,
  hex,
  IoPageTable,
  IoPgtableError,
  inputRanges,
  type LevelNode,
  memoryOf,
  nodeOf,
  walkTables,
} from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { type Layout, type Region, regionText } from './layout.ts'

/** One table of what was built. */
export interface BuiltTable {
  readonly node: LevelNode
  readonly paddr: bigint
  readonly bytes: number
}

export interface Built {
  readonly format: AnyFmt
  readonly config: Agreed<FormatConfig>
  readonly geometry: Geometry
  /** Physical address of the first byte. */
  readonly base: bigint
  /** The memory of all tables, from `base` on; what is between tables is zero. */
  readonly bytes: Uint8Array
  readonly roots: readonly bigint[]
  /** The registers as hardware holds them, or, of a format that does not say those, as its driver gets them. */
  readonly registers: Readonly<Record<string, unknown>>
  /** In the order of their addresses. */
  readonly tables: readonly BuiltTable[]
  /** The regions, sorted, and joined where one continues another. */
  readonly regions: readonly Region[]
}

/** Table memory that is tried without a `size` in the layout: memory costs time even where it is not used. */
const SIZES = [2 ** 21, 2 ** 28]
/** Pools begin at a multiple of this. */
const POOL_ALIGN = 0x20_0000n
const PAGE = 4096

/**
 * Builds the tables. Address bits that the layout does not fix are the fewest that need the fewest levels.
 * @throws `EINVAL`, `ERANGE` for regions or places that the format cannot have, `EEXIST` for regions that overlap, `ENOMEM` beyond `size`;
 * the error of the layout's text with line and column, where it has one
 */
export function buildTables(format: AnyFmt, layout: Layout): Built {
  const regions = joinRegions(layout)
  const config = chooseConfig(format, layout, regions)
  const geometry = format.geometry(format.params(config))
  const { base } = layout
  checkBase(base, geometry)
  const table = mapAll(format, config, layout, regions)
  const tables = tablesOf(table)
  const end = tables.reduce((last, { paddr, bytes }) => (paddr + BigInt(bytes) > last ? paddr + BigInt(bytes) : last), base)
  const memory = table.readMemory(base, Number(end - base)) as Uint8Array
  const regs = table.regs as Readonly<Record<string, unknown>>
  const registers = (format.hardware?.(config, regs) as Readonly<Record<string, unknown>> | undefined) ?? regs
  return { format, config, geometry: table.geometry, base, bytes: memory.slice(), roots: table.roots, registers, tables, regions }
}

/** Sorted regions, joined where one goes on in both spaces with the same flags. @throws `EEXIST` */
function joinRegions(layout: Layout): readonly Region[] {
  const order = layout.regions.map((region, i) => ({ region, i })).sort((a, b) => (a.region.first < b.region.first ? -1 : 1))
  const joined: Region[] = []
  for (const { region, i } of order) {
    const last = joined.at(-1)
    if (last !== undefined && region.first <= last.last)
      throw complaint(
        layout,
        i,
        new IoPgtableError('EEXIST', 'build', `${regionText(region)} overlaps ${regionText(last)}`, { value: region.first }),
      )
    if (last !== undefined && continues(last, region)) joined[joined.length - 1] = { ...last, last: region.last }
    else joined.push(region)
  }
  return joined
}

function continues(a: Region, b: Region): boolean {
  return a.last + 1n === b.first && a.paddr + (b.first - a.first) === b.paddr && a.prot === b.prot
}

/** The layout's own complaint, with its place, or the error as it is. */
function complaint({ complain, regions }: Layout, region: number, error: IoPgtableError): Error {
  if (complain !== undefined) return complain(region, error.message)
  const text = regionText(regions[region] as Region)
  return new IoPgtableError(error.code, 'build', `region ${region} (${text}): ${error.message}`, {
    cause: error,
    ...(error.value !== undefined && { value: error.value }),
  })
}

interface Candidate {
  readonly config: Agreed<FormatConfig>
  readonly levels: number
  readonly rootBytes: number
}

/** The layout's configuration; where it leaves out `ias`, with the address bits of the fewest levels, and then the smallest root. */
function chooseConfig(format: AnyFmt, layout: Layout, regions: readonly Region[]): Agreed<FormatConfig> {
  const first = format.configs[0]?.config as FormatConfig
  const request = { ...first, ...layout.config } as FormatConfig
  const widths = layout.config?.ias === undefined ? Array.from({ length: first.ias }, (_, i) => first.ias - i) : [request.ias]
  let best: Candidate | undefined
  let refused: unknown
  for (const ias of widths) {
    try {
      const candidate = candidateOf(format, { ...request, ias }, layout, regions)
      if (best === undefined || isBetter(candidate, best)) best = candidate
    } catch (error) {
      refused ??= error
    }
  }
  if (best === undefined) throw refused
  return best.config
}

function candidateOf(format: AnyFmt, request: FormatConfig, layout: Layout, regions: readonly Region[]): Candidate {
  const config = agreedConfig(format, request)
  const geometry = format.geometry(format.params(config))
  const ranges = inputRanges(geometry)
  for (const region of regions) {
    if (ranges.some(({ first, last }) => region.first >= first && region.last <= last)) continue
    const at = layout.regions.findIndex(({ first }) => first === region.first)
    const windows = ranges.map(({ first, last }) => `${hex(first)} to ${hex(last)}`).join(' and ')
    throw complaint(
      layout,
      at,
      new IoPgtableError('ERANGE', 'build', `${regionText(region)}: ${windows} expected`, { value: region.first }),
    )
  }
  const { top } = geometry
  // registers that do not tell the tables are worse than a level
  const levels = levelsBelow(geometry, top) + (tellsTables(format, config, geometry, layout.base) ? 0 : 1)
  return { config, levels, rootBytes: nodeOf(geometry, top).tableBytes }
}

/** Whether the registers that go with a configuration lead back to its root table. */
function tellsTables(format: AnyFmt, config: Agreed<FormatConfig>, geometry: Geometry, base: bigint): boolean {
  const { top } = geometry
  const regs = format.regs(config, rootsAt(geometry, base), top)
  const registers = format.hardware?.(config, regs)
  const found = registers === undefined ? [] : format.rootsFromRegs(registers, memoryOf(format.rootMemory?.(config, regs) ?? []))
  return found.some(({ params }) => {
    const theirs = format.geometry(params)
    return nodeOf(theirs, theirs.top).tableBytes <= nodeOf(geometry, top).tableBytes
  })
}

function rootsAt(geometry: Geometry, base: bigint): readonly bigint[] {
  const { roots = 1, top } = geometry
  const bytes = nodeOf(geometry, top).tableBytes / roots
  return Array.from({ length: roots }, (_, i) => base + BigInt(i * bytes))
}

function isBetter(a: Candidate, b: Candidate): boolean {
  return a.levels !== b.levels ? a.levels < b.levels : a.rootBytes < b.rootBytes
}

function levelsBelow(geometry: Geometry, id: string): number {
  const children = nodeOf(geometry, id).kinds.flatMap((kind) =>
    kind.type !== 'table' || kind.encode === false ? [] : typeof kind.child === 'string' ? [kind.child] : Object.values(kind.child.nodes),
  )
  return 1 + Math.max(0, ...children.map((child) => levelsBelow(geometry, child)))
}

function checkBase(base: bigint, geometry: Geometry): void {
  const { tableBytes, align = 0 } = nodeOf(geometry, geometry.top)
  const least = BigInt(Math.max(PAGE, tableBytes, align))
  if (base % least !== 0n)
    throw new IoPgtableError('EINVAL', 'build', `base ${hex(base)} is no multiple of ${hex(least)}, which the root needs`, { value: base })
}

/**
 * A pool of `size` bytes from `base` on. Pools begin at larger multiples: what is before the base is taken. Of a pool of a power of two the
 * lowest free blocks are taken first.
 */
function poolAt(base: bigint, size: number): PtPool {
  const start = base - (base % POOL_ALIGN)
  const before = Number(base - start)
  const needed = before + Math.ceil(size / PAGE) * PAGE
  const pool = new PtPool({ base: start, size: Math.min(2 ** Math.ceil(Math.log2(needed)), 2 ** 32), ceiling: needed, name: 'build' })
  const gap = Array.from({ length: before / PAGE }, () => pool.alloc(PAGE))
  if (gap.some((ptr) => pool.physOf(ptr) >= base)) throw new Error('the pool does not begin at its base')
  return pool
}

function mapAll(format: AnyFmt, config: Agreed<FormatConfig>, layout: Layout, regions: readonly Region[]): IoPageTable<AnyFmt> {
  const sizes = layout.size === undefined ? SIZES : [layout.size]
  for (const size of sizes) {
    const table = IoPageTable.createRaw(format, { ...config, allocator: poolAt(layout.base, size) })
    if (regions.every((region) => mapRegion(table, region, layout, size !== sizes.at(-1)))) return table
  }
  throw new Error('the last size is not tried again')
}

/** @returns false when memory is short, and there is more */
function mapRegion(table: IoPageTable<AnyFmt>, region: Region, layout: Layout, isMore: boolean): boolean {
  const { first, last, paddr, prot } = region
  const at = layout.regions.findIndex((other) => other.first === first)
  // sizes are numbers: in parts of 2^52 bytes, which any page size divides
  for (let done = 0n; first + done <= last; ) {
    const part = min(last - first - done + 1n, 1n << 52n)
    const { error } = table.mapRange(first + done, paddr + done, Number(part), prot)
    if (error?.code === 'ENOMEM' && isMore) return false
    if (error !== undefined) throw complaint(layout, at, error)
    done += part
  }
  return true
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

/** All tables, by address. */
function tablesOf(table: IoPageTable<AnyFmt>): readonly BuiltTable[] {
  const { geometry, roots, readMemory } = table
  const top = nodeOf(geometry, geometry.top)
  const tables: BuiltTable[] = roots.map((paddr) => ({ node: top, paddr, bytes: top.tableBytes / roots.length }))
  walkTables(geometry, roots, readMemory, {
    table: ({ next, child }) => void tables.push({ node: child, paddr: next, bytes: child.tableBytes }),
  })
  return tables.sort((a, b) => (a.paddr < b.paddr ? -1 : 1))
}
