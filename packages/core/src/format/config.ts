/** Checks of configurations that every format shares. Formats call them from `configure`. */
import { IoPgtableError } from '../errors.ts'
import type { FormatConfig } from './format.ts'
import { isPowerOfTwo } from './sizes.ts'

/** An `EINVAL` of a configuration, naming the member and what was expected. */
export function configError(format: string, member: string, value: bigint | number | string, expected: string): IoPgtableError {
  const shown = typeof value === 'bigint' ? `0x${value.toString(16)}` : String(value)
  return new IoPgtableError('EINVAL', `${format} config`, `${member} ${shown}: ${expected}`, { value })
}

/**
 * Refuses what no format accepts: an empty or non-bigint bitmap, address bits that are no positive integers, unknown quirks.
 * @returns the quirks, each once
 */
export function checkConfig<Q extends string>(format: string, config: FormatConfig<Q>, known: readonly Q[]): readonly Q[] {
  const { pgsizeBitmap, ias, oas } = config
  if (typeof pgsizeBitmap !== 'bigint' || pgsizeBitmap <= 0n)
    throw configError(format, 'pgsizeBitmap', pgsizeBitmap, 'a bigint with at least one page size expected')
  if (!Number.isInteger(ias) || ias < 1 || ias > 64) throw configError(format, 'ias', ias, 'an integer from 1 to 64 expected')
  if (!Number.isInteger(oas) || oas < 1 || oas > 64) throw configError(format, 'oas', oas, 'an integer from 1 to 64 expected')
  const cpuPageSize = config.cpuPageSize ?? 4096
  if (!isPowerOfTwo(cpuPageSize)) throw configError(format, 'cpuPageSize', cpuPageSize, 'a power of two expected')
  const quirks = config.quirks ?? []
  for (const quirk of quirks)
    if (!known.includes(quirk))
      throw configError(format, 'quirk', quirk, `the format knows ${known.length === 0 ? 'none' : known.join(', ')}`)
  return [...new Set(quirks)]
}
