/** Random mappings with holes between them, in clusters and at both ends of the address space, made by the engine; and the list of them, which is the model. */
import { type AnyFmt, type Geometry, type IoPageTable, inputRanges, nodeOf, type Prot } from '@io-pgtable/core'
import type { Random } from '../machine/index.ts'

export interface Mapping {
  readonly iova: bigint
  readonly paddr: bigint
  /** Bytes. */
  readonly size: number
  readonly prot: Prot
}

/** Where output addresses lie: the range `first..last`, both aligned to what they hold. */
export interface PhysicalRange {
  readonly first: bigint
  readonly last: bigint
}

export interface DrawOptions {
  readonly random: Random
  /** How many mappings there are at least, besides the fixed ones. */
  readonly count: number
  readonly prots: readonly Prot[]
  /** Where output addresses lie. Default: anywhere in the format's output addresses. */
  readonly target?: PhysicalRange
}

/** All mappings of a table, by address. */
export class MappingModel {
  readonly list: Mapping[] = []
  #sorted: readonly Mapping[] | undefined

  add(mapping: Mapping): void {
    this.list.push(mapping)
    this.#sorted = undefined
  }

  /** The mapping that an address is in. */
  find(iova: bigint): Mapping | undefined {
    this.#sorted ??= this.list.toSorted((a, b) => (a.iova < b.iova ? -1 : 1))
    let low = 0
    let high = this.#sorted.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#sorted[middle]?.iova ?? 0n) <= iova) low = middle + 1
      else high = middle
    }
    const mapping = this.#sorted[low - 1]
    return mapping !== undefined && iova < mapping.iova + BigInt(mapping.size) ? mapping : undefined
  }
}

/** Mappings that one cluster has at most: they share tables, so that holes lie next to them in the same tables. */
const CLUSTER = 24

/**
 * Draws mappings and makes them in the table, until there are `count`. The smallest page is mapped at both ends of each window.
 * @throws what the engine says of a mapping, but for one that is in the way, which is drawn again
 */
export function drawMappings<F extends AnyFmt>(table: IoPageTable<F>, model: MappingModel, options: DrawOptions): void {
  const { random, prots, count } = options
  const { geometry, config } = table
  const sizes = sizesOf(config.pgsizeBitmap)
  const target = options.target ?? { first: 0n, last: (1n << BigInt(geometry.oas)) - 1n }
  const add = (iova: bigint, size: number): void => {
    const paddr = drawAddress(random, target, size)
    if (paddr !== undefined) tryMap(table, model, { iova, paddr, size, prot: random.pick(prots) })
  }
  const smallest = sizes[0] ?? 0
  for (const { first, last } of inputRanges(geometry)) {
    add(first, smallest)
    add(last + 1n - BigInt(smallest), smallest)
  }
  while (model.list.length < count) {
    const center = drawInput(random, geometry)
    const span = clusterSpan(geometry, random)
    const start = (center / span) * span
    for (let left = 1 + random.int(CLUSTER); left > 0 && model.list.length < count; left--) {
      const size = drawSize(random, sizes)
      const bytes = BigInt(size)
      const iova = ((start + random.below(span)) / bytes) * bytes
      if (fits(geometry, iova, bytes)) add(iova, size)
    }
  }
}

/** Makes one mapping at a random place that is free. */
export function mapSomewhere<F extends AnyFmt>(
  table: IoPageTable<F>,
  model: MappingModel,
  random: Random,
  wanted: Omit<Mapping, 'iova'>,
): Mapping {
  for (;;) {
    const bytes = BigInt(wanted.size)
    const iova = (drawInput(random, table.geometry) / bytes) * bytes
    if (fits(table.geometry, iova, bytes) && tryMap(table, model, { ...wanted, iova })) return { ...wanted, iova }
  }
}

function tryMap<F extends AnyFmt>(table: IoPageTable<F>, model: MappingModel, mapping: Mapping): boolean {
  const { iova, paddr, size, prot } = mapping
  const { error } = table.mapPages(iova, paddr, size, 1, prot)
  if (error === undefined) model.add(mapping)
  else if (error.code !== 'EEXIST') throw error
  return error === undefined
}

export function sizesOf(bitmap: bigint): readonly number[] {
  const sizes: number[] = []
  for (let bit = 0n; bitmap >> bit !== 0n; bit++) if ((bitmap >> bit) & 1n) sizes.push(2 ** Number(bit))
  return sizes
}

/** Two of three mappings have the smallest size; each larger one is as likely as the others. */
function drawSize(random: Random, sizes: readonly number[]): number {
  return random.int(3) === 0 ? random.pick(sizes) : (sizes[0] ?? 0)
}

/** An address of a window, with a random number of significant bits below its top. */
export function drawInput(random: Random, geometry: Geometry): bigint {
  const { first, last } = random.pick(inputRanges(geometry))
  const offset = random.below(last - first + 1n) >> BigInt(random.int(8) === 0 ? random.int(geometry.ias) : 0)
  return random.int(2) === 0 ? first + offset : last - offset
}

/** What a table one or two levels above the last one translates: a cluster lies in it. */
function clusterSpan(geometry: Geometry, random: Random): bigint {
  const last = geometry.nodes.at(-1) ?? nodeOf(geometry, geometry.top)
  const above = geometry.nodes.at(-2) ?? last
  const node = random.int(4) === 0 ? above : last
  return 1n << BigInt(Math.min(node.shift + node.bits, geometry.ias))
}

function fits(geometry: Geometry, iova: bigint, bytes: bigint): boolean {
  return inputRanges(geometry).some(({ first, last }) => iova >= first && iova + bytes - 1n <= last)
}

/** An output address; one of four lies at the very top or bottom of the range. Undefined where the size does not fit. */
function drawAddress(random: Random, { first, last }: PhysicalRange, size: number): bigint | undefined {
  const bytes = BigInt(size)
  const start = (first + bytes - 1n) / bytes
  const slots = (last + 1n) / bytes - start
  if (slots <= 0n) return undefined
  const near = random.below(slots < 4n ? slots : 4n)
  const slot = [near, slots - 1n - near][random.int(8)] ?? random.below(slots)
  return (start + slot) * bytes
}
