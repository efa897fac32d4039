/**
 * ELF files as images of physical memory: ELF32 and ELF64, of both byte orders (System V ABI, chapters 4 and 5), cores and executables, where
 * each PT_LOAD segment is the memory at p_paddr. Strict: what is truncated, or says impossible things, is `EBADMSG` with its offset.
 */
import { hex } from '@io-pgtable/core'
import { MAX_SEGMENTS, PHYSICAL_LIMIT, type Segment } from './segments.ts'
import { type ByteSource, badFile, readWhole } from './source.ts'

/** The first four bytes, as a big-endian number. */
export const ELF_MAGIC = 0x7f454c46

const PT_LOAD = 1
/** ET_EXEC: firmware; ET_CORE: a core. */
const TYPES = [2, 4]
/** e_phnum of a file whose real count is sh_info of the first section header. */
const PN_XNUM = 0xffff

/** Where the fields are that the two classes place differently, bytes. */
interface Layout {
  readonly header: number
  readonly phentsize: number
  readonly shentsize: number
  readonly e_phoff: number
  readonly e_shoff: number
  /** e_phnum follows, then e_shentsize and e_shnum. */
  readonly e_phentsize: number
  readonly sh_info: number
  readonly p_offset: number
  readonly p_paddr: number
  readonly p_filesz: number
  readonly p_memsz: number
  readonly word: (view: DataView, at: number, little: boolean) => bigint
}

const ELF32: Layout = {
  header: 52,
  phentsize: 32,
  shentsize: 40,
  e_phoff: 28,
  e_shoff: 32,
  e_phentsize: 42,
  sh_info: 28,
  p_offset: 4,
  p_paddr: 12,
  p_filesz: 16,
  p_memsz: 20,
  word: (view, at, little) => BigInt(view.getUint32(at, little)),
}
const ELF64: Layout = {
  header: 64,
  phentsize: 56,
  shentsize: 64,
  e_phoff: 32,
  e_shoff: 40,
  e_phentsize: 54,
  sh_info: 44,
  p_offset: 8,
  p_paddr: 24,
  p_filesz: 32,
  p_memsz: 40,
  word: (view, at, little) => view.getBigUint64(at, little),
}

/** What the header of an ELF file says, and its program headers. */
export interface ElfFile {
  readonly layout: Layout
  readonly little: boolean
  /** e_machine. */
  readonly machine: number
  readonly is64: boolean
  /** The program headers, and where they are in the file. */
  readonly headers: DataView
  readonly at: number
  readonly count: number
}

/** Reads the headers of an ELF file. @throws `EBADMSG` */
export async function elfFile(source: ByteSource): Promise<ElfFile> {
  const identification = await readWhole(source, 0, 16, 'an ELF identification')
  const { layout, little } = layoutOf(source, identification)
  const header = await readWhole(source, 0, layout.header, 'an ELF header')
  const type = header.getUint16(16, little)
  if (!TYPES.includes(type)) throw badFile(source, 16, `e_type is ${type}, not 4 (a core) or 2 (an executable)`, type)
  const { at, count } = await programHeaders(source, { layout, little }, header)
  const headers = await readWhole(source, at, count * layout.phentsize, `${count} program headers`)
  return { layout, little, machine: header.getUint16(18, little), is64: layout === ELF64, headers, at, count }
}

/** The segments of an ELF file. @throws `EBADMSG` */
export async function elfSegments(source: ByteSource): Promise<readonly Segment[]> {
  const file = await elfFile(source)
  return headersOf(file, PT_LOAD).map((offset) => segmentOf(source, file, offset))
}

/** Offsets of the program headers of a type, among them. */
export function headersOf({ layout, little, headers, count }: ElfFile, type: number): readonly number[] {
  const all = Array.from({ length: count }, (_, i) => i * layout.phentsize)
  return all.filter((offset) => headers.getUint32(offset, little) === type)
}

type Order = Pick<ElfFile, 'layout' | 'little'>

