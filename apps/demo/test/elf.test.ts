import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readElfCore } from '../src/elf.ts'
import { DUMPS, elfCore, errorOf } from './support.ts'

const BYTES = Uint8Array.from({ length: 64 }, (_, i) => i + 1)
const SEGMENT = { paddr: 0x1000n, bytes: BYTES }

describe('a good core', () => {
  for (const bits of [32, 64] as const) {
    test(`ELF${bits}: segments by physical address, other headers left out`, () => {
      const image = readElfCore(elfCore(bits, [{ paddr: 0x4000n, bytes: BYTES }, { type: 4, paddr: 0n, bytes: BYTES }, SEGMENT]))
      expect(image.segments.map(({ paddr, end }) => [paddr, end])).toEqual([
        [0x1000n, 0x1040n],
        [0x4000n, 0x4040n],
      ])
      expect(image.known).toBe(128n)
      expect(image.read(0x1008n, 4)).toEqual(Uint8Array.of(9, 10, 11, 12))
    })

    test(`ELF${bits}: what is not in the file is zero up to p_memsz, and unknown beyond`, () => {
      const image = readElfCore(elfCore(bits, [{ ...SEGMENT, memsz: 80n }]))
      expect(image.read(0x1038n, 100)).toEqual(Uint8Array.of(57, 58, 59, 60, 61, 62, 63, 64, ...new Array<number>(16).fill(0)))
      expect(image.read(0x1048n, 4)).toEqual(new Uint8Array(4))
      expect(image.read(0x1050n, 4)).toBeUndefined()
      expect(image.read(0xfffn, 4)).toBeUndefined()
    })
  }

  test('a read goes on across segments that adjoin, and ends at a gap', () => {
    const part = (paddr: bigint, value: number, memsz: bigint) => ({ paddr, bytes: Uint8Array.of(value, value), memsz })
    const image = readElfCore(elfCore(64, [part(0x10n, 1, 4n), part(0x14n, 2, 2n), part(0x16n, 3, 2n), part(0x20n, 4, 2n)]))
    expect(image.read(0x10n, 64)).toEqual(Uint8Array.of(1, 1, 0, 0, 2, 2, 3, 3))
    expect(image.read(0x13n, 3)).toEqual(Uint8Array.of(0, 2, 2))
    expect(image.read(0x17n, 1)).toEqual(Uint8Array.of(3))
  })

  test('a segment without bytes may have any offset, and one without memory is none', () => {
    const image = readElfCore(elfCore(64, [{ paddr: 0n, memsz: 4096n, offset: 1n << 60n }, { paddr: 0x1_0000n }]))
    expect(image.segments).toHaveLength(1)
    expect(image.read(0xff8n, 16)).toEqual(new Uint8Array(8))
  })

  test('a huge segment of zeroes costs nothing', () => {
    const image = readElfCore(elfCore(64, [{ paddr: 0n, memsz: 1n << 56n }]))
    expect(image.read(1n << 55n, 8)).toEqual(new Uint8Array(8))
  })

  test('both dumps are read', () => {
    expect(readElfCore(DUMPS.smmuv3.memory).segments).toHaveLength(24)
    expect(readElfCore(DUMPS.armv7.memory).segments).toHaveLength(13)
  })
})

test('what is read is a copy', () => {
  const image = readElfCore(elfCore(64, [SEGMENT]))
  image.read(0x1000n, 1)?.fill(0xff)
  expect(image.read(0x1000n, 1)).toEqual(Uint8Array.of(1))
})

test('a read of an impossible length is EINVAL', () => {
  const { read } = readElfCore(elfCore(64, [SEGMENT]))
  for (const length of [-1, 1.5, Number.NaN, 2 ** 31])
    expect(errorOf(() => read(0x1000n, length))).toMatchObject({ code: 'EINVAL', value: length })
})

