/** The words of tables: from an image's cache in place, from any other memory as it gives them. */
import type { LevelNode, ReadMemory } from '@io-pgtable/core'
import { type ChunkReader, chunkReaderOf } from '../image/image.ts'
import { CHUNK, type Chunk } from '../image/page-cache.ts'
import { picked, swapped, wordsOf } from './scan.ts'

/** Chunks, and pages that tables are in, are told apart by numbers: addresses below 2^59 that are multiples of 64. */
export class TableWords {
  /** What `find` has found: the words, and where in them the first one is. */
  words: Int32Array = new Int32Array(0)
  at = 0
  /** The chunk in which they are, and its key: when it has another one, the words are others, too. */
  chunk: Chunk | undefined
  key = -1
  readonly #read: ReadMemory
  readonly #chunks: ChunkReader | undefined
  /** The addresses of the last chunk that are known. */
  #first = 0
  #end = 0

  constructor(read: ReadMemory) {
    this.#read = read
    this.#chunks = chunkReaderOf(read)
  }

  /**
   * Finds the words of the entries `from` to `to` of a table: of big-endian entries, and of halves of entries, a copy. @returns entries that are
   * known. @throws what reading throws
   */
  find(node: LevelNode, table: number, from: number, to: number): number {
    const { entryBytes, byteOrder, stride = entryBytes, offset = 0 } = node
    const known = Math.floor(this.#find(table + from * stride, (to - from) * stride) / stride)
    const width = entryBytes / 4
    if (stride !== entryBytes) this.#own(picked(this.words, this.at + offset / 4, known, { width, step: stride / 4 }))
    if (byteOrder === 'big') this.#own(swapped(this.words, this.at, known * width, width))
    return Math.min(known, to - from)
  }

  #own(words: Int32Array): void {
    this.words = words
    this.at = 0
    this.chunk = undefined
  }

  #find(paddr: number, byteLength: number): number {
    if (this.#isLoaded(paddr, byteLength)) {
      this.at = (paddr % CHUNK) / 4
      return byteLength
    }
    const found = paddr % 4 === 0 ? this.#chunks?.(BigInt(paddr), byteLength) : undefined
    if (found === undefined) return this.#other(paddr, byteLength)
    const { chunk, first, end } = found
    this.chunk = chunk
    this.key = chunk.key
    this.words = chunk.words
    this.#first = first
    this.#end = end
    this.at = (paddr % CHUNK) / 4
    return byteLength
  }

  /** The last chunk has them, all its pages being loaded. */
  #isLoaded(paddr: number, byteLength: number): boolean {
    const { chunk } = this
    return chunk !== undefined && chunk.key === this.key && chunk.loaded === -1 && paddr >= this.#first && paddr + byteLength <= this.#end
  }

  #other(paddr: number, byteLength: number): number {
    const bytes = this.#read(BigInt(paddr), byteLength)
    this.chunk = undefined
    this.at = 0
    if (bytes === undefined) return 0
    this.words = wordsOf(bytes)
    return this.words.length * 4
  }
}
