/** Physical memory of which only parts are known, in files that are never loaded whole. What is not in them is unknown, not zero. */
import { IoPgtableError, type ReadMemory } from '@io-pgtable/core'
import { max, min } from '../minmax.ts'
import { CHUNK, type Chunk, PageCache, PageMiss } from './page-cache.ts'
import { findSegment, type Segment, sortSegments } from './segments.ts'

const PAGE = 4096
/** Bytes of one read; no table is larger. The cache must hold more than one. */
const READ_LIMIT = 2 ** 22
const CACHE_BYTES = 2 ** 24
const LEAST_CACHE = 2 * READ_LIMIT

/**
 * A memory image: `read` serves core's `walkTables` and `walkAddress`, and everything in this package. Reading is synchronous, from a cache
 * of pages. Where a source cannot be read at once (a browser's Blob) a missing page raises {@link PageMiss}; `loading` loads it and runs the
 * task again.
 */
export class MemoryImage {
  /** In the order of their addresses; they do not overlap. */
  readonly segments: readonly Segment[]
  /** Bytes of memory that are known. */
  readonly known: bigint
  readonly #cache: PageCache
  #segment = 0

  /**
   * @param options `cacheBytes`: memory for the cache, 16 MiB by default, 8 MiB at least
   * @throws `EBADMSG` for segments that overlap, are beyond 2^56, or outside of their files
   */
  constructor(segments: readonly Segment[], options: { readonly cacheBytes?: number } = {}) {
    this.segments = sortSegments(segments)
    this.known = this.segments.reduce((sum, { size }) => sum + size, 0n)
    this.#cache = new PageCache(this.segments, Math.floor(Math.max(options.cacheBytes ?? CACHE_BYTES, LEAST_CACHE) / CHUNK))
    chunkReaders.set(this.read, (paddr, byteLength) => this.#chunkAt(paddr, byteLength))
    nextKnownOf.set(this.read, (paddr) => this.#nextKnown(paddr))
  }

  /** Pages of 4 KiB that were read from sources so far. */
  get pagesRead(): number {
    return this.#cache.pagesRead
  }

  /**
   * `byteLength` bytes at `paddr`, or those up to the first unknown one; undefined when that is the first. The bytes are the cache's: they
   * are not to be changed. @throws PageMiss; `EINVAL` for more than 4 MiB
   */
  readonly read: ReadMemory = (paddr, byteLength) => {
    if (!Number.isSafeInteger(byteLength) || byteLength < 0 || byteLength > READ_LIMIT)
      throw new IoPgtableError('EINVAL', 'read', `byteLength is ${byteLength}, not 0 to ${READ_LIMIT}`, { value: byteLength })
    const index = this.#find(paddr)
    const segment = this.segments[index]
    if (segment === undefined) return undefined
    const within = Number(paddr & BigInt(CHUNK - 1))
    const left = segment.paddr + segment.size - paddr
    if (within + byteLength > CHUNK || BigInt(byteLength) > left) return this.#join(index, paddr, byteLength)
    const chunk = this.#chunk(paddr, within, byteLength)
    chunk.isShared = true
    return chunk.bytes.subarray(within, within + byteLength)
  }

  /** A {@link ChunkReader}. */
  #chunkAt(paddr: bigint, byteLength: number): ReturnType<ChunkReader> {
    const index = this.#find(paddr)
    const segment = this.segments[index]
    const within = Number(paddr & BigInt(CHUNK - 1))
    if (segment === undefined || within + byteLength > CHUNK) return undefined
    const start = Number(paddr) - within
    const first = Math.max(start, Number(segment.paddr))
    const end = Math.min(start + CHUNK, Number(segment.paddr + segment.size))
    if (Number(paddr) + byteLength > end) return undefined
    return { chunk: this.#chunk(paddr, within, byteLength), first, end }
  }

  /**
   * Runs a task that reads. Where pages are missing, loads them and runs it again. A task that goes on where it was (the `run` of this
   * package's classes) may read any amount; one that starts again must not read more than the cache holds, or it never ends.
   */
  async loading<T>(task: () => T): Promise<T> {
    for (;;) {
      try {
        return task()
      } catch (error) {
        if (!(error instanceof PageMiss)) throw error
        await this.#cache.load(error)
      }
    }
  }

  /** The chunk of bytes that lie in one. */
  #chunk(paddr: bigint, within: number, byteLength: number): Chunk {
    const last = Math.max(within, within + byteLength - 1)
    return this.#cache.chunk(Number(paddr / BigInt(CHUNK)), Math.floor(within / PAGE), Math.floor(last / PAGE))
  }

  /** Bytes across chunks, and across segments that adjoin. All that is missing is asked for at once. */
  #join(first: number, paddr: bigint, byteLength: number): Uint8Array {
    const end = this.#knownEnd(first, paddr, byteLength)
    const joined = new Uint8Array(Number(end - paddr))
    const missing: PageMiss['wanted'][number][] = []
    let index = first
    for (let at = paddr; at < end; ) {
      const segment = this.segments[index] as Segment
      if (at >= segment.paddr + segment.size) {
        index++
        continue
      }
      const within = Number(at & BigInt(CHUNK - 1))
      const length = Math.min(CHUNK - within, Number(min(segment.paddr + segment.size, end) - at))
      const chunk = collect(missing, () => this.#chunk(at, within, length))
      if (chunk !== undefined) joined.set(chunk.bytes.subarray(within, within + length), Number(at - paddr))
      at += BigInt(length)
    }
    if (missing.length > 0) throw new PageMiss(missing)
    return joined
  }

  /** Where known memory ends, at most `byteLength` behind `paddr`. */
  #knownEnd(first: number, paddr: bigint, byteLength: number): bigint {
    const wanted = paddr + BigInt(byteLength)
    let end = paddr
    for (let i = first; i < this.segments.length && end < wanted; i++) {
      const segment = this.segments[i] as Segment
      if (i > first && segment.paddr !== end) break
      end = segment.paddr + segment.size
    }
    return min(end, wanted)
  }

