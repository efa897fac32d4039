/** What the tests share: the dumps, and copies of them to spoil. */
import { IoPgtableError } from '@io-pgtable/core'
import { bytesSource, MemoryImage, type Segment } from '@io-pgtable/inspect'
import type { Dump, Dumps } from '../src/dumps.ts'
import { readDumps } from '../src/dumps.ts'

/** All that the demo carries. */
export const ALL: Dumps = await readDumps()

/** A scenario of one request. */
const SCENARIO = '{"buffers": {"a": "4K"}, "vms": {"v": {"size": "1M"}}, "steps": [{"map": "a", "at": 0, "size": "4K"}]}'

/** The dumps, without the traces and with a short scenario, for tests that run the whole demo. */
export const DUMPS: Dumps = { ...ALL, traces: [], scenario: { name: 'one.json', text: SCENARIO } }

/** An image's file, to be written to. */
export interface Writable {
  readonly segments: readonly Segment[]
  readonly file: Uint8Array
}

/** A copy of a dump, spoilt: `change` may write into its file. */
export function spoilt(dump: Dump, change: (image: Writable) => void): Dump {
  const source = dump.image.segments[0]?.source
  if (source?.readSync === undefined) throw new Error('an image in memory expected')
  const file = new Uint8Array(source.size)
  source.readSync(0, file)
  const copy = bytesSource(file)
  const image = new MemoryImage(dump.image.segments.map((segment) => ({ ...segment, source: copy })))
  change({ segments: image.segments, file })
  return { ...dump, image }
}

/** Where the memory at a physical address is in the file. */
export function placeOf({ segments }: Writable, paddr: bigint): number {
  const segment = segments.find((s) => s.paddr <= paddr && paddr < s.paddr + BigInt(s.fileSize))
  if (segment === undefined) throw new Error(`0x${paddr.toString(16)} is not in the file`)
  return segment.offset + Number(paddr - segment.paddr)
}

/** Flips bits of the 64-bit word at a physical address. */
export function flip(image: Writable, paddr: bigint, bits: bigint): void {
  const view = new DataView(image.file.buffer)
  const at = placeOf(image, paddr)
  view.setBigUint64(at, view.getBigUint64(at, true) ^ bits, true)
}

/** The error that `run` throws. */
export function errorOf(run: () => unknown): IoPgtableError {
  try {
    run()
  } catch (error) {
    if (error instanceof IoPgtableError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
