/** Opening images: by what a file begins with, or as it is said to be. */
import { IoPgtableError } from '@io-pgtable/core'
import { ELF_MAGIC, elfSegments } from './elf.ts'
import { foreignOf, LONGEST_MAGIC } from './foreign.ts'
import { MemoryImage } from './image.ts'
import { LIME_MAGIC, limeSegments } from './lime.ts'
import type { Segment } from './segments.ts'
import { type ByteSource, badFile } from './source.ts'

export type ImageFormat = 'elf' | 'lime' | 'raw'

export interface ImageOptions {
  /** Default `auto`: ELF and LiME by their magic, everything else raw, but for files that are known to be no memory as it stands. */
  readonly format?: ImageFormat | 'auto'
  /** Physical address of the first byte of a raw file. Several raw files lie one behind the other. */
  readonly base?: bigint
  /** A sparse raw file instead: which of its bytes are which memory; all other memory is unknown. */
  readonly pieces?: readonly { readonly paddr: bigint; readonly offset: number; readonly size: number }[]
  /** Bytes of memory for cached pages. Default 64 MiB. */
  readonly cacheBytes?: number
}

/**
 * Opens one file, or several that are one memory together. Only headers are read.
 * @throws `EBADMSG` for a file that is truncated or says impossible things, and for memory that two of them have; `EINVAL` for a raw file
 * without a base
 */
export async function openImage(sources: ByteSource | readonly ByteSource[], options: ImageOptions = {}): Promise<MemoryImage> {
  const segments: Segment[] = []
  let base = options.base
  for (const source of 'read' in sources ? [sources] : sources) {
    const format = options.format === undefined || options.format === 'auto' ? await formatOf(source) : options.format
    if (format === 'elf') segments.push(...(await elfSegments(source)))
    else if (format === 'lime') segments.push(...(await limeSegments(source)))
    else if (options.pieces !== undefined) segments.push(...sparse(source, options.pieces))
    else {
      if (base === undefined)
        throw new IoPgtableError('EINVAL', source.name, 'a raw file needs a base: the physical address of its first byte')
      segments.push({ paddr: base, size: BigInt(source.size), source, offset: 0, fileSize: source.size })
      base += BigInt(source.size)
    }
  }
  return new MemoryImage(segments, options.cacheBytes === undefined ? {} : { cacheBytes: options.cacheBytes })
}

/** What a file is by its first bytes. @throws `EBADMSG` for one that is a dump of a kind that is not read: its bytes are no memory */
export async function formatOf(source: ByteSource): Promise<ImageFormat> {
  const bytes = await source.read(0, Math.min(source.size, LONGEST_MAGIC))
  if (bytes.byteLength < 4) return 'raw'
  const magic = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0)
  if (magic === ELF_MAGIC) return 'elf'
  if (magic === LIME_MAGIC) return 'lime'
  const foreign = foreignOf(bytes)
  if (foreign === undefined) return 'raw'
  const { name, advice } = foreign
  const message = `${name}, which is not read: an ELF core, LiME or raw memory expected${advice === undefined ? '' : ` (${advice})`}`
  throw badFile(source, 0, `${message}; if it is raw memory all the same, say that its format is raw`, BigInt(magic))
}

function sparse(source: ByteSource, pieces: NonNullable<ImageOptions['pieces']>): Segment[] {
  return pieces.map(({ paddr, offset, size }) => ({ paddr, size: BigInt(size), source, offset, fileSize: size }))
}