  /** The first known address from `paddr` on; undefined where there is none. */
  #nextKnown(paddr: bigint): bigint | undefined {
    let low = 0
    let high = this.segments.length
    while (low < high) {
      const middle = (low + high) >> 1
      const { paddr: first, size } = this.segments[middle] as Segment
      if (first + size <= paddr) low = middle + 1
      else high = middle
    }
    const segment = this.segments[low]
    return segment && max(segment.paddr, paddr)
  }

  /** Tables lie close to each other: the segment of the last read is tried first. */
  #find(paddr: bigint): number {
    const last = this.segments[this.#segment]
    if (last !== undefined && paddr >= last.paddr && paddr < last.paddr + last.size) return this.#segment
    const found = findSegment(this.segments, paddr)
    if (found !== -1) this.#segment = found
    return found
  }
}

/**
 * For reading tables at speed: the chunk of which the bytes are a part, at the address modulo {@link CHUNK}, and the addresses of it that are
 * known. Undefined when the bytes are not all in one. The chunk's buffer is used again once its key has changed. @throws PageMiss
 */
export type ChunkReader = (
  paddr: bigint,
  byteLength: number,
) => { readonly chunk: Chunk; readonly first: number; readonly end: number } | undefined

const chunkReaders = new WeakMap<ReadMemory, ChunkReader>()

/** The quick way into the image whose `read` this is; undefined for other memory. */
export function chunkReaderOf(read: ReadMemory): ChunkReader | undefined {
  return chunkReaders.get(read)
}

const nextKnownOf = new WeakMap<ReadMemory, (paddr: bigint) => bigint | undefined>()

/**
 * Of entries that stand behind an unknown one, the first that is known: an image says where its next bytes are, and other memory nothing.
 * @param entry address and bytes of the unknown entry, and its index
 * @returns an index below `to`; `to` where there is none
 */
export function nextKnownEntry(read: ReadMemory, paddr: bigint, bytes: number, index: number, to: number): number {
  const next = nextKnownOf.get(read)?.(paddr + BigInt(bytes))
  if (next === undefined) return to
  return Math.min(to, index + Number((next - paddr + BigInt(bytes - 1)) / BigInt(bytes)))
}

/** Runs a part of a task; what it misses is noted, for the part to be run again with the others. */
export function collect<T>(missing: PageMiss['wanted'][number][], part: () => T): T | undefined {
  try {
    return part()
  } catch (error) {
    if (!(error instanceof PageMiss)) throw error
    missing.push(...error.wanted)
    return undefined
  }
}
