/** A live view of hand-made tables: addresses, faults, registers, memory in pieces that grow and go away, and what is refused. */
import { appleDart } from '@io-pgtable/apple-dart'
import { armV7s } from '@io-pgtable/arm-v7s'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { deposit, IoPageTable, IoPgtableError, nodeOf, Prot, pgsizeBitmap, SZ_1G, SZ_2M, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { riscv64 } from '@io-pgtable/riscv64'
import { x8664 } from '@io-pgtable/x86-64'
import { describe, expect, test } from 'vitest'
import { Access, faultCode, faultType, Lane, lanes, Mmu } from '../src/index.ts'

const RW = Prot.READ | Prot.WRITE
const sizes = pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G)
const arm = { pgsizeBitmap: sizes, ias: 48, oas: 48 }
const SV39 = { pgsizeBitmap: sizes, ias: 39, oas: 56, quirks: ['SIGN_EXTEND'] } as const

function armTable(base = 0x8000_0000n, bytes = 1 << 20) {
  const memory = new Uint8Array(bytes)
  const table = IoPageTable.createRaw(arm64LpaeS1, { allocator: new PtPool({ base, memory }), ...arm })
  const registers = arm64LpaeS1.hardware?.(table.config, table.regs)
  if (registers === undefined) throw new Error('registers expected')
  return { table, memory: [{ base, bytes: memory }], registers }
}

function codeOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    if (error instanceof IoPgtableError) return `${error.code}: ${error.message}`
    throw error
  }
  return 'no error'
}

describe('an access', () => {
  const { table, memory, registers } = armTable()
  table.mapPages(0x1000n, 0x5000_0000n, SZ_4K, 4, RW)
  table.mapPages(0x10_0000_0000n, 0xab_c000_0000n, SZ_2M, 2, Prot.READ)
  const mmu = new Mmu(arm64LpaeS1, { memory, registers })

  test('as a bigint, a number and lanes', () => {
    expect(mmu.access(0x2345n, Access.READ)).toBe(0x5000_1345n)
    expect([mmu.size, mmu.rights, mmu.fault()]).toEqual([SZ_4K, 0b011_111, undefined])
    expect(mmu.accessNumber(0x10_0020_1234, Access.READ)).toBe(0xab_c020_1234)
    expect(mmu.size).toBe(SZ_2M)
    expect(mmu.accessLanes(0x10, 0x20_1234, Access.READ)).toBe(0)
    expect([lanes[Lane.PADDR_HI], (lanes[Lane.PADDR_LO] ?? 0) >>> 0]).toEqual([0xab, 0xc020_1234])
    expect(mmu.memory?.caching).toBe('uncached')
  })
  test('faults are data', () => {
    expect(mmu.access(0x10_0000_0000n, Access.WRITE)).toBe(-1n)
    expect(mmu.fault()).toMatchObject({
      ...{ type: 'permission', level: 2, access: 'write', privileged: false, stage: 1, iova: 0x10_0000_0000n, onWalk: false },
      arch: { codes: { FSC: 0b001110, WnR: 1 } },
    })
    expect(mmu.accessNumber(0x10_0000_0000, Access.ATOMIC | Access.PRIVILEGED)).toBe(-1)
    expect(mmu.fault()).toMatchObject({ type: 'permission', access: 'write', privileged: true })
    expect(faultType(mmu.accessLanes(0, 0, Access.EXECUTE))).toBe('translation')
    expect(mmu.fault()).toMatchObject({ type: 'translation', level: 3, access: 'execute' })
    expect(mmu.access(1n << 48n, Access.READ)).toBe(-1n)
    expect(mmu.fault()).toMatchObject({ type: 'translation', level: undefined })
    expect([faultType(0), faultCode('translation')]).toEqual([undefined, 1])
  })
  test('sees at once what is written to the tables', () => {
    expect(mmu.access(0x9000n, Access.READ)).toBe(-1n)
    table.mapPages(0x9000n, 0x7000_0000n, SZ_4K, 1, RW)
    expect(mmu.access(0x9000n, Access.READ)).toBe(0x7000_0000n)
    table.protect(0x9000n, SZ_4K, Prot.READ)
    expect(mmu.access(0x9000n, Access.WRITE)).toBe(-1n)
    table.unmap(0x9000n, SZ_4K)
    expect(mmu.access(0x9000n, Access.READ)).toBe(-1n)
  })
  test('that does not exist', () => {
    for (const access of [0, 5, 6, 7, 8, 13, 16, -1, 1.5, Number.NaN])
      expect(
        codeOf(() => mmu.accessLanes(0, 0, access)),
        String(access),
      ).toContain('EINVAL: ')
    expect(codeOf(() => mmu.access(1n << 64n, Access.READ))).toContain('ERANGE')
    expect(codeOf(() => mmu.access(-1n, Access.READ))).toContain('-0x1')
    expect(codeOf(() => mmu.access(5 as unknown as bigint, Access.READ))).toContain('ERANGE')
    expect(codeOf(() => mmu.accessNumber(2 ** 53, Access.READ))).toContain('ERANGE')
    expect(codeOf(() => mmu.accessNumber(0.5, Access.READ))).toContain('ERANGE')
  })
})

