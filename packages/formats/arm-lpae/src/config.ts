/** Requests, narrowed as Linux's io-pgtable narrows them: to one granule, its page sizes, and what the addresses may have. */
import {
  type Agreed,
  checkConfig,
  configError,
  type FormatConfig,
  pgsizeBitmap,
  SZ_1G,
  SZ_2M,
  SZ_4K,
  SZ_4T,
  SZ_16K,
  SZ_32M,
  SZ_64G,
  SZ_64K,
  SZ_512G,
  SZ_512M,
} from '@io-pgtable/core'
import { codeOf, OUTPUT_SIZES } from './registers.ts'

/** A configuration of a format that FEAT_LPA2 widens. */
export interface Lpa2Config<Q extends string> extends FormatConfig<Q> {
  /**
   * FEAT_LPA2 with the bit DS set: with granules of 4K and 16K up to 52 address bits, and blocks of 512G and 64G; shareability is then the
   * walk's (SH of TCR or VTCR). Without effect on 64K. Default false: what Linux's io-pgtable makes.
   */
  readonly lpa2?: boolean
}

const SIZES_4K: bigint = pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G)

/** The granule of a request: the CPU's page size where it is asked for, else the largest size below, else the smallest above. */
function granuleFor({ pgsizeBitmap: bitmap, cpuPageSize = SZ_4K }: FormatConfig): number {
  const cpu = BigInt(cpuPageSize)
  const below = bitmap & (cpu - 1n)
  const above = bitmap & ~(cpu - 1n)
  if (bitmap & cpu) return cpuPageSize
  return Number(below !== 0n ? 1n << BigInt(below.toString(2).length - 1) : above & -above)
}

/** The page sizes that a granule has; undefined for what is no granule. */
function sizes64(granule: number, oas: number, lpa2: boolean): bigint | undefined {
  if (granule === SZ_4K) return SIZES_4K | (lpa2 ? BigInt(SZ_512G) : 0n)
  if (granule === SZ_16K) return pgsizeBitmap(SZ_16K, SZ_32M) | (lpa2 ? BigInt(SZ_64G) : 0n)
  if (granule !== SZ_64K) return undefined
  return pgsizeBitmap(SZ_64K, SZ_512M) | (oas > 48 ? BigInt(SZ_4T) : 0n)
}

/** AArch64: any granule; more address bits than the granule has are given up. @throws `EINVAL` */
export function narrow64<Q extends string>(format: string, request: Lpa2Config<Q>, known: readonly Q[]): Agreed<Lpa2Config<Q>> {
  const quirks = checkConfig(format, request, known)
  const { coherentWalk = true, cpuPageSize = SZ_4K } = request
  const granule = granuleFor(request)
  const lpa2 = request.lpa2 === true && granule !== SZ_64K
  const sizes = sizes64(granule, request.oas, lpa2)
  if (sizes === undefined) throw configError(format, 'pgsizeBitmap', request.pgsizeBitmap, 'a granule of 4K, 16K or 64K expected')
  const most = lpa2 || granule === SZ_64K ? 52 : 48
  const ias = Math.min(request.ias, most)
  const oas = Math.min(request.oas, most)
  // TnSZ is at most 48, or 47 with 64K (FEAT_TTST).
  const least = granule === SZ_64K ? 17 : 16
  if (ias < least) throw configError(format, 'ias', ias, `at least ${least} with this granule`)
  checkOutput(format, oas)
  return { pgsizeBitmap: request.pgsizeBitmap & sizes, ias, oas, quirks, coherentWalk, cpuPageSize, lpa2 }
}

/** AArch32: 4K alone, up to `most` input address bits and 40 output address bits. @throws `EINVAL` */
export function narrow32<Q extends string>(
  format: string,
  request: FormatConfig<Q>,
  known: readonly Q[],
  most: number,
): Agreed<FormatConfig<Q>> {
  const quirks = checkConfig(format, request, known)
  const { ias, oas, coherentWalk = true, cpuPageSize = SZ_4K } = request
  const bitmap = request.pgsizeBitmap & SIZES_4K
  if ((bitmap & BigInt(SZ_4K)) === 0n) throw configError(format, 'pgsizeBitmap', request.pgsizeBitmap, 'a granule of 4K expected')
  // TCR's code for a smaller size would be more than 48.
  if (ias < 16 || ias > most) throw configError(format, 'ias', ias, `16 to ${most} expected`)
  if (oas > 40) throw configError(format, 'oas', oas, 'at most 40 expected')
  checkOutput(format, oas)
  return { pgsizeBitmap: bitmap, ias, oas, quirks, coherentWalk, cpuPageSize }
}

function checkOutput(format: string, oas: number): void {
  if (codeOf(OUTPUT_SIZES, oas) !== undefined) return
  throw configError(format, 'oas', oas, `one of ${Object.values(OUTPUT_SIZES).join(', ')} expected`)
}
