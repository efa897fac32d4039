/** Where bytes come from: a file, a browser's Blob, an array. An image never asks for all of them. */
import { IoPgtableError } from '@io-pgtable/core'

/** Random access to bytes that may be many: a file of 100 GB is fine. */
export interface ByteSource {
  /** For messages: a file's name. */
  readonly name: string
  /** Bytes. */
  readonly size: number
  /** Reads `length` bytes at `offset`; the caller stays inside of `size`. Fewer bytes mean that the source has shrunk. */
  read(offset: number, length: number): Promise<Uint8Array>
  /** The same at once, into the caller's memory, where the source can do that. @returns bytes read */
  readSync?(offset: number, into: Uint8Array): number
}

/** Bytes that are in memory. */
export function bytesSource(bytes: Uint8Array, name = 'bytes'): ByteSource {
  return {
    name,
    size: bytes.byteLength,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
    readSync(offset, into) {
      const part = bytes.subarray(offset, offset + into.byteLength)
      into.set(part)
      return part.byteLength
    },
  }
}

/** A browser's File or Blob: it can be read asynchronously only. */
export function blobSource(blob: Blob, name = 'blob'): ByteSource {
  return {
    name,
    size: blob.size,
    read: async (offset, length) => new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
  }
}

/** Reads a piece that must be whole: for headers. @throws `EBADMSG` when the source ends before. */
export async function readWhole(source: ByteSource, offset: number, length: number, what: string): Promise<DataView> {
  if (offset + length > source.size)
    throw badFile(source, offset, `${what} of ${length} bytes ends beyond the file of ${source.size} bytes`)
  const bytes = await source.read(offset, length)
  if (bytes.byteLength !== length) throw badFile(source, offset, `${what}: ${bytes.byteLength} of ${length} bytes could be read`)
  return new DataView(bytes.buffer, bytes.byteOffset, length)
}

/** The `EBADMSG` of a file whose header is truncated or says impossible things; `offset` is where it says so. */
export function badFile(source: ByteSource, offset: number, message: string, value: bigint | number = offset): IoPgtableError {
  return new IoPgtableError('EBADMSG', source.name, `at offset ${offset}: ${message}`, { value })
}
