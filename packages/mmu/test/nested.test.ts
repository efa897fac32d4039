/** Stage 1 below which stage 2 stands: every pair that CPUs have, against the two stages asked by hand. */
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { arm64LpaeS2 } from '@io-pgtable/arm64-lpae-s2'
import { AccessRules, type AnyFmt, type FoundRoot, IoPageTable, Prot, pgsizeBitmap, type ReadMemory, SZ_2M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { riscv64 } from '@io-pgtable/riscv64'
import { riscv64G } from '@io-pgtable/riscv64-g'
import { x8664 } from '@io-pgtable/x86-64'
import { describe, expect, test } from 'vitest'
import { seededIntegers } from '../../conformance/src/seeded-integers.ts'
import { Access, Mmu, Tlb } from '../src/index.ts'

const RW = Prot.READ | Prot.WRITE
const sizes = pgsizeBitmap(SZ_4K, SZ_2M)
/** The host's memory: stage 2's tables, then the guest's memory, whose addresses begin elsewhere. */
const HOST = 0x1_0000_0000n
const GUEST_AT = HOST + 0x20_0000n
const GUEST = 0x4000_0000n
const GUEST_BYTES = 0x40_0000

interface Pair {
  readonly name: string
  readonly first: AnyFmt
  readonly second: AnyFmt
  readonly firstConfig: AnyFmt['configs'][number]['config']
  readonly secondConfig: AnyFmt['configs'][number]['config']
}

const PAIRS: readonly Pair[] = [
  {
    name: 'Arm, stage 1 over stage 2',
    first: arm64LpaeS1,
    second: arm64LpaeS2,
    firstConfig: { pgsizeBitmap: sizes, ias: 39, oas: 40 },
    secondConfig: { pgsizeBitmap: sizes, ias: 40, oas: 40 },
  },
  {
    name: 'RISC-V, VS over G',
    first: riscv64,
    second: riscv64G,
    firstConfig: { pgsizeBitmap: sizes, ias: 39, oas: 56, quirks: ['SIGN_EXTEND'] },
    secondConfig: { pgsizeBitmap: sizes, ias: 41, oas: 56 },
  },
  {
    name: 'x86-64 over nested paging',
    first: x8664,
    second: x8664,
    firstConfig: { pgsizeBitmap: sizes, ias: 48, oas: 46, quirks: ['SIGN_EXTEND', 'NX'] },
    secondConfig: { pgsizeBitmap: sizes, ias: 47, oas: 46, quirks: ['NX'] },
  },
]

function build({ first, second, firstConfig, secondConfig }: Pair, tlbs = false) {
  const host = new Uint8Array(0x20_0000 + GUEST_BYTES)
  const s2 = IoPageTable.createRaw(second, { allocator: new PtPool({ base: HOST, memory: host.subarray(0, 0x20_0000) }), ...secondConfig })
  const guest = new PtPool({ base: GUEST, memory: host.subarray(0x20_0000) })
  const s1 = IoPageTable.createRaw(first, { allocator: guest, ...firstConfig })
  s2.mapRange(GUEST, GUEST_AT, GUEST_BYTES, RW)
  const rootOf = (table: IoPageTable<AnyFmt>, format: AnyFmt): FoundRoot<unknown, unknown> => ({
    ...{ name: 'root', params: format.params(table.config), roots: table.roots, first: 0n, last: (1n << 64n) - 1n },
    context: format.context(table.config),
  })
  const memory = [{ base: HOST, bytes: host }]
  const below = new Mmu(second, { memory, roots: [rootOf(s2, second)], ...(tlbs && { tlb: new Tlb({ ways: 4 }) }) })
  const mmu = new Mmu(first, { memory, roots: [rootOf(s1, first)], below })
  return { s1, s2, below, mmu, host, rules: new AccessRules(first, s1.geometry, rootOf(s1, first).context) }
}

describe.each(PAIRS)('$name', (pair) => {
  test('addresses, and the faults of either stage', () => {
    const { s1, s2, mmu } = build(pair)
    s1.mapPages(0x1000n, GUEST + 0x30_0000n, SZ_4K, 4, RW)
    s1.mapPages(0x8000n, 0x9000_0000n, SZ_4K, 1, RW)
    s1.mapPages(0x9000n, GUEST + 0x30_0000n, SZ_4K, 1, Prot.READ)
    expect(mmu.access(0x1234n, Access.WRITE)).toBe(GUEST_AT + 0x30_0234n)
    expect(mmu.size).toBe(SZ_4K)
    expect(mmu.access(0x9000n, Access.WRITE)).toBe(-1n)
    expect(mmu.fault()).toMatchObject({ type: 'permission', stage: 1, onWalk: false })
    expect(mmu.access(0x8010n, Access.READ)).toBe(-1n)
    expect(mmu.fault()).toMatchObject({ type: 'translation', stage: 2, onWalk: false, iova: 0x8010n, ipa: 0x9000_0010n })
    expect(mmu.access(0x7f_0000_0000n & ((1n << 38n) - 1n), Access.READ)).toBe(-1n)
    expect(mmu.fault()).toMatchObject({ type: 'translation', stage: 1, onWalk: false })
    // the guest's tables, all of them
    s2.cut(GUEST)
    s2.unmap(GUEST, SZ_2M)
    expect(mmu.access(0x1234n, Access.WRITE)).toBe(-1n)
    const fault = mmu.fault()
    expect(fault).toMatchObject({ type: 'translation', stage: 2, onWalk: true, iova: 0x1234n, access: 'write' })
    expect((fault?.ipa ?? 0n) >= GUEST && (fault?.ipa ?? 0n) < GUEST + 0x20_0000n).toBe(true)
  })

  test('random tables, with and without a TLB for fetches', () => {
    const integers = seededIntegers(3)
    const { s1, s2, mmu, below, rules, host } = build(pair)
    const fast = build(pair, true)
    const mapped: bigint[] = []
    for (let i = 0; i < 200; i++) {
      const iova = BigInt(integers(1 << 18)) << 12n
      const paddr = GUEST + BigInt(integers(0x300)) * 0x1000n + BigInt(integers(2)) * 0x20_0000n
      const prot = integers(3) === 0 ? Prot.READ : RW
      if (mapped.includes(iova)) continue
      mapped.push(iova)
      for (const table of [s1, fast.s1]) table.mapPages(iova, paddr, SZ_4K, 1, prot)
    }
    for (let i = 0; i < 30; i++) {
      const at = GUEST + BigInt(integers(GUEST_BYTES / 4096)) * 0x1000n
      const gone = integers(2) === 0
      for (const table of [s2, fast.s2]) {
        if (table.iovaToPhys(at) === undefined) continue
        table.protect(at, SZ_4K, Prot.READ, { cut: true } as never)
        if (gone) table.unmap(at, SZ_4K)
      }
    }
    const counts = { through: 0, first: 0, walks: 0, ends: 0 }
    for (const iova of [...mapped, ...mapped.map((one) => one + 0x1000n)])
      for (const access of [Access.READ, Access.WRITE]) {
        const want = byHand(iova, access, below, rules, s1.roots, host)
        const got = mmu.access(iova, access)
        const fault = mmu.fault()
        const answer = got === -1n ? { type: fault?.type, stage: fault?.stage, onWalk: fault?.onWalk, ipa: fault?.ipa } : got
        expect(answer, `0x${iova.toString(16)}`).toEqual(want)
        expect(fast.mmu.access(iova, access)).toBe(got)
        if (got !== -1n) counts.through++
        else if (fault?.stage === 1) counts.first++
        else if (fault?.onWalk) counts.walks++
        else counts.ends++
      }
    for (const count of Object.values(counts)) expect(count, JSON.stringify(counts)).toBeGreaterThan(0)
  })
})

/** The two stages, one after the other: `below` is asked for each table, and for the address that comes out. */
function byHand(iova: bigint, access: number, below: Mmu, rules: AccessRules, roots: readonly bigint[], host: Uint8Array): unknown {
  let onWalk: unknown
  const read: ReadMemory = (ipa, bytes) => {
    const paddr = below.access(ipa, Access.READ)
    if (paddr === -1n) {
      onWalk = { type: below.fault()?.type, stage: 2, onWalk: true, ipa }
      return undefined
    }
    return host.subarray(Number(paddr - HOST), Number(paddr - HOST) + bytes)
  }
  const verdict = rules.translate(roots, read, iova)
  if (onWalk !== undefined) return onWalk
  const fault = rules.fault(verdict, { access: access === Access.READ ? 'read' : 'write', privileged: false })
  if (fault !== undefined) return { type: fault.type, stage: 1, onWalk: false, ipa: undefined }
  const paddr = below.access(verdict.paddr ?? 0n, access)
  return paddr === -1n ? { type: below.fault()?.type, stage: 2, onWalk: false, ipa: verdict.paddr } : paddr
}

test('what hardware reports of stage 2', () => {
  const [arm, riscv] = PAIRS as [Pair, Pair]
  const a = build(arm)
  expect(a.mmu.access(0x1234n, Access.WRITE)).toBe(-1n)
  a.s1.mapPages(0x1000n, 0x9000_0000n, SZ_4K, 1, RW)
  expect(a.mmu.access(0x1234n, Access.WRITE)).toBe(-1n)
  expect(a.mmu.fault()?.arch?.codes).toEqual({ FSC: 0x05, WnR: 1, S1PTW: 0, FIPA: 0x9_0000 })
  const r = build(riscv)
  r.s1.mapPages(0x1000n, 0x9000_0000n, SZ_4K, 1, RW)
  expect(r.mmu.access(0x1234n, Access.WRITE)).toBe(-1n)
  expect(r.mmu.fault()?.arch?.codes).toEqual({ cause: 23, htval: 0x9000_0234 >>> 2 })
})
