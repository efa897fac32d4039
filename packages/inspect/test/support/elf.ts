/** ELF cores, written byte by byte. */
export interface Load {
  readonly paddr: bigint
  readonly bytes: Uint8Array
  readonly memsz?: number
}

/** An ELF core, by the book; `xnum`: its count of segments is in a section header. */
export function elf(bits: 32 | 64, loads: readonly Load[], options: { readonly xnum?: boolean; readonly big?: boolean } = {}): Uint8Array {
  const isLittle = options.big !== true
  const [header, ph, sh] = bits === 64 ? [64, 56, 64] : [52, 32, 40]
  const phoff = header + (options.xnum ? sh : 0)
  let at = phoff + ph * loads.length
  const file = new Uint8Array(at + loads.reduce((sum, { bytes }) => sum + bytes.byteLength, 0))
  const view = new DataView(file.buffer)
  const word = (offset: number, value: bigint | number): void => {
    if (bits === 64) view.setBigUint64(offset, BigInt(value), isLittle)
    else view.setUint32(offset, Number(value), isLittle)
  }
  file.set([0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, isLittle ? 1 : 2, 1])
  view.setUint16(16, 4, isLittle)
  word(bits === 64 ? 32 : 28, phoff)
  word(bits === 64 ? 40 : 32, options.xnum ? header : 0)
  const sizes = bits === 64 ? 54 : 42
  view.setUint16(sizes, ph, isLittle)
  view.setUint16(sizes + 2, options.xnum ? 0xffff : loads.length, isLittle)
  view.setUint16(sizes + 4, sh, isLittle)
  if (options.xnum) view.setUint32(header + (bits === 64 ? 44 : 28), loads.length, isLittle)
  for (const [i, { paddr, bytes, memsz = bytes.byteLength }] of loads.entries()) {
    const p = phoff + i * ph
    view.setUint32(p, 1, isLittle)
    word(p + (bits === 64 ? 8 : 4), at)
    word(p + (bits === 64 ? 24 : 12), paddr)
    word(p + (bits === 64 ? 32 : 16), bytes.byteLength)
    word(p + (bits === 64 ? 40 : 20), memsz)
    file.set(bytes, at)
    at += bytes.byteLength
  }
  return file
}
