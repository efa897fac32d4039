/** Configurations on a command line: one that a format declares, by its name or number, or JSON that changes one. */
import { type Agreed, type AnyFmt, type FormatConfig, type Geometry, inputRanges } from '@io-pgtable/core'
import { parseJson } from '@io-pgtable/inspect'
import { UsageError } from './usage.ts'

/** The configuration that a text means; the format's first for none. `{"ias":39}` changes the first one. @throws UsageError, `EBADMSG` */
export function configOf(format: AnyFmt, text: string | undefined): FormatConfig {
  const { configs } = format
  const first = configs[0]?.config as FormatConfig
  if (text === undefined) return first
  if (text.trim().startsWith('{')) return merged(first, text)
  const found = configs.find(({ name }) => name === text) ?? (/^\d+$/.test(text) ? configs[Number(text)] : undefined)
  if (found !== undefined) return found.config
  const known = configs.map(({ name }, i) => `${i} "${name}"`).join(', ')
  throw new UsageError(`there is no configuration ${JSON.stringify(text)} of ${format.FORMAT}: ${known}; or JSON`)
}

function merged(first: FormatConfig, text: string): FormatConfig {
  const given = Object.entries(parseJson(text, '--config').plain() as object).map(([name, value]) => [name, typed(name, value)])
  return { ...first, ...Object.fromEntries(given) }
}

/** Only the bitmap is a bigint. */
function typed(name: string, value: unknown): unknown {
  if (name === 'pgsizeBitmap') return typeof value === 'number' ? BigInt(value) : value
  return typeof value === 'bigint' ? Number(value) : value
}

/** What a configuration makes of a format. */
export interface Shape {
  readonly config: Agreed<FormatConfig>
  readonly params: unknown
  readonly geometry: Geometry
  readonly context: unknown
  readonly ranges: { readonly first: bigint; readonly last: bigint }
}

export function geometryOf(format: AnyFmt, config: Agreed<FormatConfig>): Shape {
  const params = format.params(config)
  const geometry = format.geometry(params)
  const ranges = inputRanges(geometry)
  return {
    config,
    params,
    geometry,
    context: format.context(config),
    ranges: { first: ranges[0]?.first ?? 0n, last: ranges.at(-1)?.last ?? 0n },
  }
}
