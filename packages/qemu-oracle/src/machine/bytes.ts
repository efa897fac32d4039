/** Little-endian words as bytes, and bytes that no two calls share: what guests and devices are fed with. */

/** 64-bit words, little-endian. */
export function le64(...words: readonly (bigint | number)[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(8 * words.length))
  for (const [i, word] of words.entries()) bytes.setBigUint64(8 * i, BigInt.asUintN(64, BigInt(word)), true)
  return new Uint8Array(bytes.buffer)
}

/** 32-bit words, little-endian: guest code. */
export function le32(...words: readonly number[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(4 * words.length))
  for (const [i, word] of words.entries()) bytes.setUint32(4 * i, word, true)
  return new Uint8Array(bytes.buffer)
}

/** The 64-bit word at a byte offset. */
export function word64(bytes: Uint8Array, offset: number): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(offset, true)
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

/** Pseudo-random numbers of a seed: xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled"). */
export class Random {
  readonly seed: bigint
  #state: bigint

  constructor(seed: bigint) {
    this.seed = seed
    this.#state = BigInt.asUintN(64, seed * 0x9e37_79b9_7f4a_7c15n) || 1n
  }

  /** 64 bits. */
  next(): bigint {
    let x = this.#state
    x ^= x >> 12n
    x = BigInt.asUintN(64, x ^ (x << 25n))
    x ^= x >> 27n
    this.#state = x
    return BigInt.asUintN(64, x * 0x2545_f491_4f6c_dd1dn)
  }

  /** 0 to `limit` - 1. */
  below(limit: bigint): bigint {
    return (this.next() * limit) >> 64n
  }

  int(limit: number): number {
    return Number(this.below(BigInt(limit)))
  }

  pick<T>(list: readonly T[]): T {
    const item = list[this.int(list.length)]
    if (item === undefined) throw new Error('nothing to pick from')
    return item
  }

  bytes(length: number): Uint8Array {
    return le64(...Array.from({ length: Math.ceil(length / 8) }, () => this.next())).slice(0, length)
  }
}
