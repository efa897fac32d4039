/** Notes of an ELF core (System V ABI, chapter 5, note section): state of the CPUs, and what a kernel says about itself. */

import { type ElfFile, elfFile, headersOf } from './elf.ts'
import { type ByteSource, badFile, readWhole } from './source.ts'

const PT_NOTE = 4
/** Bytes of notes that are read: more is no core of any machine. */
const MOST_BYTES = 2 ** 24

export interface ElfNote {
  /** Without its zero at the end. */
  readonly name: string
  readonly type: number
  readonly bytes: Uint8Array
}

export interface ElfNotes {
  /** e_machine. */
  readonly machine: number
  readonly is64: boolean
  readonly little: boolean
  readonly notes: readonly ElfNote[]
}

/** The notes of an ELF file, in their order. @throws `EBADMSG` for a file that is truncated or says impossible things */
export async function elfNotes(source: ByteSource): Promise<ElfNotes> {
  const file = await elfFile(source)
  const notes: ElfNote[] = []
  let left = MOST_BYTES
  for (const header of headersOf(file, PT_NOTE)) {
    const { layout, little, headers } = file
    const [offset, size] = [layout.word(headers, header + layout.p_offset, little), layout.word(headers, header + layout.p_filesz, little)]
    if (size > BigInt(left)) throw badFile(source, file.at + header, `${size} bytes of notes: at most ${MOST_BYTES} expected`, size)
    if (offset + size > BigInt(source.size))
      throw badFile(source, file.at + header, `notes of ${size} bytes end beyond the file of ${source.size} bytes`, size)
    left -= Number(size)
    if (size > 0n) notes.push(...notesOf(source, file, await readWhole(source, Number(offset), Number(size), 'notes'), Number(offset)))
  }
  return { machine: file.machine, is64: file.is64, little: file.little, notes }
}

const HEADER = 12
const padded = (length: number): number => Math.ceil(length / 4) * 4

function notesOf(source: ByteSource, { little }: ElfFile, view: DataView, start: number): readonly ElfNote[] {
  const notes: ElfNote[] = []
  let at = 0
  while (at + HEADER <= view.byteLength) {
    const [nameBytes, descBytes, type] = [view.getUint32(at, little), view.getUint32(at + 4, little), view.getUint32(at + 8, little)]
    const desc = at + HEADER + padded(nameBytes)
    if (desc + descBytes > view.byteLength)
      throw badFile(source, start + at, `a note of ${nameBytes} and ${descBytes} bytes ends beyond the others`, descBytes)
    const name = String.fromCharCode(...bytesOf(view, at + HEADER, Math.min(nameBytes, 64))).replace(/\0.*$/s, '')
    notes.push({ name, type, bytes: bytesOf(view, desc, descBytes) })
    at = desc + padded(descBytes)
  }
  return notes
}

function bytesOf(view: DataView, at: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, length)
}
