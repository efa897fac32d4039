/** A tiny assembler for the guest code of the oracles: 32-bit words, labels, and the branches between them. No toolchain is needed. */

/** Encodes a word that needs a label's distance in bytes from the word itself. */
export type Relative = (distance: number) => number

type Slot = number | { readonly label: string; readonly encode: Relative }

/** Collects words in order; `bytes` resolves the labels. */
export class Assembler {
  readonly #slots: Slot[] = []
  readonly #labels = new Map<string, number>()

  emit(...words: readonly number[]): this {
    this.#slots.push(...words)
    return this
  }

  label(name: string): this {
    if (this.#labels.has(name)) throw new Error(`label ${name} is there already`)
    this.#labels.set(name, this.#slots.length * 4)
    return this
  }

  /** A word that depends on where `label` is, before or after it. */
  to(label: string, encode: Relative): this {
    this.#slots.push({ label, encode })
    return this
  }

  /** Fills with zeros up to a multiple of `bytes`. */
  align(bytes: number): this {
    while ((this.#slots.length * 4) % bytes !== 0) this.#slots.push(0)
    return this
  }

  words(): readonly number[] {
    return this.#slots.map((slot, i) => (typeof slot === 'number' ? slot >>> 0 : slot.encode(this.#at(slot.label) - i * 4) >>> 0))
  }

  /** The words as little-endian bytes. */
  bytes(): Uint8Array {
    const words = this.words()
    const out = new DataView(new ArrayBuffer(words.length * 4))
    for (const [i, word] of words.entries()) out.setUint32(i * 4, word, true)
    return new Uint8Array(out.buffer)
  }

  #at(label: string): number {
    const at = this.#labels.get(label)
    if (at === undefined) throw new Error(`no label ${label}`)
    return at
  }
}
