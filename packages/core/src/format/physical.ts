/** Physical memory as a format and a walker see it. */

/**
 * Reads `byteLength` bytes of physical memory at `paddr`; undefined where the memory is unknown. The walker asks for whole tables,
 * and may be given less than it asked for: what is missing is then unknown.
 */
export type ReadMemory = (paddr: bigint, byteLength: number) => Uint8Array | undefined

/** Bytes that stand in memory. */
export interface MemoryPiece {
  readonly paddr: bigint
  readonly bytes: Uint8Array
}

/** The memory that some pieces are, for `rootsFromRegs`: nothing else is known. */
export function memoryOf(pieces: readonly MemoryPiece[]): ReadMemory {
  return (paddr, byteLength) => {
    const piece = pieces.find(({ paddr: first, bytes }) => paddr >= first && paddr < first + BigInt(bytes.byteLength))
    if (piece === undefined) return undefined
    const from = Number(paddr - piece.paddr)
    return piece.bytes.subarray(from, from + byteLength)
  }
}
