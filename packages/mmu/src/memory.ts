/** The guest's memory: pieces of it, cut so that an address is one int32 compare away from its piece. */
import { hex, IoPgtableError, type ReadMemory } from '@io-pgtable/core'

/** Bytes of physical memory from `base` on. A WebAssembly.Memory may grow. */
export interface MemoryPiece {
  readonly base: bigint
  readonly bytes: ArrayBufferLike | ArrayBufferView | { readonly buffer: ArrayBufferLike; grow(pages: number): number }
}

/** At most 2 GiB, inside one range of 4 GiB. */
export class Chunk {
  readonly hi: number
  readonly lo: number
  /** Bytes, at most 2^31: read it unsigned. */
  readonly size: number
  readonly words: Int32Array
  constructor(base: bigint, words: Int32Array) {
    this.hi = Number(BigInt.asIntN(32, base >> 32n)) | 0
    this.lo = Number(BigInt.asIntN(32, base)) | 0
    this.size = words.byteLength | 0
    this.words = words
  }
}

const MOST = 2 ** 31
const ALIGNED = 8n

/** All pieces. */
export class GuestMemory {
  readonly #pieces: readonly MemoryPiece[]
  #buffers: readonly ArrayBufferLike[] = []
  #chunks: readonly Chunk[] = []

  /** @throws `EINVAL` for pieces that overlap, that are not aligned to 8 bytes, or that are no memory */
  constructor(pieces: readonly MemoryPiece[]) {
    if (!Array.isArray(pieces) || pieces.length === 0) throw refused('one piece at least expected', pieces?.length)
    for (const piece of pieces) checkPiece(piece)
    this.#pieces = [...pieces].sort((a, b) => (a.base < b.base ? -1 : 1))
    this.#read()
    for (const [i, { base }] of this.#pieces.entries()) {
      const before = this.#pieces[i - 1]
      if (before !== undefined && before.base + BigInt(bytesOf(before).byteLength) > base)
        throw refused(`the piece at ${hex(base)} overlaps the one at ${hex(before.base)}`, base)
    }
  }

  /** Memory that has moved or grown since it was last looked at: whether there is any. */
  refresh(): boolean {
    if (this.#pieces.every((piece, i) => bufferOf(piece) === this.#buffers[i] && !isStale(this.#chunks))) return false
    this.#read()
    return true
  }

  #read(): void {
    this.#buffers = this.#pieces.map(bufferOf)
    this.#chunks = this.#pieces.flatMap((piece) => chunksOf(piece.base, bytesOf(piece)))
  }

  /** The chunk that holds eight bytes at an address; undefined where there is none. */
  find(hi: number, lo: number): Chunk | undefined {
    const chunk = this.#find(hi, lo)
    return chunk === undefined && this.refresh() ? this.#find(hi, lo) : chunk
  }

  #find(hi: number, lo: number): Chunk | undefined {
    const chunks = this.#chunks
    for (let i = 0; i < chunks.length; i++) {
      const chunk = chunks[i] as Chunk
      if (hi === chunk.hi && (lo - chunk.lo) >>> 0 < chunk.size >>> 0 && chunk.words.length > 0) return chunk
    }
    return undefined
  }

  /** One of the chunks, for a start. */
  get first(): Chunk {
    return this.#chunks[0] ?? NONE
  }

  /** Reads as the cold walkers do. What lies across two chunks is not read. */
  readonly read: ReadMemory = (paddr, byteLength) => {
    if (paddr < 0n || paddr >> 64n !== 0n) return undefined
    const lo = Number(BigInt.asIntN(32, paddr)) | 0
    const chunk = this.find(Number(BigInt.asIntN(32, paddr >> 32n)) | 0, lo)
    if (chunk === undefined) return undefined
    const { buffer, byteOffset, byteLength: size } = chunk.words
    const at = (lo - chunk.lo) >>> 0
    return new Uint8Array(buffer, byteOffset + at, Math.min(byteLength, size - at))
  }
}

export const NONE: Chunk = new Chunk(0n, new Int32Array(0))

function isStale(chunks: readonly Chunk[]): boolean {
  return chunks.some(({ size, words }) => words.byteLength >>> 0 < size >>> 0)
}

function checkPiece(piece: MemoryPiece): void {
  const { base } = piece
  if (typeof base !== 'bigint' || base < 0n || base >> 64n !== 0n) throw refused('the base of a piece must be an address', String(base))
  if (base % ALIGNED !== 0n) throw refused(`the base ${hex(base)} is not aligned to ${ALIGNED} bytes`, base)
  const { buffer, byteOffset } = bytesOf(piece)
  if (!isBuffer(buffer)) throw refused(`the piece at ${hex(base)} is no buffer, view or WebAssembly.Memory`, base)
  if (byteOffset % 8 !== 0)
    throw refused(`the bytes of the piece at ${hex(base)} begin at ${byteOffset}: a multiple of 8 expected`, byteOffset)
}

function isBuffer(value: unknown): boolean {
  return value instanceof ArrayBuffer || (typeof SharedArrayBuffer !== 'undefined' && value instanceof SharedArrayBuffer)
}

function bufferOf({ bytes }: MemoryPiece): ArrayBufferLike {
  return (isBuffer(bytes) ? bytes : (bytes as { readonly buffer: ArrayBufferLike })?.buffer) as ArrayBufferLike
}

function bytesOf(piece: MemoryPiece): { readonly buffer: ArrayBufferLike; readonly byteOffset: number; readonly byteLength: number } {
  const { bytes } = piece
  if (ArrayBuffer.isView(bytes)) return bytes
  const buffer = bufferOf(piece)
  return { buffer, byteOffset: 0, byteLength: buffer?.byteLength ?? 0 }
}

/** Cut at every 2 GiB of the address space; the last bytes that make up no eight are not memory. */
function chunksOf(base: bigint, { buffer, byteOffset, byteLength }: ReturnType<typeof bytesOf>): Chunk[] {
  const chunks: Chunk[] = []
  const whole = byteLength - (byteLength % 8)
  for (let at = 0; at < whole; ) {
    const start = base + BigInt(at)
    const bytes = Math.min(whole - at, MOST - Number(start % BigInt(MOST)))
    chunks.push(new Chunk(start, new Int32Array(buffer, byteOffset + at, bytes / 4)))
    at += bytes
  }
  return chunks
}

function refused(text: string, value: bigint | number | string): IoPgtableError {
  return new IoPgtableError('EINVAL', 'Mmu', `memory: ${text}`, { value })
}
