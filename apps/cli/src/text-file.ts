/** Small texts: layouts and policies. A pipe will do, but not one without an end. */
import { closeSync, openSync, readSync } from 'node:fs'
import { UsageError } from './usage.ts'

const MOST = 2 ** 26
const PIECE = 2 ** 16

/** The whole text of a file, or of stdin for `-`. @throws UsageError beyond 64 MiB, and what reading throws */
export function readText(path: string): string {
  const fd = path === '-' ? 0 : openSync(path, 'r')
  try {
    return whole(fd, path)
  } finally {
    if (fd !== 0) closeSync(fd)
  }
}

function whole(fd: number, path: string): string {
  const pieces: Uint8Array[] = []
  for (let size = 0; ; ) {
    const piece = new Uint8Array(PIECE)
    const bytes = readPiece(fd, piece)
    if (bytes === 0) return Buffer.concat(pieces).toString('utf8')
    pieces.push(piece.subarray(0, bytes))
    size += bytes
    if (size > MOST) throw new UsageError(`${path}: more than ${MOST} bytes: no text that a person writes`)
  }
}

/** Bytes read; 0 at the end. */
function readPiece(fd: number, into: Uint8Array): number {
  for (;;) {
    try {
      return readSync(fd, into)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EOF') return 0
      if (code !== 'EAGAIN') throw error
      // a pipe that does not block, and has nothing yet
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2)
    }
  }
}
