/**
 * LiME files (Linux Memory Extractor, "lime" format version 1): ranges of memory one behind the other, each after a header of 32 bytes:
 * magic, version, first and last physical address, eight reserved bytes.
 */
import { hex } from '@io-pgtable/core'
import { PHYSICAL_LIMIT, type Segment } from './segments.ts'
import { type ByteSource, badFile, readWhole } from './source.ts'

/** The first four bytes, "EMiL", as a big-endian number. */
export const LIME_MAGIC = 0x454d_694c

const HEADER = 32
const MAX_RANGES = 2 ** 16

/** The ranges of a LiME file. @throws `EBADMSG` */
export async function limeSegments(source: ByteSource): Promise<readonly Segment[]> {
  const segments: Segment[] = []
  for (let at = 0; at < source.size; ) {
    if (segments.length === MAX_RANGES) throw badFile(source, at, `more than ${MAX_RANGES} ranges`)
    const header = await readWhole(source, at, HEADER, 'a LiME header')
    const segment = rangeOf(source, header, at)
    segments.push(segment)
    at += HEADER + segment.fileSize
  }
  if (segments.length === 0) throw badFile(source, 0, 'an empty file')
  return segments
}

function rangeOf(source: ByteSource, header: DataView, at: number): Segment {
  const magic = header.getUint32(0)
  if (magic !== LIME_MAGIC) throw badFile(source, at, `magic is 0x${magic.toString(16)}, not 0x${LIME_MAGIC.toString(16)}`, magic)
  const version = header.getUint32(4, true)
  if (version !== 1) throw badFile(source, at + 4, `version is ${version}, not 1`, version)
  const first = header.getBigUint64(8, true)
  const last = header.getBigUint64(16, true)
  if (last < first || last >= PHYSICAL_LIMIT) throw badFile(source, at + 8, `no range of memory is ${hex(first)} to ${hex(last)}`, first)
  const size = last - first + 1n
  if (BigInt(at + HEADER) + size > BigInt(source.size))
    throw badFile(source, at + 16, `the range ${hex(first)} to ${hex(last)} ends beyond the file of ${source.size} bytes`, last)
  return { paddr: first, size, source, offset: at + HEADER, fileSize: Number(size) }
}