describe('registers', () => {
  test('two roots, each for its half', () => {
    const low = armTable()
    const memory = new Uint8Array(1 << 20)
    const pool = new PtPool({ base: 0x9000_0000n, memory })
    const high = IoPageTable.createRaw(arm64LpaeS1, { allocator: pool, ...arm, quirks: ['ARM_TTBR1'] })
    low.table.mapPages(0n, 0x1000n, SZ_4K, 1, RW)
    high.mapPages(0xffff_0000_0000_0000n, 0x2000n, SZ_4K, 1, RW)
    const EPD = (1n << 7n) | (1n << 23n)
    const tcr = (low.table.regs.tcrValue | high.regs.tcrValue) & ~EPD
    const registers = { ttbr0: low.table.regs.ttbr, ttbr1: high.regs.ttbr, tcr, mair: high.regs.mair }
    const mmu = new Mmu(arm64LpaeS1, { memory: [...low.memory, { base: 0x9000_0000n, bytes: memory }], registers })
    expect(mmu.access(0x123n, Access.READ)).toBe(0x1123n)
    expect(mmu.access(0xffff_0000_0000_0123n, Access.READ)).toBe(0x2123n)
    expect(mmu.access(0x0001_0000_0000_0000n, Access.READ)).toBe(-1n)
    expect(mmu.fault()).toMatchObject({ type: 'translation', level: undefined, iova: 0x0001_0000_0000_0000n })
    // TBI1: a tag is not translated, and told as it is
    mmu.load({ ...registers, tcr: tcr | (1n << 38n) })
    expect(mmu.access(0xabff_0000_0000_0123n, Access.READ)).toBe(0x2123n)
    expect(mmu.access(0xabff_0000_0000_1123n, Access.READ)).toBe(-1n)
    expect(mmu.fault()?.iova).toBe(0xabff_0000_0000_1123n)
  })
  test('state that changes from access to access', () => {
    const memory = new Uint8Array(1 << 20)
    const table = IoPageTable.createRaw(riscv64, { allocator: new PtPool({ base: 0x8000_0000n, memory }), ...SV39 })
    table.mapPages(0x1000n, 0x2000n, SZ_4K, 1, RW)
    const mmu = new Mmu(riscv64, { memory: [{ base: 0x8000_0000n, bytes: memory }], registers: { satp: table.regs.satp } })
    expect(mmu.access(0x1000n, Access.READ)).toBe(0x2000n)
    expect(mmu.access(0x1000n, Access.READ | Access.PRIVILEGED)).toBe(-1n)
    expect(mmu.fault()?.arch?.codes).toEqual({ cause: 13 })
    mmu.setState({ SUM: true })
    expect(mmu.access(0x1000n, Access.READ | Access.PRIVILEGED)).toBe(0x2000n)
    mmu.setState({ SUM: false })
    expect(mmu.access(0x1000n, Access.READ | Access.PRIVILEGED)).toBe(-1n)
    expect(mmu.access(1n << 40n, Access.WRITE)).toBe(-1n)
    expect(mmu.fault()).toMatchObject({ type: 'not-canonical', arch: { codes: { cause: 15 } } })
  })
  test('that no hardware accepts, or that lead nowhere', () => {
    const memory = [{ base: 0n, bytes: new Uint8Array(4096) }]
    expect(codeOf(() => new Mmu(x8664, { memory, registers: { cr3: 0n, cr4: 0n } }))).toContain('EINVAL: rootsFromRegs')
    expect(codeOf(() => new Mmu(x8664, { memory }))).toContain('registers with tables, or roots, expected')
    const mmu = new Mmu(x8664, { memory, registers: { cr3: 0n, cr4: 0x20n } })
    expect(codeOf(() => mmu.load({ cr3: 0n, cr4: 0n }))).toContain('EINVAL')
    expect(mmu.access(0n, Access.READ)).toBe(-1n)
  })
})

