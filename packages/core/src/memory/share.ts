/** One table in several workers: the token that is posted, and opening it there. */
import { PtPool, type PtPoolToken } from '@io-pgtable/pt-allocator'
import { IoPgtableError } from '../errors.ts'
import type { AnyFmt } from '../format/format.ts'
import type { Agreed, FormatConfig } from '../format/policy.ts'

/** A table as it is posted to a worker; opened there with `IoPageTable.attach`. */
export interface TableToken {
  /** The format's id; the worker imports the format itself. */
  readonly format: string
  readonly config: Agreed<FormatConfig>
  readonly debug: { readonly oneTablePerCall?: boolean; readonly rangeLock?: boolean }
  readonly pool: PtPoolToken
  /** The table's state, on shared memory. */
  readonly state: Int32Array
  /** The table's owner tag in the pool. */
  readonly owner: number
}

/** A table's state words: shared with other workers when the pool is. */
export function freshState(shared: boolean, words: number): Int32Array {
  return shared ? new Int32Array(new SharedArrayBuffer(words * 4)) : new Int32Array(words)
}

/** Checks a token. @throws `EINVAL` when it is of another format, or none. */
export function openShared(format: AnyFmt, token: TableToken): TableToken {
  if (token?.format !== format.FORMAT)
    throw new IoPgtableError('EINVAL', 'attach', `token of format ${token?.format}: ${format.FORMAT} expected`, {
      value: String(token?.format),
    })
  if (!(token.state instanceof Int32Array)) throw new IoPgtableError('EINVAL', 'attach', 'the token has no state')
  return token
}

/** The token's pool, opened in this worker with its hooks. */
export function attachPool(
  token: TableToken,
  hooks: { readonly sync?: (paddr: bigint, byteLength: number) => void; readonly onPressure?: (bytes: number) => void },
): PtPool {
  return PtPool.attach(token.pool, { ...(hooks.sync && { sync: hooks.sync }), ...(hooks.onPressure && { onPressure: hooks.onPressure }) })
}
