/** What a pool is made of, and the checks of it. */
import { hex, IoPgtableError, show } from './errors.ts'
import { PAGE } from './layout.ts'

/** A `WebAssembly.Memory`. It may grow: the pool, and tables in it, go on in the new buffer. */
export interface PtWasmMemory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer
  grow(pages: number): number
}

/** Bytes that a pool can use. On a `WebAssembly.Memory` that is not shared, table code writes its bulk runs with WebAssembly. */
export type PtMemory = ArrayBuffer | SharedArrayBuffer | Uint8Array | PtWasmMemory

/** What a pool calls; none of it is shared with workers. */
export interface PtPoolHooks {
  /** Called by table code, not by the pool, after it wrote `byteLength` bytes at `paddr`: for walkers that see memory late, or a copy of it. */
  readonly sync?: (paddr: bigint, byteLength: number) => void
  /** Called once, without the lock, before an allocation of `bytes` fails for want of memory: free what can be freed. */
  readonly onPressure?: (bytes: number) => void
}

export interface PtPoolOptions extends PtPoolHooks {
  /** Physical address of the first byte: below 2^52, a multiple of 2 MiB. */
  readonly base: bigint
  /** Bytes: a multiple of 4096, at most 4 GiB. May be left out when `memory` is given. */
  readonly size?: number
  /** Bytes of the caller to use instead of an own buffer, from a multiple of 8 on; tables in it are zeroed whatever it holds. Without it (detached, shrunk) calls are `EFAULT`. */
  readonly memory?: PtMemory
  /** The pool can be opened in workers: its memory and bookkeeping are SharedArrayBuffers. Default: whether `memory` is shared. */
  readonly shared?: boolean
  /** Most bytes that may be live. Default: the size. */
  readonly ceiling?: number
  /** Stands in error messages. */
  readonly name?: string
}

/** Options that were checked. `own`: the memory is fresh, hence zero. */
export interface CheckedOptions {
  readonly base: bigint
  readonly size: number
  readonly shared: boolean
  readonly ceiling: number
  readonly name: string
  readonly buffer: ArrayBuffer | SharedArrayBuffer
  readonly byteOffset: number
  readonly wasm: PtWasmMemory | undefined
  readonly own: boolean
}

const MAX_SIZE = 2 ** 32
const BASE_ALIGN = 0x20_0000n
const BASE_END = 1n << 52n

/** @throws `EINVAL` that names the option; `ENOMEM` when the platform has not the memory */
export function checkOptions(options: PtPoolOptions): CheckedOptions {
  if (typeof options !== 'object' || options === null) throw invalid(`options are ${show(options)}, not an object`)
  const { ceiling, shared, name } = options
  const wasm = isWasmMemory(options.memory) ? options.memory : undefined
  const memory = wasm?.buffer ?? options.memory
  const size = options.size ?? (memory === undefined ? undefined : byteLengthOf(memory))
  if (!isSize(size)) throw invalid(`size ${show(size)} is not a multiple of 4096 in 4096 .. 2^32`, size)
  const base = checkBase(options.base, size)
  checkHooks(options)
  if (ceiling !== undefined && !(Number.isSafeInteger(ceiling) && ceiling >= 0)) {
    throw invalid(`ceiling ${show(ceiling)} is not a number of bytes`, ceiling)
  }
  if (shared !== undefined && typeof shared !== 'boolean') throw invalid(`shared is ${show(shared)}, not a boolean`)
  if (name !== undefined && typeof name !== 'string') throw invalid(`name is ${show(name)}, not a string`)
  const common = { base, size, wasm, name: name ?? 'pool', ceiling: Math.min(ceiling ?? size, size) }
  if (memory === undefined) {
    return { ...common, shared: shared ?? false, buffer: newBuffer(size, shared ?? false), byteOffset: 0, own: true }
  }
  return { ...common, ...checkMemory(memory, size, shared), own: false }
}

