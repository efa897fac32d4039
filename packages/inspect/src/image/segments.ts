/** The pieces of physical memory that an image knows: sorted, apart from one another, found by address. */
import { hex, IoPgtableError } from '@io-pgtable/core'
import type { ByteSource } from './source.ts'

/** Known physical memory: `fileSize` bytes of the source from `offset` on, then zeroes up to `size`. */
export interface Segment {
  readonly paddr: bigint
  /** Bytes. */
  readonly size: bigint
  readonly source: ByteSource
  readonly offset: number
  /** Bytes; at most `size`. */
  readonly fileSize: number
}

/** No format and no manual has a longer physical address than 56 bits. */
export const PHYSICAL_LIMIT: bigint = 1n << 56n
/** More segments than any memory is torn into; they would fill ours. */
export const MAX_SEGMENTS: number = 2 ** 20

/** Sorts segments and leaves out empty ones. @throws `EBADMSG` when two overlap, one is beyond 2^56, or one is not in its file */
export function sortSegments(segments: readonly Segment[]): readonly Segment[] {
  const sorted = segments.filter((segment) => segment.size > 0n).sort((a, b) => (a.paddr < b.paddr ? -1 : 1))
  if (sorted.length > MAX_SEGMENTS)
    throw new IoPgtableError('EBADMSG', 'image', `more than ${MAX_SEGMENTS} segments`, { value: sorted.length })
  for (const [i, segment] of sorted.entries()) {
    const { paddr, size, source, offset, fileSize } = segment
    if (paddr < 0n || paddr + size > PHYSICAL_LIMIT) throw bad(segment, `memory ${hex(paddr)} of ${hex(size)} bytes ends beyond 2^56`)
    if (!(fileSize >= 0) || BigInt(fileSize) > size || !(offset >= 0) || (fileSize > 0 && offset + fileSize > source.size))
      throw bad(segment, `memory ${hex(paddr)}: bytes ${offset} + ${fileSize} end beyond the file of ${source.size} bytes`)
    const before = sorted[i - 1]
    if (before !== undefined && before.paddr + before.size > paddr)
      throw bad(
        segment,
        `memory ${hex(paddr)} of ${source.name} overlaps ${hex(before.paddr)} of ${hex(before.size)} bytes (${before.source.name})`,
      )
  }
  return sorted
}

function bad({ source, paddr }: Segment, message: string): IoPgtableError {
  return new IoPgtableError('EBADMSG', source.name, message, { value: paddr })
}

/** The segment that holds `paddr`; -1 for unknown memory. */
export function findSegment(segments: readonly Segment[], paddr: bigint): number {
  const index = findFrom(segments, paddr)
  const segment = segments[index]
  return segment === undefined || segment.paddr > paddr ? -1 : index
}

/** The first segment that ends behind `paddr`, by bisection. */
export function findFrom(segments: readonly Segment[], paddr: bigint): number {
  let low = 0
  let high = segments.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const { paddr: start, size } = segments[middle] as Segment
    if (start + size > paddr) high = middle
    else low = middle + 1
  }
  return low
}
