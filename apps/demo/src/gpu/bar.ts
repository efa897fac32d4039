/** A VA space as a bar: which buffer is where, wholly (upper case) or in part. */
import type { GpuVm } from '@io-pgtable/gpuvm'
import type { Buffer } from './driver.ts'

export const CELLS = 56
export const LEGEND = "Upper case: the whole cell; ▒ the kernel's, + several, - its memory is away"

/** A character for each of the equal parts of the VA space: the first letter of a buffer's name. */
export function barOf(vm: GpuVm<Buffer>): string {
  const ends = Array.from({ length: CELLS + 1 }, (_, i) => vm.start + (vm.range * BigInt(i)) / BigInt(CELLS))
  return ends.slice(1).reduce((bar, end, i) => bar + cellOf(vm, ends[i] ?? end, end), '')
}

function cellOf(vm: GpuVm<Buffer>, first: bigint, end: bigint): string {
  const found = [...vm.mappings()].filter((va) => va.addr < end && va.end > first)
  const [only] = found
  if (only === undefined) return vm.reserved.some(({ addr, range }) => addr < end && addr + range > first) ? '▒' : '·'
  if (new Set(found.map(({ bo }) => bo)).size > 1) return '+'
  if (only.bo.evicted) return '-'
  const whole = found.length === 1 && only.addr <= first && only.end >= end
  const [letter = '?'] = only.bo.object.name
  return whole ? letter.toUpperCase() : letter
}
