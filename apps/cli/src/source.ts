/** Memory images as files. */
import { fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs'
import type { ByteSource } from '@io-pgtable/inspect'
import { UsageError } from './usage.ts'

/**
 * A file, open until the process ends. What is no regular file has no size, and cannot be read anywhere but at its end: a pipe would even wait
 * here for somebody who writes. @throws UsageError for those, and what opening throws
 */
export function fileSource(path: string): ByteSource {
  const kind = kindOf(statSync(path))
  if (kind !== undefined) throw new UsageError(`--image ${path}: a regular file expected, not ${kind}; copy what it gives into one`)
  const fd = openSync(path, 'r')
  const { size } = fstatSync(fd)
  if (size === 0)
    throw new UsageError(`--image ${path}: the file is empty, or of a kind without a size, as those of /proc are; copy it first`)
  const readAt = (offset: number, into: Uint8Array): number => readFully(fd, offset, into)
  return {
    name: path,
    size,
    async read(offset, length) {
      const bytes = new Uint8Array(length)
      return bytes.subarray(0, readAt(offset, bytes))
    },
    readSync: readAt,
  }
}

function kindOf(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined
  if (stats.isDirectory()) return 'a directory'
  if (stats.isFIFO()) return 'a pipe'
  if (stats.isSocket()) return 'a socket'
  return 'a device'
}

function readFully(fd: number, offset: number, into: Uint8Array): number {
  let done = 0
  while (done < into.byteLength) {
    const bytes = readSync(fd, into, done, into.byteLength - done, offset + done)
    if (bytes === 0) break
    done += bytes
  }
  return done
}
