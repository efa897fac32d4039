/** What tables are to map, as a JSON text says it. */
import { hex, type Prot } from '@io-pgtable/core'
import { type JsonValue, parseJson, rangeOf } from '../json-text.ts'

/** Input addresses `first` to `last` go to `paddr` on. */
export interface Region {
  readonly first: bigint
  readonly last: bigint
  readonly paddr: bigint
  readonly prot: Prot
  readonly name?: string
}

export interface Layout {
  /** The format's id. */
  readonly format: string
  /** Physical address of the first byte of the tables. */
  readonly base: bigint
  /** Bytes that the tables may take. */
  readonly size?: number
  /** Parts of the format's configuration; all else is as its first one has it. */
  readonly config?: Readonly<Record<string, unknown>>
  readonly regions: readonly Region[]
  /** Of what is wrong with a region: place and words. For one that no text gave it is the region's own addresses. */
  readonly complain?: (region: number, message: string) => Error
}

/**
 * Reads a layout:
 * `{ "format": "arm64-lpae-s1", "base": "0x80000000", "size": "64K", "config": { "ias": 39 },
 *    "regions": [{ "name": "ram", "iova": 0, "paddr": "0x40000000", "size": "1G", "prot": ["READ", "WRITE"] }] }`.
 * `size`, `config` and `name` may be left out. @throws `EBADMSG` with line and column
 */
export function parseLayout(text: string, name = 'layout'): Layout {
  const value = parseJson(text, name)
  const { format, base, size, config, regions } = value.object(['format', 'base', 'size', 'config', 'regions'])
  if (format === undefined || base === undefined || regions === undefined) throw value.error('"format", "base" and "regions" expected')
  const values = regions.array()
  const bytes = size?.integer()
  if (bytes !== undefined && bytes > 1n << 32n) throw (size as JsonValue).error('at most 4G expected')
  return {
    format: format.string(),
    base: base.integer(),
    ...(bytes !== undefined && { size: Number(bytes) }),
    ...(config && { config: configOf(config) }),
    regions: values.map(regionOf),
    complain: (region, message) => (values[region] as JsonValue).error(message),
  }
}

function regionOf(value: JsonValue): Region {
  const { iova, paddr, size, prot, name } = value.object(['iova', 'paddr', 'size', 'prot', 'name'])
  if (iova === undefined || paddr === undefined || size === undefined || prot === undefined)
    throw value.error('"iova", "paddr", "size" and "prot" expected')
  rangeOf(paddr, size)
  return { ...rangeOf(iova, size), paddr: paddr.integer(), prot: prot.prot(), ...(name && { name: name.string() }) }
}

/** Numbers but for the bitmap of page sizes, as configurations have them. */
function configOf(value: JsonValue): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    value.entries().map(([name, member]) => {
      if (name === 'pgsizeBitmap') return [name, member.integer()]
      const plain = member.plain()
      return [name, typeof plain === 'bigint' ? Number(plain) : plain]
    }),
  )
}

/** `ram, 0x0 to 0x3fffffff`. */
export function regionText({ name, first, last }: Region): string {
  return `${name === undefined ? '' : `${name}, `}${hex(first)} to ${hex(last)}`
}
