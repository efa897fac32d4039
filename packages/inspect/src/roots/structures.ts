/** Structures in memory that somebody else wrote. A structure is read as one wide number, so that a field has the manual's bit numbers. */
import type { Piece, ReadMemory } from '@io-pgtable/core'

export interface Structure {
  readonly index: number
  readonly address: bigint
  readonly raw: bigint
}

/** Field places of a structure. */
export type Layout<F extends string> = Readonly<Record<F, readonly Piece[]>>

/** Bytes that are read at once: larger arrays are read in steps. */
const STEP = 2 ** 16

/** Of an array of `count` structures of `bytes` bytes, those from `first` on that one read gives; `known` is false where memory is not. */
export function readStructures(
  read: ReadMemory,
  base: bigint,
  bytes: number,
  first: number,
  count: number,
): { readonly list: readonly Structure[]; readonly known: boolean } {
  const want = Math.min(count - first, Math.floor(STEP / bytes))
  const memory = read(base + BigInt(first * bytes), want * bytes) ?? new Uint8Array()
  const list = Array.from({ length: Math.floor(memory.byteLength / bytes) }, (_, i): Structure => {
    const address = base + BigInt((first + i) * bytes)
    return { index: first + i, address, raw: wideNumber(memory.subarray(i * bytes, (i + 1) * bytes)) }
  })
  return { list, known: list.length === want }
}

/** One structure; undefined where memory is unknown. */
export function readStructure(read: ReadMemory, address: bigint, bytes: number): bigint | undefined {
  const memory = read(address, bytes)
  return memory === undefined || memory.byteLength < bytes ? undefined : wideNumber(memory)
}

/** Little-endian bytes, a multiple of eight of them, as one number. */
export function wideNumber(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let value = 0n
  for (let at = bytes.byteLength - 8; at >= 0; at -= 8) value = (value << 64n) | view.getBigUint64(at, true)
  return value
}

/** The 64-bit words of a structure. */
export function wordsOfStructure(raw: bigint, bytes: number): readonly bigint[] {
  return Array.from({ length: bytes / 8 }, (_, i) => BigInt.asUintN(64, raw >> BigInt(64 * i)))
}
