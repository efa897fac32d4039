/** Images: every file format as its specification has it, what is wrong with a file, and memory that is unknown. */
import { IoPgtableError } from '@io-pgtable/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ByteSource, blobSource, bytesSource, formatOf, type ImageOptions, MemoryImage, openImage, PageMiss } from '../src/index.ts'
import { elf, type Load } from './support/elf.ts'
import { random } from './support/memory.ts'

function lime(ranges: readonly Load[]): Uint8Array {
  return Uint8Array.from(
    ranges.flatMap(({ paddr, bytes }) => {
      const header = new DataView(new ArrayBuffer(32))
      header.setUint32(0, 0x4c694d45, true)
      header.setUint32(4, 1, true)
      header.setBigUint64(8, paddr, true)
      header.setBigUint64(16, paddr + BigInt(bytes.byteLength) - 1n, true)
      return [...new Uint8Array(header.buffer), ...bytes]
    }),
  )
}

const ramp = (length: number, from = 1): Uint8Array => Uint8Array.from({ length }, (_, i) => (from + i) & 0xff)
const open = (bytes: Uint8Array, options?: ImageOptions): Promise<MemoryImage> => openImage(bytesSource(bytes, 'file'), options)
const code = async (work: Promise<unknown>): Promise<unknown> => {
  try {
    await work
  } catch (error) {
    return error instanceof IoPgtableError ? `${error.code} ${error.message}` : error
  }
  return 'nothing thrown'
}

/** Something of each segment is known. */
function readAll({ segments, read }: MemoryImage): void {
  for (const { paddr } of segments) expect(read(paddr, 16)?.byteLength).toBeGreaterThan(0)
}

describe('ELF', () => {
  it.each([32, 64] as const)('%d bits: segments, and zeroes where p_filesz < p_memsz', async (bits) => {
    const image = await open(
      elf(bits, [
        { paddr: 0x8000n, bytes: ramp(10), memsz: 20 },
        { paddr: 0x4000_0000n, bytes: ramp(4, 100) },
      ]),
    )
    expect(image.known).toBe(24n)
    expect(image.read(0x8000n, 12)).toEqual(Uint8Array.of(...ramp(10), 0, 0))
    // What is known ends: less is given, and then nothing
    expect(image.read(0x8000n, 100)).toEqual(Uint8Array.of(...ramp(10), ...new Uint8Array(10)))
    expect(image.read(0x8014n, 1)).toBeUndefined()
    expect(image.read(0x7fffn, 8)).toBeUndefined()
    expect(image.read(0x4000_0001n, 3)).toEqual(ramp(3, 101))
  })

  it.each([
    [32, false],
    [32, true],
    [64, false],
    [64, true],
  ] as const)('%d bits, big-endian; PN_XNUM: %s', async (bits, xnum) => {
    const loads = [
      { paddr: 0x8000n, bytes: ramp(10), memsz: 20 },
      { paddr: 0x4000_0000n, bytes: ramp(4, 100) },
    ]
    const image = await open(elf(bits, loads, { big: true, xnum }))
    expect(image.known).toBe(24n)
    expect(image.read(0x8000n, 12)).toEqual(Uint8Array.of(...ramp(10), 0, 0))
    expect(image.read(0x4000_0001n, 3)).toEqual(ramp(3, 101))
  })

  it('reads across segments that adjoin', async () => {
    const image = await open(
      elf(64, [
        { paddr: 0x1004n, bytes: ramp(6, 5) },
        { paddr: 0x1000n, bytes: ramp(4) },
        { paddr: 0x100bn, bytes: ramp(4) },
      ]),
    )
    expect(image.read(0x1000n, 64)).toEqual(ramp(10))
  })

  it('PN_XNUM: the count is in the first section header', async () => {
    const image = await open(elf(64, [{ paddr: 0n, bytes: ramp(3) }], { xnum: true }))
    expect(image.read(0n, 3)).toEqual(ramp(3))
    expect((await open(elf(32, [{ paddr: 0n, bytes: ramp(3) }], { xnum: true }))).known).toBe(3n)
  })

  /** A good file with a few bytes that are not. */
  const broken = (at: number, bytes: readonly number[], length?: number): Uint8Array => {
    const file = elf(64, [{ paddr: 0x1000n, bytes: ramp(16) }])
    file.set(bytes, at)
    return file.subarray(0, length)
  }
  it.each([
    ['truncated identification', broken(0, [], 10), 'offset 0'],
    ['truncated header', broken(0, [], 40), 'offset 0'],
    ['truncated program headers', broken(0, [], 100), 'offset 32'],
    ['truncated segment', broken(0, [], 130), 'offset 72'],
    ['another class', broken(4, [3]), 'offset 4'],
    ['a byte order that is none', broken(5, [3]), 'offset 5'],
    ['a byte order that the rest does not have', broken(5, [2]), 'offset 16'],
    ['a relocatable file', broken(16, [1]), 'offset 16'],
    ['another size of program headers', broken(54, [32]), 'offset 54'],
    ['no program headers', broken(56, [0]), 'offset 56'],
    ['program headers beyond the file', broken(32, [0, 0, 0, 0, 1]), 'offset 32'],
    ['PN_XNUM without a section header', broken(56, [0xff, 0xff]), 'offset 40'],
    ['p_filesz > p_memsz', broken(64 + 40, [1]), 'offset 96'],
    ['p_paddr beyond 2^56', broken(64 + 24 + 7, [1]), 'offset 88'],
  ])('%s', async (_, file, offset) => {
    expect(await code(open(file, { format: 'elf' }))).toMatch(new RegExp(`^EBADMSG .*${offset}`))
  })
  it('truncated anywhere', async () => {
    for (const bits of [32, 64] as const) {
      const file = elf(bits, [
        { paddr: 0x1000n, bytes: ramp(16) },
        { paddr: 0x4000n, bytes: ramp(16) },
      ])
      for (let length = 0; length < file.byteLength; length++)
        expect(await code(open(file.subarray(0, length), { format: 'elf' })), `${length}`).toMatch(/^EBADMSG /)
    }
  })

  it('whatever the header says, it is read or EBADMSG', async () => {
    const noise = fc.array(fc.tuple(fc.nat(175), fc.nat(255)), { maxLength: 40 })
    const property = fc.asyncProperty(noise, fc.constantFrom(32 as const, 64 as const), async (bytes, bits) => {
      const file = elf(bits, [{ paddr: 0x1000n, bytes: ramp(64) }])
      for (const [at, value] of bytes) file[at] = value
      expect(await code(open(file, { format: 'elf' }).then(readAll))).toMatch(/^(EBADMSG|nothing thrown)/)
    })
    await fc.assert(property, { seed: 1, numRuns: 2000 })
  })

  it('segments that overlap', async () => {
    const file = elf(64, [
      { paddr: 0x1000n, bytes: ramp(16) },
      { paddr: 0x100fn, bytes: ramp(1) },
    ])
    expect(await code(open(file))).toMatch(/^EBADMSG .*0x100f .*overlaps/)
  })
})

