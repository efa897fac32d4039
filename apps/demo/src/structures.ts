/** Arrays of structures in memory that somebody else wrote. A structure is read as one wide number, so that a field has the manual's bit numbers. */
import type { ReadMemory } from '@io-pgtable/core'

export interface Structure {
  readonly index: number
  readonly address: bigint
  readonly raw: bigint
}

/** Reads `count` structures of `bytes` bytes, a multiple of eight. The first that is not known ends it: `unknown` is told its index. */
export function* structures(
  read: ReadMemory,
  base: bigint,
  bytes: number,
  count: number,
  unknown: (index: number) => void,
): Generator<Structure> {
  const memory = read(base, count * bytes) ?? new Uint8Array()
  const known = Math.floor(memory.byteLength / bytes)
  for (let index = 0; index < known; index++) {
    const at = index * bytes
    yield { index, address: base + BigInt(at), raw: wideNumber(memory.subarray(at, at + bytes)) }
  }
  if (known < count) unknown(known)
}

/** Little-endian bytes, a multiple of eight of them, as one number. */
export function wideNumber(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let value = 0n
  for (let at = bytes.byteLength - 8; at >= 0; at -= 8) value = (value << 64n) | view.getBigUint64(at, true)
  return value
}
