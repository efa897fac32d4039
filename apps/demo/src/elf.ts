/**
 * ELF cores as images of physical memory: ELF32 and ELF64, little endian (System V ABI, chapters 4 and 5), where each PT_LOAD segment is
 * the memory at p_paddr. Strict: a file that is truncated, or that says impossible things, is `EBADMSG` with the value that is wrong.
 */
import { hex, IoPgtableError, type ReadMemory } from '@io-pgtable/core'

/** Known physical memory: `bytes`, then zeroes up to `end` (p_filesz < p_memsz). */
export interface Segment {
  readonly paddr: bigint
  /** First physical address after the segment. */
  readonly end: bigint
  readonly bytes: Uint8Array
}

/** Physical memory of which only parts are known. */
export interface MemoryImage {
  /** In the order of their addresses; they do not overlap. */
  readonly segments: readonly Segment[]
  /** Bytes of memory that are known. */
  readonly known: bigint
  /** Copies memory; the bytes up to the first unknown one, undefined when that is the first. */
  readonly read: ReadMemory
}

/** No format and no manual has a longer physical address than 56 bits. */
const PHYSICAL_LIMIT = 1n << 56n
/** No table is larger than this, bytes. */
const READ_LIMIT = 2 ** 30

const PT_LOAD = 1
const ET_CORE = 4
/** e_phnum of a file whose real count is elsewhere; no core of page tables has so many segments. */
const PN_XNUM = 0xffff

/** Where the header fields are that the two classes place differently, bytes. */
interface Layout {
  readonly header: number
  readonly phentsize: number
  readonly e_phoff: number
  readonly e_phentsize: number
  readonly p_offset: number
  readonly p_paddr: number
  readonly p_filesz: number
  readonly p_memsz: number
  readonly word: (view: DataView, at: number) => bigint
}

const ELF32: Layout = {
  header: 52,
  phentsize: 32,
  e_phoff: 28,
  e_phentsize: 42,
  p_offset: 4,
  p_paddr: 12,
  p_filesz: 16,
  p_memsz: 20,
  word: (view, at) => BigInt(view.getUint32(at, true)),
}
const ELF64: Layout = {
  header: 64,
  phentsize: 56,
  e_phoff: 32,
  e_phentsize: 54,
  p_offset: 8,
  p_paddr: 24,
  p_filesz: 32,
  p_memsz: 40,
  word: (view, at) => view.getBigUint64(at, true),
}

/**
 * Reads an ELF core.
 * @throws `EBADMSG` for a file that is not one, is truncated, or whose segments overlap or lie outside of the file.
 */
export function readElfCore(file: Uint8Array): MemoryImage {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const layout = layoutOf(view)
  const segments = programHeaders(view, layout)
    .map((at) => segmentOf(file, view, layout, at))
    .filter((segment) => segment.end > segment.paddr)
    .sort((a, b) => (a.paddr < b.paddr ? -1 : 1))
  refuseOverlaps(segments)
  const known = segments.reduce((sum, { paddr, end }) => sum + end - paddr, 0n)
  return { segments, known, read: (paddr, byteLength) => readSegments(segments, paddr, byteLength) }
}

/** Checks the identification and the header. */
function layoutOf(view: DataView): Layout {
  if (view.byteLength < 16) throw bad(`a file of ${view.byteLength} bytes is too short for an ELF identification`, view.byteLength)
  expect('magic', view.getUint32(0), 0x7f454c46)
  const layout = { 1: ELF32, 2: ELF64 }[view.getUint8(4)]
  if (layout === undefined) throw bad(`EI_CLASS is ${view.getUint8(4)}, not 1 (ELF32) or 2 (ELF64)`, view.getUint8(4))
  expect('EI_DATA', view.getUint8(5), 1)
  expect('EI_VERSION', view.getUint8(6), 1)
  if (view.byteLength < layout.header) throw bad(`a file of ${view.byteLength} bytes is too short for an ELF header`, view.byteLength)
  expect('e_type', view.getUint16(16, true), ET_CORE)
  return layout
}