describe('a bad file is EBADMSG with the value', () => {
  const cases: [string, Uint8Array, bigint | number][] = [
    ['no ELF', new TextEncoder().encode('#!/bin/sh\nexit 1\n'), 0x23212f62],
    ['magic', elfCore(64, [SEGMENT], (v) => v.setUint8(1, 0)), 0x7f004c46],
    ['class', elfCore(64, [SEGMENT], (v) => v.setUint8(4, 3)), 3],
    ['big endian', elfCore(64, [SEGMENT], (v) => v.setUint8(5, 2)), 2],
    ['version', elfCore(64, [SEGMENT], (v) => v.setUint8(6, 0)), 0],
    ['an executable', elfCore(64, [SEGMENT], (v) => v.setUint16(16, 2, true)), 2],
    ['program header size', elfCore(64, [SEGMENT], (v) => v.setUint16(54, 32, true)), 32],
    ['no segments', elfCore(64, [SEGMENT], (v) => v.setUint16(56, 0, true)), 0],
    ['the count is elsewhere', elfCore(64, [SEGMENT], (v) => v.setUint16(56, 0xffff, true)), 0xffff],
    ['more headers than the file has', elfCore(64, [SEGMENT], (v) => v.setUint16(56, 0xfffe, true)), 64n],
    ['headers beyond the file', elfCore(64, [SEGMENT], (v) => v.setBigUint64(32, 1n << 63n, true)), 1n << 63n],
    ['p_filesz > p_memsz', elfCore(64, [{ ...SEGMENT, memsz: 63n }]), 64n],
    ['bytes beyond the file', elfCore(64, [{ ...SEGMENT, offset: 1n << 40n }]), 1n << 40n],
    ['offset + p_filesz wraps', elfCore(64, [{ ...SEGMENT, offset: (1n << 64n) - 32n }]), (1n << 64n) - 32n],
    ['more bytes than the file', elfCore(32, [{ ...SEGMENT, filesz: 0xffff_ffffn, memsz: 0xffff_ffffn }]), 84n],
    ['beyond physical memory', elfCore(64, [{ ...SEGMENT, memsz: 1n << 56n }]), 0x1000n],
    ['p_paddr + p_memsz wraps', elfCore(64, [{ paddr: (1n << 64n) - 8n, bytes: BYTES }]), (1n << 64n) - 8n],
    ['overlap', elfCore(64, [SEGMENT, { paddr: 0x103fn, bytes: BYTES }]), 0x103fn],
    ['the same address twice', elfCore(64, [SEGMENT, SEGMENT]), 0x1000n],
  ]
  for (const [name, file, value] of cases) {
    test(name, () => {
      const error = errorOf(() => readElfCore(file))
      expect(error).toMatchObject({ code: 'EBADMSG', op: 'readElfCore', value })
      expect(error.message).not.toMatch(/undefined|NaN/)
    })
  }

  test('truncated anywhere', () => {
    for (const bits of [32, 64] as const) {
      const file = elfCore(bits, [SEGMENT, { paddr: 0x4000n, bytes: BYTES }])
      for (let length = 0; length < file.byteLength; length++)
        expect(errorOf(() => readElfCore(file.subarray(0, length))).code, `${length}`).toBe('EBADMSG')
    }
  })

  test('whatever the header says, it is read or EBADMSG', () => {
    const header = fc.uint8Array({ minLength: 176, maxLength: 176 })
    const keep = fc.array(fc.nat(175), { maxLength: 40 })
    fc.assert(
      fc.property(header, keep, fc.constantFrom(32 as const, 64 as const), (noise, places, bits) => {
        const file = elfCore(bits, [SEGMENT, { paddr: 0x4000n, bytes: BYTES }])
        for (const place of places) file[place] = noise[place] ?? 0
        try {
          const { segments, read } = readElfCore(file)
          for (const { paddr } of segments) expect(read(paddr, 16)?.byteLength).toBeGreaterThan(0)
        } catch (error) {
          expect(error).toMatchObject({ code: 'EBADMSG' })
        }
      }),
      { seed: 1, numRuns: 5000 },
    )
  })
})
