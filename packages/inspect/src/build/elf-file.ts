/** Built tables as an ELF file: one PT_LOAD segment at their base, a section and a symbol for it (System V ABI, chapters 4 and 5). */
import type { Built } from './build.ts'
import { registerConstants } from './source-code.ts'

/** e_machine by name. */
export const MACHINES: Readonly<Record<string, number>> = { none: 0, 'x86-64': 62, aarch64: 183, riscv: 243 }

const HEADER = 64
const PROGRAM_HEADER = 56
const SECTION_HEADER = 64
const SYMBOL = 24
/** Where the tables stand in the file: aligned as a loader that maps pages wants it. */
const OFFSET = 4096
const SHN_ABS = 0xfff1

/** Bytes that end in a zero each, and where each string is. */
class Strings {
  readonly #parts: string[] = ['']
  #length = 1
  add(text: string): number {
    const at = this.#length
    this.#parts.push(text)
    this.#length += text.length + 1
    return at
  }
  bytes(): Uint8Array {
    return new TextEncoder().encode(`${this.#parts.join('\0')}\0`)
  }
}

interface Section {
  readonly name: string
  readonly type: number
  readonly flags: bigint
  readonly address: bigint
  readonly bytes: Uint8Array
  readonly link?: number
  readonly info?: number
  readonly align: number
  readonly entrySize?: number
}

/** An ELF64 executable without code. Symbols: `NAME`, the tables; `NAME_ttbr0` and its like, the registers. */
export function toElf(built: Built, name: string, machine = 0): Uint8Array {
  const strings = new Strings()
  const sections: Section[] = [
    { name: '.pgtables', type: 1, flags: 2n, address: built.base, bytes: built.bytes, align: 4096 },
    { ...symbolSection(built, name, strings), link: 3 },
    { name: '.strtab', type: 3, flags: 0n, address: 0n, bytes: strings.bytes(), align: 1 },
  ]
  const names = new Strings()
  const nameAt = [...sections.map((section) => section.name), '.shstrtab'].map((text) => names.add(text))
  sections.push({ name: '.shstrtab', type: 3, flags: 0n, address: 0n, bytes: names.bytes(), align: 1 })
  return assemble(built, sections, nameAt, machine)
}

function symbolSection(built: Built, name: string, strings: Strings): Section {
  const symbols = [
    // STB_GLOBAL, STT_OBJECT; section 1
    { name, info: 0x11, section: 1, value: built.base, size: BigInt(built.bytes.byteLength) },
    ...registerConstants(built).map((register) => ({
      name: `${name}_${register.name}`,
      info: 0x10,
      section: SHN_ABS,
      value: register.value,
      size: 0n,
    })),
  ]
  const bytes = new Uint8Array(SYMBOL * (symbols.length + 1))
  const view = new DataView(bytes.buffer)
  for (const [i, symbol] of symbols.entries()) {
    const at = SYMBOL * (i + 1)
    view.setUint32(at, strings.add(symbol.name), true)
    view.setUint8(at + 4, symbol.info)
    view.setUint16(at + 6, symbol.section, true)
    view.setBigUint64(at + 8, symbol.value, true)
    view.setBigUint64(at + 16, symbol.size, true)
  }
  // info: the first symbol that is not local
  return { name: '.symtab', type: 2, flags: 0n, address: 0n, bytes, info: 1, align: 8, entrySize: SYMBOL }
}

function assemble(built: Built, sections: readonly Section[], nameAt: readonly number[], machine: number): Uint8Array {
  const offsets: number[] = []
  let end = OFFSET
  for (const { bytes } of sections) {
    offsets.push(end)
    end = align8(end + bytes.byteLength)
  }
  const file = new Uint8Array(end + SECTION_HEADER * (sections.length + 1))
  const view = new DataView(file.buffer)
  writeHeader(view, machine, end, sections.length + 1)
  writeSegment(view, built)
  for (const [i, section] of sections.entries()) {
    file.set(section.bytes, offsets[i])
    writeSection(view, end + SECTION_HEADER * (i + 1), section, nameAt[i] ?? 0, offsets[i] ?? 0)
  }
  return file
}

function writeHeader(view: DataView, machine: number, sectionHeaders: number, sections: number): void {
  view.setUint32(0, 0x7f454c46)
  // ELFCLASS64, ELFDATA2LSB, EV_CURRENT
  for (const [at, value] of [2, 1, 1].entries()) view.setUint8(4 + at, value)
  const half = (at: number, value: number): void => view.setUint16(at, value, true)
  half(16, 2)
  half(18, machine)
  view.setUint32(20, 1, true)
  view.setBigUint64(32, BigInt(HEADER), true)
  view.setBigUint64(40, BigInt(sectionHeaders), true)
  half(52, HEADER)
  half(54, PROGRAM_HEADER)
  half(56, 1)
  half(58, SECTION_HEADER)
  half(60, sections)
  half(62, sections - 1)
}

function writeSegment(view: DataView, { base, bytes }: Built): void {
  const size = BigInt(bytes.byteLength)
  view.setUint32(HEADER, 1, true)
  view.setUint32(HEADER + 4, 4, true)
  for (const [i, value] of [BigInt(OFFSET), base, base, size, size, 4096n].entries()) view.setBigUint64(HEADER + 8 + 8 * i, value, true)
}

function writeSection(view: DataView, at: number, section: Section, name: number, offset: number): void {
  const { type, flags, address, bytes, link = 0, info = 0, align, entrySize = 0 } = section
  view.setUint32(at, name, true)
  view.setUint32(at + 4, type, true)
  for (const [i, value] of [flags, address, BigInt(offset), BigInt(bytes.byteLength)].entries())
    view.setBigUint64(at + 8 + 8 * i, value, true)
  view.setUint32(at + 40, link, true)
  view.setUint32(at + 44, info, true)
  view.setBigUint64(at + 48, BigInt(align), true)
  view.setBigUint64(at + 56, BigInt(entrySize), true)
}

function align8(value: number): number {
  return (value + 7) & ~7
}