describe('LiME', () => {
  const file = lime([
    { paddr: 0x1000n, bytes: ramp(8) },
    { paddr: 0x9000n, bytes: ramp(8, 50) },
  ])
  it('has its ranges', async () => {
    const image = await open(file)
    expect(image.known).toBe(16n)
    expect(image.read(0x1000n, 64)).toEqual(ramp(8))
    expect(image.read(0x9004n, 4)).toEqual(ramp(4, 54))
    expect(image.read(0x2000n, 4)).toBeUndefined()
  })
  it.each([
    ['a truncated header', file.subarray(0, 50), 'offset 40'],
    ['a truncated range', file.subarray(0, 79), 'offset 56'],
    ['another version', file.map((byte, i) => (i === 4 ? 2 : byte)), 'offset 4'],
    ['a second header that is none', file.map((byte, i) => (i === 40 ? 0 : byte)), 'offset 40'],
    ['a range that ends before it begins', file.map((byte, i) => (i === 17 ? 0 : byte)), 'offset 8'],
  ])('%s', async (_, bytes, offset) => {
    expect(await code(open(bytes))).toMatch(new RegExp(`^EBADMSG .*${offset}`))
  })
})

describe('raw', () => {
  it('needs a base', async () => {
    expect(await code(open(ramp(16)))).toMatch(/^EINVAL .*base/)
    expect((await open(ramp(16), { base: 0x100n })).read(0x108n, 99)).toEqual(ramp(8, 9))
  })
  it('several files lie one behind the other', async () => {
    const image = await openImage([bytesSource(ramp(5)), bytesSource(ramp(5, 6))], { base: 0x2000n })
    expect(image.read(0x2000n, 99)).toEqual(ramp(10))
  })
  it('files of several formats are one memory, and may not overlap', async () => {
    const sources = [bytesSource(elf(32, [{ paddr: 0x1000n, bytes: ramp(4) }])), bytesSource(lime([{ paddr: 0x1004n, bytes: ramp(4, 5) }]))]
    expect((await openImage(sources)).read(0x1000n, 99)).toEqual(ramp(8))
    expect(await code(openImage([...sources, ...sources]))).toMatch(/^EBADMSG .*overlaps/)
  })
  it('sparse: pieces of a file are memory', async () => {
    const pieces = [
      { paddr: 0x1000n, offset: 2, size: 2 },
      { paddr: 0x8000n, offset: 8, size: 4 },
    ]
    const image = await open(ramp(12), { pieces })
    expect(image.read(0x1000n, 9)).toEqual(ramp(2, 3))
    expect(image.read(0x8000n, 9)).toEqual(ramp(4, 9))
    expect(await code(open(ramp(11), { pieces }))).toMatch(/^EBADMSG /)
  })
  it.each([
    ['KDUMP   ', 'kdump-compressed'],
    ['DISKDUMP', 'diskdump'],
    ['makedumpfile\0\0\0\0', 'flattened'],
    ['PAGEDU64', 'Windows crash dump of 64 bits'],
    ['PAGEDUMP', 'Windows crash dump of 32 bits'],
    ['MDMP', 'minidump'],
    ['AVML', 'AVML'],
    ['QEVM', 'migration'],
    ['LibvirtQemudSave', 'libvirt'],
    ['\xd2\xbe\xd2\xbe', 'VMware'],
    ['\xd1\xba\xd1\xba', 'VMware'],
    ['QFI\xfb', 'qcow2'],
    ['KDMV', 'VMDK'],
    ['\x1f\x8b\x08', 'gzip'],
    ['\xfd7zXZ\0', 'xz'],
    ['\x28\xb5\x2f\xfd', 'zstd'],
    ['\x04\x22\x4d\x18', 'lz4'],
    ['BZh', 'bzip2'],
    ['PK\x03\x04', 'zip'],
  ])('%j: a dump of another kind is named and refused, unless it is said to be raw', async (magic, name) => {
    const bytes = new Uint8Array(4096).map((_, i) => magic.charCodeAt(i) || 0)
    const options = { base: 0n }
    expect(await code(open(bytes, options))).toMatch(
      new RegExp(`^EBADMSG .*file: at offset 0: .*${name}.*ELF core, LiME or raw memory expected`),
    )
    expect(await code(open(bytes, { pieces: [{ paddr: 0n, offset: 0, size: 4096 }] }))).toMatch(/^EBADMSG/)
    expect((await open(bytes, { ...options, format: 'raw' })).known).toBe(4096n)
    // almost
    bytes[1] = (bytes[1] ?? 0) ^ 0x20
    expect((await open(bytes, options)).known).toBe(4096n)
  })

  it('is what is neither ELF nor LiME', async () => {
    expect(await formatOf(bytesSource(ramp(3)))).toBe('raw')
    expect(await formatOf(bytesSource(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46)))).toBe('elf')
    expect(await formatOf(bytesSource(Uint8Array.of(0x45, 0x4d, 0x69, 0x4c)))).toBe('lime')
  })
})