/** File offsets of the PT_LOAD program headers. */
function programHeaders(view: DataView, layout: Layout): number[] {
  expect('e_phentsize', view.getUint16(layout.e_phentsize, true), layout.phentsize)
  const count = view.getUint16(layout.e_phentsize + 2, true)
  if (count === 0 || count === PN_XNUM) throw bad(`e_phnum is ${count}: a core has 1 to ${PN_XNUM - 1} segments`, count)
  const first = layout.word(view, layout.e_phoff)
  if (first + BigInt(count * layout.phentsize) > BigInt(view.byteLength))
    throw bad(`${count} program headers from ${hex(first)} end beyond the file of ${hex(BigInt(view.byteLength))} bytes`, first)
  return Array.from({ length: count }, (_, i) => Number(first) + i * layout.phentsize).filter((at) => view.getUint32(at, true) === PT_LOAD)
}

function segmentOf(file: Uint8Array, view: DataView, layout: Layout, at: number): Segment {
  const [offset, paddr, filesz, memsz] = [layout.p_offset, layout.p_paddr, layout.p_filesz, layout.p_memsz].map((field) =>
    layout.word(view, at + field),
  ) as [bigint, bigint, bigint, bigint]
  if (filesz > memsz) throw bad(`segment ${hex(paddr)}: p_filesz ${hex(filesz)} is more than p_memsz ${hex(memsz)}`, filesz)
  if (paddr + memsz > PHYSICAL_LIMIT) throw bad(`segment ${hex(paddr)} of ${hex(memsz)} bytes ends beyond 2^56`, paddr)
  // p_offset of a segment without bytes in the file means nothing
  if (filesz > 0n && offset + filesz > BigInt(file.byteLength))
    throw bad(
      `segment ${hex(paddr)}: bytes ${hex(offset)} + ${hex(filesz)} end beyond the file of ${hex(BigInt(file.byteLength))} bytes`,
      offset,
    )
  const bytes = filesz === 0n ? new Uint8Array() : file.subarray(Number(offset), Number(offset + filesz))
  return { paddr, end: paddr + memsz, bytes }
}

function refuseOverlaps(segments: readonly Segment[]): void {
  for (const [i, segment] of segments.entries()) {
    const before = segments[i - 1]
    if (before !== undefined && before.end > segment.paddr)
      throw bad(`segment ${hex(segment.paddr)} overlaps segment ${hex(before.paddr)}, which ends at ${hex(before.end)}`, segment.paddr)
  }
}

/** Memory at `paddr`, across segments that adjoin. */
function readSegments(segments: readonly Segment[], paddr: bigint, byteLength: number): Uint8Array | undefined {
  if (!Number.isSafeInteger(byteLength) || byteLength < 0 || byteLength > READ_LIMIT)
    throw new IoPgtableError('EINVAL', 'read', `byteLength is ${byteLength}, not 0 to ${READ_LIMIT}`, { value: byteLength })
  const first = findSegment(segments, paddr)
  const run: Segment[] = []
  let end = paddr
  for (let i = first; i !== -1 && i < segments.length && end < paddr + BigInt(byteLength); i++) {
    const segment = segments[i] as Segment
    if (i > first && segment.paddr !== end) break
    run.push(segment)
    end = segment.end
  }
  if (run.length === 0) return undefined
  const bytes = new Uint8Array(Math.min(byteLength, Number(end - paddr)))
  for (const segment of run) copy(segment, paddr, bytes)
  return bytes
}

/** Copies what `segment` has of the memory from `paddr` on; `into` is zero before, as the segment's end is that is not in the file. */
function copy(segment: Segment, paddr: bigint, into: Uint8Array): void {
  const at = Number(segment.paddr - paddr)
  const part = at < 0 ? segment.bytes.subarray(-at) : segment.bytes
  const start = Math.max(0, at)
  into.set(part.subarray(0, into.byteLength - start), start)
}

/** Index of the segment that holds `paddr`; -1 for unknown memory. */
function findSegment(segments: readonly Segment[], paddr: bigint): number {
  let low = 0
  let high = segments.length - 1
  while (low <= high) {
    const middle = (low + high) >>> 1
    const segment = segments[middle] as Segment
    if (paddr < segment.paddr) high = middle - 1
    else if (paddr >= segment.end) low = middle + 1
    else return middle
  }
  return -1
}

function expect(name: string, got: number, want: number): void {
  if (got !== want) throw bad(`${name} is 0x${got.toString(16)}, not 0x${want.toString(16)}`, got)
}

function bad(message: string, value: bigint | number): IoPgtableError {
  return new IoPgtableError('EBADMSG', 'readElfCore', message, { value })
}
