/** What the tests share: the dumps, copies of them to spoil, and small ELF cores made here. */
import { IoPgtableError } from '@io-pgtable/core'
import type { Dump, Dumps } from '../src/dumps.ts'
import { readDumps } from '../src/dumps.ts'
import { type MemoryImage, readElfCore } from '../src/elf.ts'

/** All that the demo carries. */
export const ALL: Dumps = readDumps()

/** A scenario of one request. */
const SCENARIO = '{"buffers": {"a": "4K"}, "vms": {"v": {"size": "1M"}}, "steps": [{"map": "a", "at": 0, "size": "4K"}]}'

/** The dumps, without the traces and with a short scenario, for tests that run the whole demo. */
export const DUMPS: Dumps = { ...ALL, traces: [], scenario: { name: 'one.json', text: SCENARIO } }

/** A copy of a dump, spoilt: `change` may write into the image's segments. */
export function spoilt(dump: Dump, change: (image: MemoryImage) => void): Dump {
  const memory = Uint8Array.from(dump.memory)
  change(readElfCore(memory))
  return { ...dump, memory }
}

/** Flips bits of the 64-bit word at a physical address. */
export function flip({ segments }: MemoryImage, paddr: bigint, bits: bigint): void {
  const segment = segments.find((s) => s.paddr <= paddr && paddr < s.paddr + BigInt(s.bytes.byteLength))
  if (segment === undefined) throw new Error(`0x${paddr.toString(16)} is not in the file`)
  const view = new DataView(segment.bytes.buffer, segment.bytes.byteOffset)
  const at = Number(paddr - segment.paddr)
  view.setBigUint64(at, view.getBigUint64(at, true) ^ bits, true)
}

export interface TestSegment {
  readonly type?: number
  readonly paddr: bigint
  readonly bytes?: Uint8Array
  readonly offset?: bigint
  readonly filesz?: bigint
  readonly memsz?: bigint
}

/** An ELF core; `patch` may spoil its header. */
export function elfCore(bits: 32 | 64, segments: readonly TestSegment[], patch: (view: DataView) => void = () => {}): Uint8Array {
  const [header, entry] = bits === 64 ? [64, 56] : [52, 32]
  const dataAt = header + entry * segments.length
  const file = new Uint8Array(dataAt + segments.reduce((sum, { bytes }) => sum + (bytes?.byteLength ?? 0), 0))
  const view = new DataView(file.buffer)
  const word = (at: number, value: bigint) => (bits === 64 ? view.setBigUint64(at, value, true) : view.setUint32(at, Number(value), true))
  file.set([0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, 1, 1])
  view.setUint16(16, 4, true)
  word(bits === 64 ? 32 : 28, BigInt(header))
  view.setUint16(bits === 64 ? 54 : 42, entry, true)
  view.setUint16(bits === 64 ? 56 : 44, segments.length, true)
  const at = bits === 64 ? { offset: 8, paddr: 24, filesz: 32, memsz: 40 } : { offset: 4, paddr: 12, filesz: 16, memsz: 20 }
  let data = dataAt
  for (const [i, segment] of segments.entries()) {
    const bytes = segment.bytes ?? new Uint8Array()
    const ph = header + i * entry
    view.setUint32(ph, segment.type ?? 1, true)
    word(ph + at.offset, segment.offset ?? BigInt(data))
    word(ph + at.paddr, segment.paddr)
    word(ph + at.filesz, segment.filesz ?? BigInt(bytes.byteLength))
    word(ph + at.memsz, segment.memsz ?? BigInt(bytes.byteLength))
    file.set(bytes, data)
    data += bytes.byteLength
  }
  patch(view)
  return file
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