describe('memory', () => {
  test('more than 4 GiB apart, in any order, of any kind of view', () => {
    // the root and the first tables are below a limit of 4 GiB, the last ones above it
    const { table, memory, registers } = armTable(0x1f_ffe0_0000n, 4 << 20)
    for (let i = 0n; i < 600n; i++) table.mapPages(i << 21n, i << 12n, SZ_4K, 1, RW)
    const bytes = memory[0]?.bytes ?? new Uint8Array()
    const first = new Uint16Array(bytes.buffer, 0, 1 << 20)
    const rest = new DataView(bytes.buffer, 1 << 21)
    const pieces = [
      { base: 0x20_0000_0000n, bytes: rest },
      { base: 0x1000n, bytes: new SharedArrayBuffer(4096) },
      { base: 0x1f_ffe0_0000n, bytes: first },
    ]
    const whole = new Mmu(arm64LpaeS1, { memory, registers })
    const cut = new Mmu(arm64LpaeS1, { memory: pieces, registers })
    const less = new Mmu(arm64LpaeS1, { memory: pieces.slice(1), registers })
    let missing = 0
    for (let i = 0n; i < 600n; i++) {
      const iova = (i << 21n) + 0x10n
      expect([whole.access(iova, Access.READ), cut.access(iova, Access.READ)]).toEqual([(i << 12n) + 0x10n, (i << 12n) + 0x10n])
      if (less.access(iova, Access.READ) !== -1n) continue
      missing++
      expect(less.fault()).toMatchObject({ type: 'unknown-memory', arch: { codes: { FSC: 0x14 | (less.fault()?.level ?? 0) } } })
    }
    expect(missing).toBeGreaterThan(50)
  })
  test.each(['shared', 'own'])('WebAssembly.Memory that grows: %s', (kind) => {
    const shared = kind === 'shared'
    const grown = new WebAssembly.Memory({ initial: 1, maximum: 16, shared })
    const { table, memory, registers } = armTable(0x8000_0000n, 1 << 20)
    table.mapPages(0n, 0x1000n, SZ_4K, 1, RW)
    const bytes = memory[0]?.bytes ?? new Uint8Array()
    const root = { ...registers, ttbr0: 0x8000_0000n + 0x1_0000n }
    const mmu = new Mmu(arm64LpaeS1, { memory: [{ base: 0x8000_0000n, bytes: grown }], registers: root })
    expect(mmu.access(0x10n, Access.READ)).toBe(-1n)
    expect(mmu.fault()).toMatchObject({ type: 'unknown-memory', level: 0 })
    grown.grow(15)
    // the tables as they are, and the root where memory was not yet
    new Uint8Array(grown.buffer).set(bytes)
    new Uint8Array(grown.buffer).copyWithin(
      0x1_0000,
      Number((registers.ttbr0 ?? 0n) - 0x8000_0000n),
      Number((registers.ttbr0 ?? 0n) - 0x8000_0000n) + 4096,
    )
    expect(mmu.access(0x10n, Access.READ)).toBe(0x1010n)
    expect(mmu.access(0x1000n, Access.READ)).toBe(-1n)
    expect(mmu.fault()?.type).toBe('translation')
  })
  test('that is gone is unknown', () => {
    const { table, memory, registers } = armTable()
    table.mapPages(0n, 0x1000n, SZ_4K, 1, RW)
    const mmu = new Mmu(arm64LpaeS1, { memory, registers })
    expect(mmu.access(0n, Access.READ)).toBe(0x1000n)
    structuredClone(memory[0]?.bytes.buffer, { transfer: [memory[0]?.bytes.buffer as ArrayBuffer] })
    expect(mmu.access(0n, Access.READ)).toBe(-1n)
    expect(mmu.fault()?.type).toBe('unknown-memory')
  })
  test('that is refused', () => {
    const { registers } = armTable()
    const refused = (...memory: { base: bigint; bytes: Uint8Array }[]) => codeOf(() => new Mmu(arm64LpaeS1, { memory, registers }))
    const bytes = new Uint8Array(8192)
    expect(refused()).toContain('EINVAL: Mmu: memory: one piece at least expected')
    expect(refused({ base: 0n, bytes }, { base: 0x1ff8n, bytes })).toContain('the piece at 0x1ff8 overlaps the one at 0x0')
    expect(refused({ base: 4n, bytes })).toContain('the base 0x4 is not aligned')
    expect(refused({ base: 0n, bytes: bytes.subarray(4) })).toContain('begin at 4: a multiple of 8 expected')
    expect(refused({ base: -8n, bytes })).toContain('must be an address')
    expect(refused({ base: 0n, bytes: [] as unknown as Uint8Array })).toContain('no buffer, view or WebAssembly.Memory')
    expect(refused({ base: 0n, bytes: undefined as unknown as Uint8Array })).toContain('no buffer, view or WebAssembly.Memory')
  })
})

