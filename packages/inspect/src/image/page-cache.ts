/**
 * A cache of physical memory: chunks of which pages of 4 KiB are loaded as they are asked for. A walk of one address so reads its pages and
 * no other; whoever reads memory in order gets larger pieces, since the pages before a miss say that it does. The buffers of chunks that go
 * are used again, as fresh memory costs more than reading into it; not those of which bytes were given away.
 */
import { findFrom, type Segment } from './segments.ts'
import { badFile } from './source.ts'

const PAGE = 4096
const LAST_PAGE = 31
const CHUNK_LG = 17
/** Bytes of a chunk: 32 pages. */
export const CHUNK: number = 2 ** CHUNK_LG
const ALL = -1
/** Loaded pages directly before a miss from which on more than the page that is asked for is read. */
const SEQUENTIAL = 8

export class Chunk {
  /** Its number: its first address / {@link CHUNK}. */
  key = -1
  /** The segments that have bytes in it. */
  segments: readonly Segment[] = []
  /** A bit for each loaded page. */
  loaded = 0
  /** Its bytes were given to somebody who may keep them. */
  isShared = false
  readonly bytes: Uint8Array
  readonly words: Int32Array
  constructor(bytes: Uint8Array<ArrayBuffer> = new Uint8Array(CHUNK)) {
    this.bytes = bytes
    this.words = new Int32Array(bytes.buffer)
  }
}

/** Bytes of a source that are missing: raised by a read, for `MemoryImage.loading`. */
export class PageMiss extends Error {
  readonly wanted: readonly { readonly chunk: number; readonly pages: number }[]
  constructor(wanted: PageMiss['wanted']) {
    super('bytes of an image have to be loaded first: run this inside of image.loading()')
    this.name = 'PageMiss'
    this.wanted = wanted
  }
}

export class PageCache {
  /** Pages read from sources so far. */
  pagesRead = 0
  readonly #segments: readonly Segment[]
  readonly #chunks: Map<number, Chunk> = new Map()
  readonly #most: number
  #last: Chunk = new Chunk(new Uint8Array())
  /** What lies behind the bytes of a file (p_filesz < p_memsz). */
  readonly #zeroes: Chunk = new Chunk()

  /** @param chunks how many the cache holds */
  constructor(segments: readonly Segment[], chunks: number) {
    this.#segments = segments
    this.#most = chunks
    this.#zeroes.loaded = ALL
  }

  /** The chunk of that number, with its pages `from..to` loaded. @throws PageMiss when they are not, and a source cannot be read at once */
  chunk(number: number, from: number, to: number): Chunk {
    const found = this.#last.key === number ? this.#last : this.#get(number)
    const want = pagesOf(from, to)
    if ((found.loaded & want) !== want) this.#fill(found, this.#ahead(found, want & ~found.loaded))
    return found
  }

  /** Reads what a miss asks for. */
  async load({ wanted }: PageMiss): Promise<void> {
    for (const { chunk, pages } of wanted) {
      const found = this.#get(chunk)
      // Until its bytes are here nobody else may use the buffer
      found.isShared = true
      for (const { segment, offset, into } of pieces(found, pages & ~found.loaded)) {
        const bytes = await segment.source.read(offset, into.byteLength)
        if (bytes.byteLength < into.byteLength) throw shrunk(segment, offset)
        into.set(bytes.subarray(0, into.byteLength))
      }
      this.#note(found, pages)
    }
  }

  #fill(found: Chunk, pages: number): void {
    for (const { segment, offset, into } of pieces(found, pages)) {
      // once: it may be a getter, which answers otherwise the next time
      const { source } = segment
      const { readSync } = source
      if (readSync === undefined) throw new PageMiss([{ chunk: found.key, pages }])
      if (readSync.call(source, offset, into) < into.byteLength) throw shrunk(segment, offset)
    }
    this.#note(found, pages)
  }

  #note(found: Chunk, pages: number): void {
    this.pagesRead += countBits(pages & ~found.loaded)
    found.loaded |= pages
  }

  /** The pages to load: those wanted, and as many behind them as are loaded before them, once that looks like reading in order. */
  #ahead(found: Chunk, want: number): number {
    const first = 31 - Math.clz32(want & -want)
    if (first === 0) return this.#chunks.get(found.key - 1)?.loaded === ALL ? ALL : want
    let run = 0
    while (run < first && ((found.loaded >>> (first - run - 1)) & 1) === 1) run++
    return run < SEQUENTIAL ? want : (want | pagesOf(first, Math.min(first + run - 1, LAST_PAGE))) & ~found.loaded
  }

  /** A chunk, which becomes the youngest; the oldest one goes when there are too many. */
  #get(number: number): Chunk {
    const known = this.#chunks.get(number)
    if (known !== undefined) this.#chunks.delete(number)
    const found = known ?? this.#make(number)
    if (found === this.#zeroes) return found
    this.#chunks.set(number, found)
    this.#last = found
    return found
  }

  #make(number: number): Chunk {
    const base = BigInt(number) * BigInt(CHUNK)
    const segments: Segment[] = []
    for (let i = findFrom(this.#segments, base); i < this.#segments.length; i++) {
      const segment = this.#segments[i] as Segment
      if (segment.paddr >= base + BigInt(CHUNK)) break
      if (segment.paddr + BigInt(segment.fileSize) > base) segments.push(segment)
    }
    if (segments.length === 0) return this.#zeroes
    const chunk = this.#take()
    chunk.key = number
    chunk.segments = segments
    const [only] = segments
    const isWhole = only !== undefined && only.paddr <= base && only.paddr + BigInt(only.fileSize) >= base + BigInt(CHUNK)
    if (!isWhole) chunk.bytes.fill(0)
    return chunk
  }

  /** A chunk without pages. */
  #take(): Chunk {
    if (this.#chunks.size < this.#most) return new Chunk()
    const [key, oldest] = this.#chunks.entries().next().value as [number, Chunk]
    this.#chunks.delete(key)
    oldest.key = -1
    oldest.loaded = 0
    return oldest.isShared ? new Chunk() : oldest
  }
}

/** Bits `from` to `to`. */
function pagesOf(from: number, to: number): number {
  return (ALL >>> (LAST_PAGE - to + from)) << from
}

/** The pieces of sources behind runs of pages. What lies outside of files is zero, as the chunk is already. */
function* pieces({ key, segments, bytes }: Chunk, pages: number): Generator<{ segment: Segment; offset: number; into: Uint8Array }> {
  const base = BigInt(key) * BigInt(CHUNK)
  for (let page = 0; page <= LAST_PAGE; page++) {
    if (((pages >>> page) & 1) === 0) continue
    const first = page
    while (page < LAST_PAGE && ((pages >>> (page + 1)) & 1) === 1) page++
    for (const segment of segments) {
      const start = Number(segment.paddr - base)
      const from = Math.max(start, first * PAGE)
      const to = Math.min(start + segment.fileSize, (page + 1) * PAGE)
      if (to > from) yield { segment, offset: segment.offset + from - start, into: bytes.subarray(from, to) }
    }
  }
}

function countBits(bits: number): number {
  let count = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++
  return count
}

function shrunk({ source }: Segment, offset: number): Error {
  return badFile(source, offset, 'the file has become shorter')
}
