/** The GPU's RAM, made page by page where somebody writes to it, and who has which piece of it. */
import { hex, IoPgtableError } from '@io-pgtable/core'

export const PAGE = 4096

/** Contiguous physical memory. */
export interface Piece {
  readonly paddr: bigint
  /** Bytes. */
  readonly size: number
}

/** Physical memory in 32-bit words. What was never written to is zero. */
export class Ram {
  readonly #pages = new Map<bigint, Uint32Array>()

  /** The words of the page that an address lies in. */
  page(paddr: bigint): Uint32Array {
    const number = paddr / BigInt(PAGE)
    let words = this.#pages.get(number)
    if (words === undefined) {
      words = new Uint32Array(PAGE / 4)
      this.#pages.set(number, words)
    }
    return words
  }

  /** Takes the contents of a piece away: whoever reads there again finds zeroes. */
  take({ paddr, size }: Piece): Uint32Array[] {
    return pagesOf(paddr, size).map((page) => {
      const words = this.page(page)
      this.#pages.delete(page / BigInt(PAGE))
      return words
    })
  }

  put(paddr: bigint, contents: readonly Uint32Array[]): void {
    for (const [i, words] of contents.entries()) this.page(paddr + BigInt(i * PAGE)).set(words)
  }
}

function pagesOf(paddr: bigint, size: number): bigint[] {
  return Array.from({ length: size / PAGE }, (_, i) => paddr + BigInt(i * PAGE))
}

/** Hands out physical addresses, always new ones, so that an old address is never right by chance. */
export class Addresses {
  #next: bigint
  readonly #end: bigint

  constructor(first: bigint, end: bigint) {
    this.#next = first
    this.#end = end
  }

  /** `size` bytes in pieces of `chunk`, with a page between them; one piece, aligned so that large pages fit, without `chunk`. @throws `ENOMEM` */
  pieces(size: number, chunk: number | undefined): Piece[] {
    if (chunk === undefined) return [{ paddr: this.#take(size, size >= 2 ** 20 ? 2 ** 21 : PAGE), size }]
    return Array.from({ length: Math.ceil(size / chunk) }, (_, i) => {
      const bytes = Math.min(chunk, size - i * chunk)
      const paddr = this.#take(bytes, chunk)
      this.#next += BigInt(PAGE)
      return { paddr, size: bytes }
    })
  }

  #take(size: number, align: number): bigint {
    const at = ((this.#next + BigInt(align) - 1n) / BigInt(align)) * BigInt(align)
    if (at + BigInt(size) > this.#end) throw new IoPgtableError('ENOMEM', 'memory', `no ${hex(size)} bytes are left`, { value: size })
    this.#next = at + BigInt(size)
    return at
  }
}

/** A buffer object: its size, and the memory that it has unless it is evicted. */
export class Buffer {
  readonly name: string
  /** Bytes. */
  readonly size: bigint
  readonly chunk: number | undefined
  #pieces: readonly Piece[]
  #swapped: Uint32Array[] | undefined

  constructor(name: string, size: number, chunk: number | undefined, addresses: Addresses) {
    this.name = name
    this.size = BigInt(size)
    this.chunk = chunk
    this.#pieces = addresses.pieces(size, chunk)
  }

  get resident(): boolean {
    return this.#swapped === undefined
  }

  /** The memory behind `bytes` from `offset` on. */
  *backing(offset: bigint, bytes: number): Generator<Piece> {
    let [start, from, left] = [0, Number(offset), bytes]
    for (const { paddr, size } of this.#pieces) {
      if (left > 0 && from < start + size) {
        const length = Math.min(left, start + size - from)
        yield { paddr: paddr + BigInt(from - start), size: length }
        from += length
        left -= length
      }
      start += size
    }
  }

  /** The physical address of an offset, both as numbers, since it is asked page by page; undefined when the buffer is evicted. */
  addressAt(offset: number): number | undefined {
    const size = this.chunk ?? Number(this.size)
    const piece = this.#pieces[Math.floor(offset / size)]
    return piece === undefined ? undefined : Number(piece.paddr) + (offset % size)
  }

  /** Gives the memory back; the contents are kept elsewhere. */
  swapOut(ram: Ram): void {
    this.#swapped = this.#pieces.flatMap((piece) => ram.take(piece))
    this.#pieces = []
  }

  /** Gets other memory, with the same contents. */
  swapIn(ram: Ram, addresses: Addresses): void {
    const contents = this.#swapped ?? []
    this.#pieces = addresses.pieces(Number(this.size), this.chunk)
    let at = 0
    for (const { paddr, size } of this.#pieces) {
      ram.put(paddr, contents.slice(at, at + size / PAGE))
      at += size / PAGE
    }
    this.#swapped = undefined
  }
}
