/** What a value looks like that is no descriptor: text, a pattern of freed or poisoned memory, a pointer of a kernel. */
import { hex, type LevelNode } from '@io-pgtable/core'

/** Words for people; none for a value that looks like a descriptor. */
export function hintsOf({ entryBytes }: LevelNode, raw: bigint): readonly string[] {
  if (raw === 0n) return []
  const bytes = Array.from({ length: entryBytes }, (_, i) => Number((raw >> BigInt(8 * i)) & 0xffn))
  return [textHint(bytes), patternHint(bytes, raw), pointerHint(bytes, raw)].filter((hint) => hint !== undefined)
}

/** Letters in memory order, with nothing but zeros behind them. */
function textHint(bytes: readonly number[]): string | undefined {
  const text = String.fromCharCode(...bytes).replace(/\0+$/, '')
  return new Set(text).size > 2 && text.length >= bytes.length - 2 && /^[\x20-\x7e\t\n\r]+$/.test(text)
    ? `it looks like text: ${JSON.stringify(text)}`
    : undefined
}

const PATTERNS: Readonly<Record<number, string>> = {
  90: 'memory that is in use and not written yet (Linux POISON_INUSE)',
  107: 'freed memory (Linux POISON_FREE)',
  204: 'red zone, or breakpoint instructions',
  255: 'nothing: erased flash, or a bus that does not answer',
}

function patternHint(bytes: readonly number[], raw: bigint): string | undefined {
  const [first = 0] = bytes
  const same = bytes.slice(1, -1).every((byte) => byte === bytes[1]) && bytes[1] !== 0
  // the last byte of poisoned memory differs, and the first may have counted
  if (same && (first === bytes[1] || bytes.at(-1) === bytes[1]))
    return `it looks like a fill pattern, 0x${(bytes[1] ?? 0).toString(16)}: ${PATTERNS[bytes[1] ?? 0] ?? 'poison'}`
  const top = raw >> BigInt(8 * bytes.length - 16)
  if (top === 0xdeadn) return `it looks like poison: ${hex(raw)} (a list entry that was deleted, Linux LIST_POISON, or a marker)`
  return top === 0xbaadn || top === 0xfeedn || top === 0xcafen ? `it looks like poison: ${hex(raw)}` : undefined
}

/** The upper half of a 64-bit address space, and no pattern. */
function pointerHint(bytes: readonly number[], raw: bigint): string | undefined {
  if (bytes.length < 8 || raw >> 48n !== 0xffffn || bytes.every((byte) => byte === 0xff)) return undefined
  return `it looks like a pointer of a kernel: ${hex(raw)}`
}
