/** The words of tables: from an image's cache in place, from any other memory as it gives them. */
import type { LevelNode, ReadMemory } from '@io-pgtable/core'
import { type ChunkReader, chunkReaderOf } from '../image/image.ts'
import { CHUNK, type Chunk } from '../image/page-cache.ts'
import { swapped, wordsOf } from './scan.ts'

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

  /** Finds the words of entries of a node: of big-endian ones a copy, in this host's order. @returns bytes that are known. @throws what reading throws */
  find(node: LevelNode, paddr: number, byteLength: number): number {
    const known = this.#find(paddr, byteLength)
    if (node.byteOrder === 'big') this.#swap(node.entryBytes / 4, known)
    return known
  }

  #swap(width: number, known: number): void {
    this.words = swapped(this.words, this.at, Math.floor(known / 4), width)
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
