/** An SMMUv3 over structures and tables made by hand: what becomes of transactions, and each record as inspect's decoder reads it. */
import { readFileSync } from 'node:fs'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { arm64LpaeS2 } from '@io-pgtable/arm64-lpae-s2'
import { IoPageTable, IoPgtableError, Prot, pgsizeBitmap, SZ_2M, SZ_4K } from '@io-pgtable/core'
import { decodeFault } from '@io-pgtable/inspect'
import { Access } from '@io-pgtable/mmu'
import { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { Smmuv3 } from '../src/index.ts'

const RW = Prot.READ | Prot.WRITE
const sizes = pgsizeBitmap(SZ_4K, SZ_2M)
const BASE = 0x8000_0000n
/** Guest memory: addresses of stage 1 with stage 2 below it. */
const GUEST = 0x4000_0000n
const GUEST_AT = BASE + 0x40_0000n
const STRTAB = BASE + 0x3f_0000n
const CDS = 0x30_0000n

function build() {
  const ram = new Uint8Array(0x80_0000)
  const words = new BigUint64Array(ram.buffer)
  const write = (at: bigint, values: readonly bigint[]) => words.set(values, Number(at - BASE) / 8)
  const pool = new PtPool({ base: BASE, memory: ram.subarray(0, 0x20_0000) })
  const s2 = IoPageTable.createRaw(arm64LpaeS2, { allocator: pool, pgsizeBitmap: sizes, ias: 40, oas: 40 })
  s2.mapRange(GUEST, GUEST_AT, 0x40_0000, RW)
  const own = IoPageTable.createRaw(arm64LpaeS1, { allocator: pool, pgsizeBitmap: sizes, ias: 39, oas: 40 })
  const guest = new PtPool({ base: GUEST, memory: ram.subarray(0x40_0000, 0x60_0000) })
  const s1 = IoPageTable.createRaw(arm64LpaeS1, { allocator: guest, pgsizeBitmap: sizes, ias: 39, oas: 40 })
  // T0SZ 25, 4K, EPD1, V, IPS 2 (40 bits), AA64, R, A, ASID 5
  const cdOf = (ttb: bigint, asid = 5n) => [
    25n | (1n << 30n) | (1n << 31n) | (2n << 32n) | (1n << 41n) | (3n << 45n) | (asid << 48n),
    ttb,
    0n,
    0x44ff04n,
  ]
  // S2VMID 9, S2T0SZ 24, S2SL0 1, 4K, S2PS 2, S2AA64, S2R
  const second = [9n | (24n << 32n) | (1n << 38n) | (2n << 48n) | (1n << 51n) | (1n << 58n), s2.regs.vttbr & 0xffff_ffff_fff0n]
  const steOf = (config: bigint, context: bigint, more = 0n) => [1n | (config << 1n) | context | more, 0n, ...second, 0n, 0n, 0n, 0n]
  write(GUEST_AT + CDS, cdOf(s1.roots[0] ?? 0n, 6n))
  write(BASE + 0x38_0000n, cdOf(own.roots[0] ?? 0n))
  const ste = (sid: number, values: readonly bigint[]) => write(STRTAB + BigInt(sid * 64), values)
  ste(0, [0n])
  ste(1, steOf(0n, 0n))
  ste(2, steOf(4n, 0n))
  ste(3, steOf(5n, BASE + 0x38_0000n))
  ste(4, steOf(6n, 0n))
  ste(5, steOf(7n, GUEST + CDS))
  const registers = { strtabBase: STRTAB, strtabBaseCfg: 4n }
  const formats = { 'arm64-stage1': arm64LpaeS1, 'arm64-stage2': arm64LpaeS2 }
  const smmu = new Smmuv3({ memory: [{ base: BASE, bytes: ram }], registers, formats })
  return { smmu, s1, s2, own, ste, steOf, write, cdOf, registers }
}

function decoded(answer: ReturnType<Smmuv3['access']>) {
  if (answer.type !== 'abort' || answer.event === undefined) throw new Error(`an event expected, ${answer.type}`)
  return decodeFault(
    'smmuv3',
    answer.event.map((word) => `0x${word.toString(16)}`),
  ) as unknown as Record<string, unknown>
}

describe('streams', () => {
  const { smmu, s1, own, registers } = build()
  own.mapPages(0x1000n, BASE + 0x5000n, SZ_4K, 2, RW)
  s1.mapPages(0x1000n, GUEST + 0x20_0000n, SZ_4K, 2, RW)
  s1.mapPages(0x8000n, 0x9000_0000n, SZ_4K, 1, RW)
  const access = (sid: number, iova: bigint, kind: number = Access.READ, ssid?: number) =>
    smmu.access({ sid, iova, access: kind, ...(ssid !== undefined && { ssid }) })
  const eventWord = (sid: number, iova: bigint, kind?: number, ssid?: number) => {
    const answer = access(sid, iova, kind, ssid)
    return answer.type === 'abort' ? answer.event?.[0] : answer
  }

  test('invalid, abort, bypass, and beyond the table', () => {
    expect(eventWord(0, 0n)).toBe(0x04n)
    expect(access(1, 0n)).toEqual({ type: 'abort', event: undefined })
    expect(access(2, 0x1234n)).toEqual({ type: 'bypass', paddr: 0x1234n })
    expect(eventWord(16, 0n)).toBe(0x10_0000_0002n)
    expect(eventWord(2, 0n, Access.READ, 7)).toBe(0x2_0000_7808n)
    expect(eventWord(3, 0n, Access.READ, 7)).toBe(0x3_0000_7808n)
  })
  test('one stage, and both', () => {
    expect(access(3, 0x1234n, Access.WRITE)).toMatchObject({ type: 'translated', paddr: BASE + 0x5234n, size: SZ_4K })
    expect(access(4, GUEST + 0x20_0010n)).toMatchObject({ type: 'translated', paddr: GUEST_AT + 0x20_0010n })
    expect(access(5, 0x1234n)).toMatchObject({ type: 'translated', paddr: GUEST_AT + 0x20_0234n })
  })
  test('records of faults, as words', () => {
    expect(access(3, 0x9234n, Access.WRITE | Access.PRIVILEGED)).toEqual({
      type: 'abort',
      event: [0x3_0000_0010n, (1n << 33n) | (2n << 40n), 0x9234n, 0n],
    })
    expect(access(5, 0x8010n)).toEqual({
      type: 'abort',
      event: [0x5_0000_0010n, (1n << 35n) | (1n << 39n) | (2n << 40n), 0x8010n, 0x9000_0000n],
    })
    expect(decoded(access(4, 0x9010n, Access.EXECUTE))).toMatchObject({
      ...{ name: 'F_TRANSLATION', sid: 4, ipa: 0x9000n, reserved: 0n, fault: { stage: 2 } },
      access: { iova: 0x9010n, type: 'execute', privileged: false },
    })
  })
  test('stage 2 of a fetch: of a table, and of the context descriptor', () => {
    const fresh = build()
    fresh.s1.mapPages(0x1000n, GUEST + 0x20_0000n, SZ_4K, 1, RW)
    expect(fresh.smmu.access({ sid: 5, iova: 0x1000n, access: Access.READ })).toMatchObject({ type: 'translated' })
    const root = fresh.s1.roots[0] ?? 0n
    const drop = (ipa: bigint) => {
      fresh.s2.cut(ipa)
      fresh.s2.cut(ipa + 0x1000n)
      fresh.s2.unmap(ipa, SZ_4K)
    }
    drop(root)
    const again = () => fresh.smmu.access({ sid: 5, iova: 0x5000n, access: Access.READ })
    // cached: stage 2's own TLB still has the root
    expect(decoded(again())).toMatchObject({ name: 'F_TRANSLATION', fault: { stage: 1 } })
    expect(fresh.smmu.command([40n | (9n << 32n), 0n])).toBe(0)
    const walk = again()
    expect(walk.type === 'abort' && walk.event?.[1]).toBe((1n << 35n) | (1n << 39n) | (1n << 40n) | (1n << 44n))
    expect(walk.type === 'abort' && walk.event?.[3]).toBe(root)
    drop(GUEST + CDS)
    fresh.smmu.command([40n | (9n << 32n), 0n])
    fresh.smmu.command([3n | (5n << 32n), 1n])
    const fetch = again()
    expect(fetch.type === 'abort' && fetch.event?.[1]).toBe((1n << 35n) | (1n << 39n))
    expect(fetch.type === 'abort' && fetch.event?.[3]).toBe(GUEST + CDS)
  })
  test('switched off', () => {
    const off = build()
    off.smmu.load({ ...registers, cr0: 0n })
    expect(off.smmu.access({ sid: 3, iova: 5n, access: Access.READ })).toEqual({ type: 'bypass', paddr: 5n })
    off.smmu.load({ ...registers, cr0: 0n, gbpa: 1n << 20n })
    expect(off.smmu.access({ sid: 3, iova: 5n, access: Access.READ })).toEqual({ type: 'abort', event: undefined })
  })
})

describe('what is cached goes by commands', () => {
  test('translations, by address, ASID, VMID and all', () => {
    const { smmu, own } = build()
    const read = (iova: bigint) => smmu.access({ sid: 3, iova, access: Access.READ }).type
    const ADDRESS = [18n | (9n << 32n) | (5n << 48n), 0x1000n] as const
    for (const command of [
      ADDRESS,
      [17n | (9n << 32n) | (5n << 48n), 0n],
      [16n | (9n << 32n), 0n],
      [19n | (9n << 32n), 0x1000n],
      [48n, 0n],
    ]) {
      own.mapPages(0x1000n, BASE, SZ_4K, 1, RW)
      expect(read(0x1000n)).toBe('translated')
      own.unmap(0x1000n, SZ_4K)
      expect(read(0x1000n)).toBe('translated')
      // of another VMID, ASID, address: they stay
      smmu.command([16n | (8n << 32n), 0n])
      smmu.command([18n | (9n << 32n) | (4n << 48n), 0x1000n])
      smmu.command([18n | (9n << 32n) | (5n << 48n), 0x2000n])
      expect(read(0x1000n)).toBe('translated')
      expect(smmu.command(command)).toBe(0)
      expect(read(0x1000n)).toBe('abort')
    }
    // a range of 4K granules: TG 1, NUM 1, SCALE 1
    own.mapPages(0x1000n, BASE, SZ_4K, 4, RW)
    for (let i = 1n; i <= 4n; i++) read(i << 12n)
    own.unmap(0x1000n, 4 * SZ_4K)
    smmu.command([18n | (1n << 12n) | (1n << 20n) | (9n << 32n) | (5n << 48n), 0x1000n | (1n << 10n)])
    expect([1n, 2n, 3n, 4n].map((i) => read(i << 12n))).toEqual(['abort', 'abort', 'abort', 'abort'])
  })
  test('configurations', () => {
    const { smmu, ste, steOf } = build()
    const type = () => smmu.access({ sid: 2, iova: 0n, access: Access.READ }).type
    for (const command of [
      [3n | (2n << 32n), 0n],
      [4n | (2n << 32n), 1n],
      [4n, 31n],
      [6n | (2n << 32n), 0n],
    ]) {
      ste(2, steOf(4n, 0n))
      smmu.command([4n, 31n])
      expect(type()).toBe('bypass')
      ste(2, steOf(0n, 0n))
      expect(type()).toBe('bypass')
      smmu.command([3n | (3n << 32n), 0n])
      expect(type()).toBe('bypass')
      expect(smmu.command(command)).toBe(0)
      expect(type()).toBe('abort')
    }
  })
  test('a command that is none', () => {
    const { smmu } = build()
    for (const opcode of [0n, 7n, 0x15n, 0x50n, 0xffn]) expect(smmu.command([opcode, 0n])).toBe(1)
    expect(smmu.command([70n, 0n])).toBe(0)
    expect(() => smmu.command([1n])).toThrow(IoPgtableError)
    expect(() => smmu.command([1n << 64n, 0n])).toThrow(IoPgtableError)
  })
})

describe('substreams', () => {
  test('linear, S1DSS, and what is out of the table', () => {
    const { smmu, ste, write, cdOf, own } = build()
    own.mapPages(0x1000n, BASE, SZ_4K, 1, RW)
    const table = BASE + 0x3a_0000n
    write(table + 128n, cdOf(own.roots[0] ?? 0n))
    write(table, cdOf(own.roots[0] ?? 0n))
    const config = (dss: bigint) => {
      ste(6, [1n | (5n << 1n) | table | (2n << 59n), dss])
      smmu.command([4n, 31n])
    }
    const ask = (ssid?: number) => {
      const answer = smmu.access({ sid: 6, iova: 0x1000n, access: Access.READ, ...(ssid !== undefined && { ssid }) })
      return answer.type === 'abort' ? Number((answer.event?.[0] ?? 0n) & 0xffn) : answer.type
    }
    config(0n)
    expect([ask(), ask(0), ask(2), ask(1), ask(4)]).toEqual([6, 'translated', 'translated', 0x0a, 8])
    config(1n)
    expect([ask(), ask(0)]).toEqual(['bypass', 'translated'])
    config(2n)
    expect([ask(), ask(0), ask(2)]).toEqual(['translated', 6, 'translated'])
  })
  test('two levels', () => {
    const { smmu, ste, write, cdOf, own } = build()
    own.mapPages(0x1000n, BASE, SZ_4K, 1, RW)
    const [table, leaf] = [BASE + 0x3a_0000n, BASE + 0x3b_0000n]
    write(table + 8n, [leaf | 1n])
    write(table + 16n, [0x1000_0000n | 1n])
    write(leaf + 3n * 64n, cdOf(own.roots[0] ?? 0n))
    // S1Fmt 1: leaves of 64, S1CDMax 8
    ste(6, [1n | (5n << 1n) | (1n << 4n) | table | (8n << 59n), 0n])
    const ask = (ssid: number) => {
      const answer = smmu.access({ sid: 6, iova: 0x1000n, access: Access.READ, ssid })
      return answer.type === 'abort' ? answer.event : answer.type
    }
    expect(ask(67)).toBe('translated')
    expect(ask(66)?.[0]).toBe(0x6_0004_280an)
    expect(ask(3)?.[0]).toBe(0x6_0000_3808n)
    expect(ask(131)).toEqual([0x6_0008_3809n, 0n, 0n, 0x1000_00c0n])
  })
})

test('the stream table of Linux: every mapping of every stream', () => {
  const url = (name: string) => new URL(`../../inspect/test-data/dumps/linux-smmuv3/${name}`, import.meta.url)
  const expected = JSON.parse(readFileSync(url('expected.json'), 'utf8')) as {
    smmu: Record<string, string>
    streams: { sid: number; mappings: (string | number)[][] }[]
  }
  const elf = new Uint8Array(readFileSync(url('memory.elf')))
  const view = new DataView(elf.buffer, elf.byteOffset)
  const memory = Array.from({ length: view.getUint16(56, true) }, (_, i) => {
    const head = Number(view.getBigUint64(32, true)) + i * view.getUint16(54, true)
    const offset = Number(view.getBigUint64(head + 8, true))
    return { base: view.getBigUint64(head + 24, true), bytes: elf.slice(offset, offset + Number(view.getBigUint64(head + 32, true))) }
  }).filter(({ bytes }) => bytes.length > 0)
  const { STRTAB_BASE = '', STRTAB_BASE_CFG = '', IDR1 = '' } = expected.smmu
  const registers = { strtabBase: BigInt(STRTAB_BASE), strtabBaseCfg: BigInt(STRTAB_BASE_CFG), idr1: BigInt(IDR1) }
  const smmu = new Smmuv3({ memory, registers, formats: { 'arm64-stage1': arm64LpaeS1 } })
  let mappings = 0
  for (const { sid, mappings: rows } of expected.streams)
    for (const [iova, paddr, size] of rows) {
      const last = BigInt(Number(size) - 1)
      const answer = smmu.access({ sid, iova: BigInt(iova ?? 0) + last, access: Access.READ | Access.PRIVILEGED })
      expect(answer).toMatchObject({ type: 'translated', paddr: BigInt(paddr ?? 0) + last })
      mappings++
    }
  expect(mappings).toBeGreaterThan(100)
})

test('what is refused', () => {
  const { smmu, registers } = build()
  const wrong = [{ sid: -1 }, { sid: 2 ** 32 }, { sid: 1.5 }, { ssid: 2 ** 20 }, { access: 0 }, { access: 16 }, { iova: 1n << 64n }]
  for (const one of wrong) expect(() => smmu.access({ sid: 0, iova: 0n, access: Access.READ, ...one })).toThrow(IoPgtableError)
  expect(() => smmu.load({ ...registers, strtabBaseCfg: 3n << 16n })).toThrow('FMT 3 is reserved')
})
