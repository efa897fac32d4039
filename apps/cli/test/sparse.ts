/** Raw files that hold a few words of a memory, as somebody would make them from a log. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Physical address, value, bytes. */
export type Word = readonly [paddr: bigint, value: bigint, bytes?: 4 | 8]

const folder = mkdtempSync(join(tmpdir(), 'iopt-sparse-'))
let files = 0

/** The options that give a command this memory. With `page`, whole pages around the words, zero elsewhere. */
export function sparseImage(words: readonly Word[], page?: 4096): string[] {
  const parts = new Map<bigint, Buffer>()
  for (const [paddr, value, bytes = 8] of words) {
    const base = page === undefined ? paddr : paddr & ~BigInt(page - 1)
    const part = parts.get(base) ?? Buffer.alloc(page ?? bytes)
    parts.set(base, part)
    if (bytes === 8) part.writeBigUInt64LE(value, Number(paddr - base))
    else part.writeUInt32LE(Number(value), Number(paddr - base))
  }
  const sorted = [...parts].sort(([a], [b]) => (a < b ? -1 : 1))
  const file = join(folder, `${files++}.bin`)
  writeFileSync(file, Buffer.concat(sorted.map(([, part]) => part)))
  let offset = 0
  const pieces = sorted.flatMap(([base, part]) => {
    const piece = `0x${base.toString(16)}:${offset}:${part.length}`
    offset += part.length
    return ['--piece', piece]
  })
  return ['--image', file, '--image-format', 'raw', ...pieces]
}