/** A file of 100 GB that nobody has: each byte follows from its offset. */
function endless(size: number, sync: boolean): ByteSource & { reads: { offset: number; length: number }[] } {
  const reads: { offset: number; length: number }[] = []
  const at = (offset: number, into: Uint8Array): number => {
    reads.push({ offset, length: into.byteLength })
    for (let i = 0; i < into.byteLength; i++) into[i] = byteAt(offset + i)
    return into.byteLength
  }
  return {
    name: 'endless',
    size,
    reads,
    read: async (offset, length) => {
      const bytes = new Uint8Array(length)
      at(offset, bytes)
      return bytes
    },
    ...(sync ? { readSync: at } : {}),
  }
}
const byteAt = (offset: number): number => (offset + Math.floor(offset / 4096) * 31) & 0xff
const expected = (offset: number, length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => byteAt(offset + i))

describe('the page cache', () => {
  const size = 100 * 2 ** 30

  it('reads the pages that are asked for, and no other', async () => {
    const source = endless(size, true)
    const image = await openImage(source, { format: 'raw', base: 0n })
    for (const offset of [0x1000, 60 * 2 ** 30 + 8, 0x1008, 99 * 2 ** 30])
      expect(image.read(BigInt(offset), 8)).toEqual(expected(offset, 8))
    expect(source.reads.map(({ length }) => length)).toEqual([4096, 4096, 4096])
    expect(image.pagesRead).toBe(3)
  })

  it('reads ahead when memory is read in order', async () => {
    const source = endless(size, true)
    const image = await openImage(source, { format: 'raw', base: 0n })
    for (let page = 0; page < 256; page++) expect(image.read(BigInt(page * 4096), 4)).toEqual(expected(page * 4096, 4))
    expect(source.reads.length).toBeLessThan(30)
    expect(image.pagesRead).toBeLessThanOrEqual(320)
  })

  it.each([0n, 0x123n, 0xffff_f000n])('gives the same whatever the order, the base %s and what was thrown away', async (base) => {
    const source = endless(2 ** 26, true)
    const image = await openImage(source, { format: 'raw', base, cacheBytes: 0 })
    const rnd = random(17)
    for (let i = 0; i < 150; i++) {
      const offset = i % 3 === 0 ? (i * 40_000) % 2 ** 26 : rnd() % 2 ** 26
      const length = Math.min(1 + (rnd() % (i % 40 === 0 ? 300_000 : 300)), 2 ** 26 - offset)
      const got = image.read(base + BigInt(offset), length)
      expect(Buffer.from(got ?? []).equals(expected(offset, length)), `${length} bytes at ${offset}`).toBe(true)
    }
  })

  it('bytes that were given stay as they are', async () => {
    const image = await openImage(endless(2 ** 30, true), { format: 'raw', base: 0n, cacheBytes: 0 })
    const first = image.read(0n, 16)
    for (let at = 0; at < 2 ** 24; at += 2 ** 17) image.read(BigInt(at), 8)
    expect(first).toEqual(expected(0, 16))
  })

  it('raises a miss where a source cannot be read at once; loading does the rest', async () => {
    const image = await openImage(endless(size, false), { format: 'raw', base: 0n })
    expect(() => image.read(0x5000n, 8)).toThrow(PageMiss)
    const offset = 50 * 2 ** 30 + 4090
    const got = await image.loading(() => image.read(BigInt(offset), 300_000))
    expect(Buffer.from(got ?? []).equals(expected(offset, 300_000))).toBe(true)
    expect(image.read(BigInt(offset), 8)).toEqual(expected(offset, 8))
  })

  it('asks for readSync once: a getter may answer otherwise the next time', async () => {
    const bytes = ramp(4096 * 4)
    const plain = bytesSource(bytes, 'now and then')
    let asked = 0
    const source: ByteSource = { ...plain }
    Object.defineProperty(source, 'readSync', { get: () => (++asked % 2 === 1 ? plain.readSync : undefined) })
    const image = new MemoryImage([{ paddr: 0n, size: 16384n, source, offset: 0, fileSize: 16384 }])
    for (let page = 0n; page < 4n; page++) expect((await image.loading(() => image.read(page * 4096n, 4)))?.[0]).toBe(1)
    expect(asked).toBeGreaterThan(3)
  })

  it('reads a Blob', async () => {
    const bytes = ramp(10_000)
    const image = await openImage(blobSource(new Blob([bytes as BlobPart])), { format: 'raw', base: 0x4000n })
    expect(await image.loading(() => image.read(0x5000n, 16))).toEqual(bytes.subarray(4096, 4112))
  })

  it('tells a file that has become shorter', async () => {
    const source = { ...bytesSource(ramp(8192)), readSync: () => 7 }
    const image = await openImage(source, { format: 'raw', base: 0n })
    expect(() => image.read(0n, 8)).toThrow(/EBADMSG/)
  })

  it('does not look for zeroes in the file', () => {
    const source = endless(4096, true)
    const image = new MemoryImage([{ paddr: 0n, size: 2n ** 55n, source, offset: 0, fileSize: 10 }])
    expect(image.read(2n ** 54n, 8)).toEqual(new Uint8Array(8))
    expect(image.read(8n, 8)).toEqual(Uint8Array.of(...expected(8, 2), 0, 0, 0, 0, 0, 0))
    expect(source.reads).toEqual([{ offset: 0, length: 10 }])
  })

  it('refuses a read of more than a table could be', async () => {
    const image = await openImage(endless(size, true), { format: 'raw', base: 0n })
    for (const length of [2 ** 22 + 1, -1, 1.5, Number.NaN]) expect(() => image.read(0n, length)).toThrow(/EINVAL/)
  })
})
