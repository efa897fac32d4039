/** Small memories that tests fill by hand. */
import { seededIntegers } from '@io-pgtable/conformance'
import type { ReadMemory } from '@io-pgtable/core'

/** Pages of 4 KiB by address; all other memory is unknown. */
export class Pages {
  readonly #pages: Map<bigint, Uint8Array> = new Map()

  /** Writes 64-bit words; pages come into being as zeroes. */
  words(paddr: bigint, words: readonly bigint[]): this {
    for (const [i, word] of words.entries()) this.#view(paddr + BigInt(8 * i)).setBigUint64(0, BigInt.asUintN(64, word), true)
    return this
  }
  words32(paddr: bigint, words: readonly (number | bigint)[]): this {
    for (const [i, word] of words.entries()) this.#view(paddr + BigInt(4 * i)).setUint32(0, Number(word), true)
    return this
  }
  zero(paddr: bigint, bytes: number): this {
    for (let at = 0; at < bytes; at += 4096) this.#page(paddr + BigInt(at))
    return this
  }
  get list(): readonly (readonly [bigint, Uint8Array])[] {
    return [...this.#pages].sort(([a], [b]) => (a < b ? -1 : 1))
  }

  readonly read: ReadMemory = (paddr, byteLength) => {
    const bytes = new Uint8Array(byteLength)
    let known = 0
    while (known < byteLength) {
      const address = paddr + BigInt(known)
      const page = this.#pages.get(address & ~0xfffn)
      if (page === undefined) break
      const part = page.subarray(Number(address & 0xfffn)).subarray(0, byteLength - known)
      bytes.set(part, known)
      known += part.byteLength
    }
    return known === 0 && byteLength > 0 ? undefined : bytes.subarray(0, known)
  }

  #page(paddr: bigint): Uint8Array {
    const base = paddr & ~0xfffn
    let page = this.#pages.get(base)
    if (page === undefined) this.#pages.set(base, (page = new Uint8Array(4096)))
    return page
  }
  #view(paddr: bigint): DataView {
    return new DataView(this.#page(paddr).buffer, Number(paddr & 0xfffn))
  }
}

/** Integers below 2^32 that a seed fixes. */
export function random(seed: number): () => number {
  const below = seededIntegers(seed)
  return () => below(2 ** 32)
}
