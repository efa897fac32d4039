/** The one error type of all io-pgtable packages; it lives here because this package is the lowest of the stack. */

/**
 * What went wrong, stable across versions:
 * `EINVAL` argument or configuration · `ERANGE` address beyond what the table translates, or a number beyond 2^53 · `EEXIST` a mapping is in
 * the way · `ENOMEM` table memory is exhausted · `EFAULT` memory that is unknown or not ours · `ENODEV` revoked or freed · `EBUSY` in use ·
 * `EBADMSG` a bad input file.
 */
export type ErrorCode = 'EINVAL' | 'ERANGE' | 'EEXIST' | 'ENOMEM' | 'EFAULT' | 'ENODEV' | 'EBUSY' | 'EBADMSG'

/** The mark of our errors, the same in every copy of this package. */
const BRAND = Symbol.for('io-pgtable.error')

/** Every error that the packages throw or return on purpose. Its message reads `CODE: operation: what is wrong`. */
export class IoPgtableError extends Error {
  readonly code: ErrorCode
  /** The operation that failed: `alloc`, `mapPages`, ... */
  readonly op: string
  /** The offending value, where there is one. */
  readonly value?: bigint | number | string

  /** Whether a value is such an error. Where a program has two copies of the package, `instanceof` knows those of one copy alone. */
  static is(value: unknown): value is IoPgtableError {
    return value instanceof Error && BRAND in value
  }

  constructor(
    code: ErrorCode,
    op: string,
    message: string,
    options: { readonly value?: bigint | number | string; readonly cause?: unknown } = {},
  ) {
    super(`${code}: ${op}: ${message}`, 'cause' in options ? { cause: options.cause } : undefined)
    this.name = 'IoPgtableError'
    Object.defineProperty(this, BRAND, { value: true })
    this.code = code
    this.op = op
    if (options.value !== undefined) this.value = options.value
  }
}

/** `v` as messages print it: `0x1f`, `-0x1f`; a number that is no integer as it is. */
export function hex(v: bigint | number): string {
  if (typeof v === 'number' && !Number.isInteger(v)) return String(v)
  return v < 0 ? `-0x${(-v).toString(16)}` : `0x${v.toString(16)}`
}

/** Any value in a message: numbers in hex, what is no number with its type, so that `'4096'` and 4096 differ. */
export function show(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint') return `${hex(value)}${typeof value === 'bigint' ? 'n' : ''}`
  if (typeof value === 'string') return JSON.stringify(value)
  return value === null || value === undefined ? String(value) : `of type ${typeof value}`
}