/** @throws `EINVAL` */
export function checkHooks(hooks: PtPoolHooks): void {
  if (typeof hooks !== 'object' || hooks === null) throw invalid(`hooks are ${show(hooks)}, not an object`)
  for (const hook of ['sync', 'onPressure'] as const) {
    if (hooks[hook] !== undefined && typeof hooks[hook] !== 'function') throw invalid(`${hook} is ${show(hooks[hook])}, not a function`)
  }
}

/** A zeroed buffer; the operating system provides it where it is touched. @throws `ENOMEM`; `EINVAL` when nothing can be shared here */
export function newBuffer(bytes: number, shared: boolean): ArrayBuffer | SharedArrayBuffer {
  if (shared && typeof SharedArrayBuffer === 'undefined') {
    throw invalid('shared: there is no SharedArrayBuffer here (browsers want the page to be cross-origin isolated)')
  }
  try {
    return shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes)
  } catch (cause) {
    throw new IoPgtableError('ENOMEM', 'pool', `the platform gives no buffer of ${hex(bytes)} bytes`, { value: bytes, cause })
  }
}

/** By its tag, so that buffers of other realms are known, and pages without SharedArrayBuffer work. */
export function isSharedBuffer(value: unknown): value is SharedArrayBuffer {
  return Object.prototype.toString.call(value) === '[object SharedArrayBuffer]'
}

function isWasmMemory(value: unknown): value is PtWasmMemory {
  return Object.prototype.toString.call(value) === '[object WebAssembly.Memory]'
}

function isBuffer(value: unknown): value is ArrayBuffer | SharedArrayBuffer {
  return isSharedBuffer(value) || Object.prototype.toString.call(value) === '[object ArrayBuffer]'
}

function isBytes(value: unknown): value is Uint8Array {
  return Object.prototype.toString.call(value) === '[object Uint8Array]'
}

function isSize(size: unknown): size is number {
  return Number.isInteger(size) && (size as number) > 0 && (size as number) <= MAX_SIZE && (size as number) % PAGE === 0
}

function checkBase(base: bigint, size: number): bigint {
  if (typeof base !== 'bigint') throw invalid(`base is ${show(base)}, not a bigint`)
  if (base < 0n || base % BASE_ALIGN !== 0n) throw invalid(`base ${hex(base)} is not a multiple of 2 MiB`, base)
  if (base + BigInt(size) > BASE_END) throw invalid(`base ${hex(base)} + size ${hex(size)} ends above 2^52`, base)
  return base
}

function byteLengthOf(memory: PtMemory): number {
  return isBuffer(memory) || isBytes(memory) ? memory.byteLength : 0
}

function checkMemory(
  memory: PtMemory,
  size: number,
  shared: boolean | undefined,
): Pick<CheckedOptions, 'shared' | 'buffer' | 'byteOffset'> {
  if (!isBuffer(memory) && !isBytes(memory)) throw invalid('memory is no ArrayBuffer, SharedArrayBuffer, Uint8Array or WebAssembly.Memory')
  const buffer = isBuffer(memory) ? memory : memory.buffer
  const byteOffset = isBuffer(memory) ? 0 : memory.byteOffset
  if (byteOffset % 8 !== 0) throw invalid(`memory starts at byte ${hex(byteOffset)} of its buffer, not a multiple of 8`, byteOffset)
  if (memory.byteLength < size) {
    throw invalid(`memory has ${hex(memory.byteLength)} bytes, fewer than size ${hex(size)}`, memory.byteLength)
  }
  if (shared === true && !isSharedBuffer(buffer)) throw invalid('shared: memory is no SharedArrayBuffer')
  return { shared: shared ?? isSharedBuffer(buffer), buffer, byteOffset }
}

function invalid(message: string, value?: unknown): IoPgtableError {
  const known = typeof value === 'number' || typeof value === 'bigint' || typeof value === 'string'
  return new IoPgtableError('EINVAL', 'pool', message, known ? { value } : {})
}
