/** What a thread posts to another one so that it opens the same pool. */
import { IoPgtableError, show } from './errors.ts'
import { BIAS, layoutOf, MAGIC, MAGIC_VALUE, PAGES } from './layout.ts'
import { isSharedBuffer } from './options.ts'

/** A shared pool as plain data: `postMessage` clones it, and both sides then see the same memory. */
export interface PtPoolToken {
  readonly type: 'PtPool'
  readonly name: string
  readonly base: bigint
  readonly size: number
  readonly memory: SharedArrayBuffer
  /** Where the pool starts in `memory`. */
  readonly byteOffset: number
  readonly meta: SharedArrayBuffer
}

/** The bookkeeping of a token whose memory was checked. @throws `EINVAL` when it is not that of the pool that the token tells of */
export function adoptMeta(token: PtPoolToken): Int32Array {
  if (!isSharedBuffer(token.meta)) throw invalid('meta is no SharedArrayBuffer')
  const layout = layoutOf(token.size, token.base)
  if (token.meta.byteLength !== layout.words * 4) {
    throw invalid(`meta has ${token.meta.byteLength} bytes, and ${layout.words * 4} belong to a pool of ${token.size}`)
  }
  const meta = new Int32Array(token.meta)
  const same = meta[MAGIC] === MAGIC_VALUE && meta[PAGES] === layout.pages && meta[BIAS] === layout.bias
  if (!same) throw invalid('meta is not the bookkeeping of this pool, or comes from another version of this package')
  return meta
}

/** @throws `EINVAL` when it is no token at all */
export function checkToken(token: PtPoolToken): void {
  if (typeof token !== 'object' || token === null || token.type !== 'PtPool') throw invalid(`${show(token)} is no token of pool.token()`)
  if (!isSharedBuffer(token.memory)) throw invalid('memory is no SharedArrayBuffer')
  const end = token.byteOffset + token.size
  if (!Number.isInteger(token.byteOffset) || token.byteOffset < 0 || !(end <= token.memory.byteLength)) {
    throw invalid(`the pool ends at byte ${show(end)} of its memory, which has ${token.memory.byteLength}`)
  }
}

function invalid(message: string): IoPgtableError {
  return new IoPgtableError('EINVAL', 'attach', message)
}
