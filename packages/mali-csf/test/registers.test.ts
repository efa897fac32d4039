/** Register values against those that panthor's own functions gave, and against what regions must be. */
import { readFileSync } from 'node:fs'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { seededIntegers } from '@io-pgtable/conformance'
import { IoPageTable, pgsizeBitmap, SZ_2M, SZ_4K } from '@io-pgtable/core'
import { decodeFault } from '@io-pgtable/inspect'
import { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import {
  AS_REGISTERS,
  asBlock,
  asRegisters,
  decodeTranscfg,
  lockaddrOf,
  lockedRange,
  memattrOf,
  TRANSCFG_UNMAPPED,
  transcfgOf,
} from '../src/index.ts'

interface Row {
  readonly mair: string
  readonly vaBits: number
  readonly coherent: boolean
  readonly start: string
  readonly size: string
}

const { rows } = JSON.parse(readFileSync(new URL('../test-data/registers.json', import.meta.url), 'utf8')) as {
  rows: [register: string, of: Row, value: string][]
}

const VALUES: Record<string, (of: Row) => bigint> = {
  MEMATTR: ({ mair }) => memattrOf(BigInt(mair)),
  TRANSCFG: (of) => transcfgOf(of),
  LOCKADDR: ({ start, size }) => lockaddrOf({ first: BigInt(start), last: BigInt(start) + BigInt(size) - 1n }),
}

describe('as panthor writes them', () => {
  test.each(rows)('%s of %o: %s', (register, of, value) => {
    expect(VALUES[register]?.(of)).toBe(BigInt(value))
  })
})

test('the registers of a table', () => {
  const allocator = new PtPool({ base: 0x8000_0000n, size: SZ_2M })
  const table = IoPageTable.createRaw(arm64LpaeS1, { allocator, pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: 48, oas: 40 })
  expect(asRegisters(table.regs, { vaBits: 48, coherent: true })).toEqual({
    transtab: table.regs.ttbr,
    memattr: 0x4c4c_4c4c_9c4c_9f4cn,
    transcfg: 0x6200_01c6n,
  })
  table.free()
  expect(() => asRegisters({ ttbr: 0x8000_0800n, mair: 0n }, { vaBits: 48 })).toThrow(expect.objectContaining({ code: 'EINVAL' }))
  expect(() => transcfgOf({ vaBits: 56 })).toThrow(expect.objectContaining({ code: 'ERANGE', value: 56 }))
})

test('TRANSCFG is read as it was written', () => {
  for (const vaBits of [24, 32, 48, 55])
    for (const coherent of [false, true])
      expect(decodeTranscfg(transcfgOf({ vaBits, coherent }))).toEqual({
        mode: 'aarch64-4k',
        inputBits: vaBits,
        walks: 'write-back',
        shareability: coherent ? 'outer' : 'non',
        allocates: true,
      })
  expect(decodeTranscfg(TRANSCFG_UNMAPPED).mode).toBe('unmapped')
  for (const raw of [3n, 6n | (1n << 28n)])
    expect(() => decodeTranscfg(raw)).toThrow(expect.objectContaining({ code: 'EINVAL', value: raw }))
})

test('a region holds its range, and half of it would not', () => {
  const below = seededIntegers(7)
  for (let i = 0; i < 2000; i++) {
    const first = (BigInt(below(2 ** 24)) << 12n) << BigInt(below(20))
    const last = first + (BigInt(1 + below(2 ** below(24))) << 12n) - 1n
    const region = lockedRange(lockaddrOf({ first, last }))
    const size = region.last - region.first + 1n
    expect(region.first <= first && last <= region.last && region.first % size === 0n).toBe(true)
    const half = size / 2n
    expect(size === 32_768n || first / half !== last / half).toBe(true)
  }
  expect(lockaddrOf({ first: 0x7000n, last: 0x7fffn }, { cleared: 32_768 })).toBe(0xen)
  expect(() => lockaddrOf({ first: 1n, last: 0n })).toThrow(expect.objectContaining({ code: 'ERANGE' }))
})

test('where the registers are', () => {
  expect(asBlock(0) + AS_REGISTERS.TRANSTAB).toBe(0x2400)
  expect(asBlock(15) + AS_REGISTERS.FAULTEXTRA).toBe(0x27f8)
  expect(() => asBlock(16)).toThrow(expect.objectContaining({ code: 'ERANGE' }))
  expect(decodeFault('mali', ['0x2c3']).name).toBe('TRANSLATION_FAULT_3')
})
