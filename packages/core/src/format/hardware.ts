/** What a format sees of hardware: physical memory, and whose registers it takes. */

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

/** A translation regime, by the name that `rootsFromRegs` knows it by. */
export interface Regime {
  /** By the manual's names there, lower case: the register that takes their place. `{ ttbr0_el2: 'ttbr0' }`. */
  readonly registers: Readonly<Record<string, string>>
  /** The tables of that regime are of another format. */
  readonly format?: string
  /** The value of the register `regime` that says so; left out where the registers alone do. */
  readonly value?: string
}
