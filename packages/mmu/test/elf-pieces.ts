/** The segments of an ELF core file as pieces of physical memory. */
import type { MemoryPiece } from '../src/index.ts'

export function elfPieces(bytes: Uint8Array): MemoryPiece[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const at = Number(view.getBigUint64(32, true))
  const size = view.getUint16(54, true)
  const count = view.getUint16(56, true)
  const pieces: MemoryPiece[] = []
  for (let i = 0; i < count; i++) {
    const head = at + i * size
    const [offset, , base] = [8, 16, 24].map((field) => view.getBigUint64(head + field, true)) as [bigint, bigint, bigint]
    const length = Number(view.getBigUint64(head + 32, true))
    // PT_LOAD; copied, so that it is aligned
    if (view.getUint32(head, true) === 1 && length > 0) pieces.push({ base, bytes: bytes.slice(Number(offset), Number(offset) + length) })
  }
  return pieces
}