describe('what is kept', () => {
  test('memos miss once for each pattern, and blocks and pages have their own', () => {
    const { table, memory, registers } = armTable(0x8000_0000n, 4 << 20)
    for (let i = 0n; i < 64n; i++) table.mapPages(i << 21n, 0x1_0000_0000n + (i << 21n), i % 2n === 0n ? SZ_2M : SZ_4K, 1, RW)
    const mmu = new Mmu(arm64LpaeS1, { memory, registers })
    const visit = () => {
      for (let i = 0n; i < 64n; i++) mmu.access(i << 21n, Access.READ)
    }
    visit()
    const { memoMisses, patterns } = mmu.counts
    for (let i = 0; i < 10; i++) visit()
    expect({ memoMisses, patterns }).toEqual({ memoMisses: 5, patterns: 5 })
    expect(mmu.counts).toEqual({ memoMisses: 5, patterns: 5 })
  })
  test('nothing: a million accesses by lanes and by numbers', () => {
    const { table, memory, registers } = armTable(0x8000_0000n, 4 << 20)
    table.mapPages(0n, 0x1_0000_0000n, SZ_4K, 4096, RW)
    const mmu = new Mmu(arm64LpaeS1, { memory, registers })
    const run = (count: number) => {
      let sum = 0
      for (let i = 0; i < count; i++)
        sum ^= mmu.accessLanes(0, (i << 12) & 0xff_f000, Access.READ) ^ mmu.accessNumber((i << 12) & 0xff_f000, Access.WRITE)
      return sum
    }
    run(200_000)
    const before = process.memoryUsage().heapUsed
    run(1_000_000)
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(1 << 20)
  })
})

describe('what a pattern alone does not tell', () => {
  test('the same leaf below tables of two domains', () => {
    const ram = new Uint32Array(0x2_0000 / 4)
    // domain 0 is a client's, nobody may use domain 1
    ram[0x4000 / 4] = 0x1001
    ram[0x4004 / 4] = 0x1421
    ram[0x1000 / 4] = 0x5032
    ram[0x1400 / 4] = 0x5032
    const registers = { ttbr0: 0x4000n, ttbcr: 0n, dacr: 1n, sctlr: 0n }
    const mmu = new Mmu(armV7s, { memory: [{ base: 0n, bytes: ram }], registers })
    for (let i = 0; i < 4; i++) {
      expect(mmu.access(0x10n, Access.READ)).toBe(0x5010n)
      expect(mmu.access(0x10_0010n, Access.READ)).toBe(-1n)
      expect(mmu.fault()).toMatchObject({ type: 'domain', level: 2 })
    }
    expect(mmu.counts.patterns).toBe(4)
  })
  test('a table that lies across 4 GiB', () => {
    const base = 0xffff_0000n
    const ram = new BigUint64Array(0x2_0000 / 8)
    const registers = { ttbrs: [base + 0x1_4000n], nLevels: 3, pgsize: 16_384 } as const
    const [root] = appleDart.rootsFromRegs(registers)
    const geometry = appleDart.geometry(root?.params ?? ({} as never))
    const raw = (node: string, paddr: bigint): bigint => {
      const kind = nodeOf(geometry, node).kinds.find(({ type }) => type === 'table' || type === 'leaf')
      return kind !== undefined && 'address' in kind ? kind.set | deposit(paddr, kind.address) : 0n
    }
    ram[0x1_4000 / 8] = raw('L1', 0xffff_f000n)
    ram[0xf000 / 8 + 600] = raw('L2', 0x2_0000_0000n)
    ram[0xf000 / 8 + 5] = raw('L2', 0x3_0000_0000n)
    const mmu = new Mmu(appleDart, { memory: [{ base, bytes: ram }], registers })
    for (let i = 0; i < 3; i++) {
      expect(mmu.access((600n << 14n) + 5n, Access.READ)).toBe(0x2_0000_0005n)
      expect(mmu.access((5n << 14n) + 5n, Access.READ)).toBe(0x3_0000_0005n)
    }
  })
})
