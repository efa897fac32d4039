/** What the CPU oracles compare with, without a QEMU: the model of random mappings, the questions, and what syndromes mean. */
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { IoPageTable, Prot, pgsizeBitmap, SZ_2M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, it } from 'vitest'
import { longFault, memoryOf, parAnswer32, parAnswer64, tripAnswer32, tripAnswer64 } from '../src/cpu/arm-par.ts'
import { a32Guest } from '../src/cpu/guest-a32.ts'
import { a64Guest, HVC_VECTOR } from '../src/cpu/guest-a64.ts'
import { rvGuest } from '../src/cpu/guest-rv.ts'
import { x86Firmware } from '../src/cpu/guest-x86.ts'
import { ENTRIES, MAILBOX_OFFSET, packMailbox, unpackEntries } from '../src/cpu/mailbox.ts'
import { drawMappings, MappingModel } from '../src/cpu/mappings.ts'
import { differences, drawPlaces, engineDifferences } from '../src/cpu/question.ts'
import { Random } from '../src/machine/index.ts'

function drawn(seed: bigint): { table: IoPageTable<typeof arm64LpaeS1>; model: MappingModel } {
  const allocator = new PtPool({ base: 0x4000_0000n, size: 16 * SZ_2M })
  const table = IoPageTable.createRaw(arm64LpaeS1, { allocator, pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: 39, oas: 40 })
  const model = new MappingModel()
  drawMappings(table, model, { random: new Random(seed), count: 200, prots: [Prot.READ, Prot.READ | Prot.WRITE] })
  return { table, model }
}

describe('random mappings', () => {
  it('are the same for a seed, with both ends of the addresses, and what the engine has', () => {
    const { table, model } = drawn(1n)
    expect(drawn(1n).model.list).toEqual(model.list)
    expect(drawn(2n).model.list).not.toEqual(model.list)
    expect(model.find(0n)?.iova).toBe(0n)
    expect(model.find((1n << 39n) - 1n)?.iova).toBe((1n << 39n) - BigInt(SZ_4K))
    const places = drawPlaces(table, model, model.list, new Random(3n), 100)
    expect(places.filter(({ mapping }) => mapping === undefined).length).toBeGreaterThan(100)
    expect(engineDifferences(table, places)).toEqual([])
  })

  it('show what the engine does not have', () => {
    const { table, model } = drawn(1n)
    const places = drawPlaces(table, model, model.list, new Random(3n), 0)
    table.unmap(0n, SZ_4K)
    expect(engineDifferences(table, places)[0]).toMatch(/^engine at 0x0: 0x[0-9a-f]+ expected, undefined found$/)
  })
})

describe('differences', () => {
  const asked = [{ iova: 0x1000n, access: 'priv read' }] as const

  it.each([
    ['an address', { paddr: 1n }, { paddr: 2n }],
    ['a fault where an address was expected', { paddr: 1n }, { fault: 'translation L3' }],
    ['a fault of another level', { fault: 'translation L3' }, { fault: 'translation L2' }],
    ['another memory type', { paddr: 1n, memory: 'a' }, { paddr: 1n, memory: 'b' }],
    ['no answer', { paddr: 1n }, undefined],
  ])('are seen: %s', (_, expected, answer) => {
    expect(differences(asked, [expected], answer === undefined ? [] : [answer])).toHaveLength(1)
  })

  it('are none where the expectation leaves the memory type open', () => {
    expect(differences(asked, [{ paddr: 1n }], [{ paddr: 1n, memory: 'b' }])).toEqual([])
  })
})

describe('syndromes', () => {
  it('PAR has the address, attribute and shareability, or a fault', () => {
    expect(parAnswer64(0xff0f_ffff_ffff_f180n)).toEqual({ paddr: 0xf_ffff_ffff_f000n, memory: memoryOf(0xff, 3) })
    expect(parAnswer64((0x07n << 1n) | 1n)).toEqual({ fault: 'translation L3' })
    expect(parAnswer32(0x44ff_ffff_f000n, false)).toEqual({ paddr: 0xff_ffff_f000n })
  })

  it('fault codes have kind and level, -1 too', () => {
    expect([0x00, 0x04, 0x09, 0x0f, 0x2b].map(longFault)).toEqual([
      'address size L0',
      'translation L0',
      'access flag L1',
      'permission L3',
      'translation L-1',
    ])
    expect(longFault(0x30)).toBe('status 0x30')
  })

  it('a trip that came back by its own call, or by a vector with an abort', () => {
    const hvc = (immediate: number): bigint => (0x16n << 26n) | BigInt(immediate)
    expect(tripAnswer64(hvc(1), 0n)).toEqual({})
    expect(tripAnswer64(hvc(HVC_VECTOR + 4), (0x21n << 26n) | 0x0fn)).toEqual({ fault: 'permission L3' })
    expect(tripAnswer64((0x24n << 26n) | 0x0en, 0n)).toEqual({ fault: 'permission L2' })
    expect(tripAnswer64(0x3cn << 26n, 0n)).toEqual({ fault: 'exception class 0x3c' })
    expect(tripAnswer32((0x12n << 26n) | BigInt(HVC_VECTOR + 3) | (0x0dn << 32n))).toEqual({ fault: 'permission L1' })
  })
})

describe('guest programs', () => {
  it.each([
    ['A32', a32Guest(0x4020_0000)],
    ['A64', a64Guest(0x4020_0000)],
    ['RV32', rvGuest(32, 0x8000_0000)],
    ['RV64', rvGuest(64, 0x8000_0000)],
  ])('%s ends before its mailbox', (_, code) => {
    expect(code.length).toBeGreaterThan(100)
    expect(code.length).toBeLessThan(MAILBOX_OFFSET)
  })

  it('x86: 64 KiB that begin with a jump at reset', () => {
    const firmware = x86Firmware(5)
    expect(firmware).toHaveLength(0x1_0000)
    expect([...firmware.slice(0xfff0, 0xfff3)]).toEqual([0xe9, 0x0d, 0x10])
  })

  it('a mailbox has its requests where the results are found', () => {
    const packed = packMailbox([7n], [{ address: 0x123n, op: 2, arg: 3n, arg2: -1n }])
    const entries = packed.subarray(ENTRIES - 8)
    expect(unpackEntries(entries)).toEqual([{ address: 0x123n, first: 3n, second: (1n << 64n) - 1n }])
  })
})
