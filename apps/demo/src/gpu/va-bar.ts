/** A VA space as a bar of letters: which buffer is where, wholly (upper case) or in part. */
import type { GpuVm } from '@io-pgtable/gpuvm'
import type { Buffer } from './memory.ts'

/** Cells of a bar. */
export const CELLS = 64
/** The kernel's range, several buffers in one cell, nothing, and a buffer whose memory is away. */
export const SIGNS = { kernel: '▒', several: '+', nothing: '·', evicted: '-' } as const

/** Letters of buffers, in the order in which they are named. */
export function lettersOf(names: readonly string[]): ReadonlyMap<string, string> {
  return new Map(names.map((name, i) => [name, String.fromCharCode(97 + (i % 26))]))
}

/** A character for each of 64 equal parts of the VA space. */
export function barOf(vm: GpuVm<Buffer>, letters: ReadonlyMap<string, string>): string {
  const ends = Array.from({ length: CELLS + 1 }, (_, i) => vm.start + (vm.range * BigInt(i)) / BigInt(CELLS))
  return ends
    .slice(0, CELLS)
    .map((first, i) => cellOf(vm, letters, first, ends[i + 1] ?? first))
    .join('')
}

function cellOf(vm: GpuVm<Buffer>, letters: ReadonlyMap<string, string>, first: bigint, end: bigint): string {
  const granule = BigInt(vm.granule)
  const from = first - (first % granule)
  const upTo = end % granule === 0n ? end : end + granule - (end % granule)
  const bytes = new Map<Buffer, bigint>()
  for (const va of vm.mappings(from, upTo - from)) {
    const part = (va.end < end ? va.end : end) - (va.addr > first ? va.addr : first)
    if (part > 0n) bytes.set(va.bo.object, (bytes.get(va.bo.object) ?? 0n) + part)
  }
  const [one, ...more] = bytes
  if (one === undefined) return vm.reserved.some(({ addr, range }) => addr < end && first < addr + range) ? SIGNS.kernel : SIGNS.nothing
  if (more.length > 0) return SIGNS.several
  const [buffer, size] = one
  if (!buffer.resident) return SIGNS.evicted
  const letter = letters.get(buffer.name) ?? '?'
  return size === end - first ? letter.toUpperCase() : letter
}
