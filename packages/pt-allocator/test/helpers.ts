/** What several tests use. */
import { type AllocOptions, IoPgtableError, PtPool, type PtPoolOptions, type PtPtr } from '@io-pgtable/pt-allocator'

export const KiB = 1024
export const MiB = 1024 * KiB
export const GiB = 1024 * MiB
export const BASE = 0x8000_0000n

/** A pool of 1 MiB, unless said otherwise. */
export function newPool(options: Partial<PtPoolOptions> = {}): PtPool {
  const size = options.memory === undefined ? { size: MiB } : {}
  return new PtPool({ base: BASE, ...size, ...options })
}

/** The message of the IoPgtableError that `run` throws; it starts with its code and operation. */
export function errorOf(run: () => unknown): string {
  return thrownBy(run).message
}

export function thrownBy(run: () => unknown): IoPgtableError {
  try {
    run()
  } catch (error) {
    if (error instanceof IoPgtableError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

/** Any value as a handle, as plain JavaScript may pass it. */
export function asPtr(value: unknown): PtPtr {
  return value as PtPtr
}

/** Whether every word of a live block is zero. */
export function isZero(pool: PtPool, ptr: PtPtr): boolean {
  return pool.view(ptr).every((word) => word === 0)
}

/** Allocates blocks until there is no more room. */
export function fillUp(pool: PtPool, bytes: number, options: AllocOptions = {}): PtPtr[] {
  const ptrs: PtPtr[] = []
  try {
    for (;;) ptrs.push(pool.alloc(bytes, options))
  } catch {
    return ptrs
  }
}
