/** What formats are declared with: checks of configurations, which they call from `configure`, and formats that only read. */
import { IoPgtableError } from '../errors.ts'
import type { AnyFmt, IoPageTableFmt } from './format.ts'
import type { Agreed, FormatConfig } from './policy.ts'
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

/**
 * What a format agrees to. A member of the request that is none of the configuration's is a slip, as `quirk` for `quirks`, and never silently
 * ignored: the agreed configuration, which leaves nothing out, tells what there is. Members whose value is undefined count as left out.
 * @param others members that the caller takes beside the configuration: the message tells them, too
 * @throws `EINVAL` for those, and what the format's `configure` throws
 */
export function agreedConfig(format: AnyFmt, request: FormatConfig, others: readonly string[] = []): Agreed<FormatConfig> {
  const config = format.configure(request)
  refuseUnknown(format.FORMAT, request, config, others)
  return config
}

/** @throws `EINVAL` for a member of `request`, or of an object in it, that the agreed configuration does not have */
export function refuseUnknown(format: string, request: object, agreed: object, others: readonly string[] = [], path = ''): void {
  for (const [name, value] of Object.entries(request)) {
    if (value === undefined) continue
    if (!Object.hasOwn(agreed, name)) throw unknownMember(format, `${path}${name}`, [...Object.keys(agreed), ...others])
    const inner: unknown = agreed[name as keyof typeof agreed]
    if (isObject(value) && isObject(inner)) refuseUnknown(format, value, inner, [], `${path}${name}.`)
  }
}

function unknownMember(format: string, path: string, known: readonly string[]): IoPgtableError {
  return new IoPgtableError('EINVAL', `${format} config`, `there is no member ${JSON.stringify(path)}: ${known.join(', ')} expected`, {
    value: path,
  })
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The members that a format has to say only where it writes. */
export type Written = 'writes' | 'policy' | 'encodeLeaf' | 'encodeTable' | 'regs'

/** A format that only reads, as it is declared. */
export type ReadOnlyFmt<C extends FormatConfig = FormatConfig, R = unknown, P = unknown, D = unknown, H = unknown> = Omit<
  IoPageTableFmt<C, R, P, D, H>,
  Written
> &
  Partial<Pick<IoPageTableFmt<C, R, P, D, H>, 'regs'>>

/**
 * A format that only reads: its tables are decoded, walked and explained, and what they grant is told, but none is made or changed. Without
 * `regs`, by which the way back from raw registers is tested, registers are the addresses of the `roots`.
 */
export function readOnly<C extends FormatConfig, R, P, D, H>(format: ReadOnlyFmt<C, R, P, D, H>): IoPageTableFmt<C, R, P, D, H> {
  return {
    regs: (_config, roots) => ({ roots }) as R,
    ...format,
    writes: false,
    policy: () => ({ conflict: 'table', freeTables: 'never', flushOrder: 'walks-first', addPagesWithoutGather: false }),
    encodeLeaf: () => undefined,
    encodeTable: () => 0n,
  }
}
