/** What an address space does with its tables: exact unmaps, and mapping the memory of buffer objects. */
import { hex, type IoPageTable, IoPgtableError, type IotlbGather, type Leaf, type Prot } from '@io-pgtable/core'
import type { Piece } from './changes.ts'
import { invalid } from './request.ts'
import type { GpuBo } from './va.ts'

/** Contiguous memory. */
export interface Segment {
  readonly paddr: bigint
  /** Bytes. */
  readonly size: number
}

/**
 * The memory of a buffer object from `offset` on, `bytes` of it, in order. It must stay the same for as long as the object is not evicted:
 * a rollback asks again.
 */
export type Backing<O extends GpuBo> = (object: O, offset: bigint, bytes: number) => Iterable<Segment>

/** The backing of objects whose memory is contiguous, from their `paddr` on. @throws `EINVAL` for one without it */
export function contiguous(object: GpuBo & { readonly paddr?: bigint }, offset: bigint, bytes: number): Iterable<Segment> {
  if (typeof object.paddr === 'bigint') return [{ paddr: object.paddr + offset, size: bytes }]
  throw invalid('backing', `${object.name ?? 'the buffer object'} has no paddr: give the address space a \`backing\``, object.name)
}

/** What a sparse range translates to, `bytes` of it from an address on: often one page of zeros, again and again. */
export type SparseBacking = (addr: bigint, bytes: number) => Iterable<Segment>

/** What mapping takes. */
interface Mapper<O extends GpuBo> {
  readonly table: IoPageTable
  readonly backing: Backing<O>
  readonly sparse: SparseBacking | undefined
  readonly prot: (flags: number) => Prot
}

/** The leaf that translates an address. */
export function leafAt(table: IoPageTable, iova: bigint): Leaf | undefined {
  let found: Leaf | undefined
  table.forEachLeaf({ first: iova, last: iova }, (leaf) => {
    found = leaf
  })
  return found
}

/**
 * Unmaps whatever is in a range, holes or not. A callback that throws does not end it: its entry is empty by then.
 * @throws what a callback threw, when nothing goes any more
 */
export function unmapHoley(table: IoPageTable, addr: bigint, bytes: number, gather: IotlbGather): void {
  if (bytes === 0) return
  let before = Number.POSITIVE_INFINITY
  for (;;) {
    const leaves: Leaf[] = []
    table.forEachLeaf({ first: addr, last: addr + BigInt(bytes) - 1n }, (leaf) => void leaves.push(leaf))
    if (leaves.length === 0) return
    const stuck = leaves.length === before
    before = leaves.length
    try {
      for (const { iova, size } of leaves) table.unmapPages(iova, size, 1, gather)
    } catch (error) {
      if (stuck) throw error
    }
  }
}

/** Maps a piece of a buffer object, and tells `note` what was mapped: before each call all that it may map, after it what it did. */
export function mapPiece<O extends GpuBo>(to: Mapper<O>, { va, addr, range }: Piece<O>, note: (bytes: number) => void): void {
  const { table } = to
  const prot = to.prot(va.flags)
  const bytes = Number(range)
  let done = 0
  for (const { paddr, size } of merged(memoryOf(to, { va, addr, range }))) {
    if (done + size > bytes) throw wrongBacking(va.bo.name, bytes, done + size)
    for (let left = size; left > 0; ) {
      note(done + left)
      const { mapped, error } = table.mapRange(addr + BigInt(done), paddr + BigInt(size - left), left, prot)
      done += mapped
      left -= mapped
      note(done)
      if (error !== undefined) throw error
    }
  }
  if (done !== bytes) throw wrongBacking(va.bo.name, bytes, done)
}

/** The memory behind a piece. @throws `EINVAL` for a sparse one, where the driver did not say what that has */
function memoryOf<O extends GpuBo>({ backing, sparse }: Mapper<O>, { va, addr, range }: Piece<O>): Iterable<Segment> {
  if (!va.bo.sparse) return backing(va.bo.object, va.offset + (addr - va.addr), Number(range))
  if (sparse !== undefined) return sparse(addr, Number(range))
  throw invalid('sparse', 'the address space has no `sparse`: it says what a sparse range translates to', addr)
}

/** Joins segments that are neighbours: the page sizes then do not depend on how the memory was told. */
function* merged(segments: Iterable<Segment>): Generator<Segment> {
  let last: Segment | undefined
  for (const segment of segments) {
    const { paddr, size } = segment
    if (typeof paddr !== 'bigint' || !Number.isSafeInteger(size) || size <= 0)
      throw invalid('backing', `segment of ${String(size)} bytes at ${String(paddr)}: a bigint and a positive number expected`, size)
    if (last !== undefined && last.paddr + BigInt(last.size) === paddr) last = { paddr: last.paddr, size: last.size + size }
    else {
      if (last !== undefined) yield last
      last = segment
    }
  }
  if (last !== undefined) yield last
}

function wrongBacking(name: string, wanted: number, got: number): IoPgtableError {
  return new IoPgtableError('EINVAL', 'backing', `${hex(wanted)} bytes of ${name} were asked for, ${hex(got)} or more given`, {
    value: got,
  })
}