function layoutOf(source: ByteSource, view: DataView): Order {
  const expect = (name: string, at: number, got: number, want: number): void => {
    if (got !== want) throw badFile(source, at, `${name} is 0x${got.toString(16)}, not 0x${want.toString(16)}`, got)
  }
  expect('magic', 0, view.getUint32(0), ELF_MAGIC)
  const layout = { 1: ELF32, 2: ELF64 }[view.getUint8(4)]
  if (layout === undefined) throw badFile(source, 4, `EI_CLASS is ${view.getUint8(4)}, not 1 (ELF32) or 2 (ELF64)`, view.getUint8(4))
  const data = view.getUint8(5)
  if (data !== 1 && data !== 2) throw badFile(source, 5, `EI_DATA is ${data}, not 1 (little-endian) or 2 (big-endian)`, data)
  expect('EI_VERSION', 6, view.getUint8(6), 1)
  return { layout, little: data === 1 }
}

/** Offset and number of the program headers. */
async function programHeaders(source: ByteSource, order: Order, header: DataView): Promise<{ at: number; count: number }> {
  const { layout, little } = order
  const size = header.getUint16(layout.e_phentsize, little)
  if (size !== layout.phentsize) throw badFile(source, layout.e_phentsize, `e_phentsize is ${size}, not ${layout.phentsize}`, size)
  const at = layout.word(header, layout.e_phoff, little)
  const phnum = header.getUint16(layout.e_phentsize + 2, little)
  const count = phnum === PN_XNUM ? await extendedCount(source, order, header) : phnum
  if (count === 0 || count > MAX_SEGMENTS)
    throw badFile(source, layout.e_phentsize + 2, `${count} program headers: 1 to ${MAX_SEGMENTS} expected`, count)
  if (at + BigInt(count * size) > BigInt(source.size))
    throw badFile(source, layout.e_phoff, `${count} program headers from ${hex(at)} on end beyond the file of ${source.size} bytes`, at)
  return { at: Number(at), count }
}

/** PN_XNUM: the count is sh_info of section header 0. */
async function extendedCount(source: ByteSource, { layout, little }: Order, header: DataView): Promise<number> {
  const at = layout.word(header, layout.e_shoff, little)
  const size = header.getUint16(layout.e_phentsize + 4, little)
  if (at === 0n || size !== layout.shentsize)
    throw badFile(source, layout.e_shoff, `e_phnum is PN_XNUM, and there is no section header of ${layout.shentsize} bytes`, at)
  if (at + BigInt(size) > BigInt(source.size))
    throw badFile(source, layout.e_shoff, `the section header at ${hex(at)} ends beyond the file of ${source.size} bytes`, at)
  return (await readWhole(source, Number(at), size, 'a section header')).getUint32(layout.sh_info, little)
}

function segmentOf(source: ByteSource, { layout, little, headers, at: start }: ElfFile, at: number): Segment {
  const place = start + at
  const [offset, paddr, filesz, memsz] = [layout.p_offset, layout.p_paddr, layout.p_filesz, layout.p_memsz].map((field) =>
    layout.word(headers, at + field, little),
  ) as [bigint, bigint, bigint, bigint]
  if (filesz > memsz) throw badFile(source, place + layout.p_filesz, `p_filesz ${hex(filesz)} is more than p_memsz ${hex(memsz)}`, filesz)
  if (paddr + memsz > PHYSICAL_LIMIT)
    throw badFile(source, place + layout.p_paddr, `p_paddr ${hex(paddr)} of ${hex(memsz)} bytes ends beyond 2^56`, paddr)
  // p_offset of a segment without bytes in the file means nothing
  if (filesz > 0n && offset + filesz > BigInt(source.size))
    throw badFile(
      source,
      place + layout.p_offset,
      `p_offset ${hex(offset)} + ${hex(filesz)} is beyond the file of ${source.size} bytes`,
      offset,
    )
  return { paddr, size: memsz, source, offset: filesz === 0n ? 0 : Number(offset), fileSize: Number(filesz) }
}
