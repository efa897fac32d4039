/** Configurations: what the RISC-V formats refuse and narrow alike. */
import { type Agreed, checkConfig, configError, type FormatConfig, SZ_4K } from '@io-pgtable/core'

/** What a format can do. */
export interface RiscvLimits<Q extends string> {
  readonly quirks: readonly Q[]
  /** Input address bits: one for each scheme. */
  readonly ias: readonly number[]
  /** The most output address bits: of PPN and page offset. */
  readonly oas: number
  /** The page sizes of a scheme, as a bitmap. */
  sizes(ias: number, quirks: readonly Q[]): bigint
}

/** Narrows a request to the limits. @throws `EINVAL` naming the limit */
export function agreeRiscv<Q extends string>(format: string, request: FormatConfig<Q>, limits: RiscvLimits<Q>): Agreed<FormatConfig<Q>> {
  const quirks = checkConfig(format, request, limits.quirks)
  const { ias, oas, coherentWalk = true, cpuPageSize = SZ_4K } = request
  if (!limits.ias.includes(ias)) throw configError(format, 'ias', ias, `${limits.ias.join(' or ')} expected`)
  if (oas < 13 || oas > limits.oas) throw configError(format, 'oas', oas, `13 to ${limits.oas} expected`)
  const pgsizeBitmap = request.pgsizeBitmap & limits.sizes(ias, quirks)
  if ((pgsizeBitmap & BigInt(SZ_4K)) === 0n) throw configError(format, 'pgsizeBitmap', request.pgsizeBitmap, '4K must be among the sizes')
  return { pgsizeBitmap, ias, oas, quirks, coherentWalk, cpuPageSize }
}
