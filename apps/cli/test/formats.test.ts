/** What must hold of every format that the command has, in each of its configurations. */
import { agreedConfig, IoPageTable, IoPgtableError, inputRanges, Prot, pageSizes, SZ_16K, walkTables } from '@io-pgtable/core'
import { checkTables, LeafDump, type Tables, tableStats } from '@io-pgtable/inspect'
import { PtPool } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { FORMATS } from '../src/formats.ts'

/** Every configuration of every format that makes tables. */
const CASES = FORMATS.filter(({ writes }) => writes !== false).flatMap((format) =>
  format.configs.map(({ name, config }) => ({ id: format.FORMAT, name, format, config })),
)

function messageOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof IoPgtableError && error.code === 'EINVAL') return error.message
    throw error
  }
  return 'nothing was thrown'
}

describe('members of a configuration', () => {
  test.each(CASES)('$id $name: one that is misspelled is refused, and those that there are are told', ({ format, config }) => {
    const agreed = agreedConfig(format, config)
    // what was agreed is a request, too
    expect(agreedConfig(format, agreed)).toEqual(agreed)
    for (const member of Object.keys(agreed)) {
      const slip = { ...config, [`${member}s`]: agreed[member as keyof typeof agreed] }
      const message = messageOf(() => agreedConfig(format, slip))
      expect(message).toContain(`there is no member "${member}s": ${Object.keys(agreed).join(', ')}`)
      const allocator = new PtPool({ base: 0n, size: 2 ** 21 })
      expect(messageOf(() => IoPageTable.createRaw(format, { ...slip, allocator }))).toContain(`"${member}s"`)
      expect(allocator.leaks()).toEqual([])
    }
  })
})

describe('what may be executed', () => {
  const SIZE = 2 ** 22
  const RW = Prot.READ | Prot.WRITE

  /** A table with pages of these rights, one behind the other, of the same memory where `alias` says so; undefined where they cannot be had. */
  function checked({ format, config }: (typeof CASES)[number], prots: readonly number[], isAlias: boolean): string[] | undefined {
    const memory = new Uint8Array(SIZE)
    const table = IoPageTable.createRaw(format, { ...config, allocator: new PtPool({ base: 0n, memory }) })
    const { geometry, roots, context } = table
    const [size = 0] = pageSizes(table.config.pgsizeBitmap)
    const ranges = inputRanges(geometry)
    const first = ranges[0]?.first ?? 0n
    for (const [i, prot] of prots.entries()) {
      const paddr = BigInt(4 * SIZE) + BigInt(isAlias ? 0 : i * size * 2)
      if (table.mapRange(first + BigInt(i * size), paddr, size, prot).error !== undefined) return undefined
      const last = table.walk(first + BigInt(i * size)).at(-1)
      if (last?.type !== 'leaf' || ((format.prot(last.raw, last.kind, context) ^ prot) & (RW | Prot.NOEXEC)) !== 0) return undefined
    }
    const read = (paddr: bigint, bytes: number) => memory.subarray(Number(paddr), Number(paddr) + bytes)
    const tables: Tables = { name: 'root', format, geometry, context, roots, first, last: ranges.at(-1)?.last ?? 0n, read }
    return checkTables([tables]).findings.map(({ code }) => code)
  }

  /** Every format that can say READ | WRITE with and without NOEXEC, in at least one of its configurations. */
  const CPUS = ['arm-v7s', 'arm32-lpae-s1', 'arm64-lpae-s1', 'riscv64', 'sv32', 'x86-pae', 'x86_64']
  const OTHERS = ['arm-mali-lpae', 'arm32-lpae-s2', 'arm64-lpae-s2', 'riscv64-g', 'x86-ept']

  test('the formats that can say it', () => {
    const able = CASES.filter((each) => checked(each, [RW], false) && checked(each, [RW | Prot.NOEXEC], false))
    expect([...new Set(able.map(({ id }) => id))].sort()).toEqual([...CPUS, ...OTHERS].sort())
  })

  test.each(CASES)('$id $name', (each) => {
    const open = checked(each, [RW], false)
    const closed = checked(each, [RW | Prot.NOEXEC], false)
    if (open === undefined || closed === undefined) return
    const isCpu = CPUS.includes(each.id)
    expect([open, closed]).toEqual([isCpu ? ['writable-executable'] : [], []])
    const aliases = checked(each, [RW | Prot.NOEXEC, Prot.READ], true)
    if (aliases !== undefined) expect(aliases).toEqual(isCpu ? ['alias-permissions'] : [])
    expect(checked(each, [RW | Prot.NOEXEC, Prot.READ], false) ?? []).toEqual([])
  })
})

describe('tables are counted once', () => {
  test.each(CASES)('$id $name, pages at both ends', ({ format, config }) => {
    const memory = new Uint8Array(2 ** 22)
    const table = IoPageTable.createRaw(format, { ...config, allocator: new PtPool({ base: 0n, memory }) })
    const { bitmap, ranges } = { bitmap: table.config.pgsizeBitmap, ranges: inputRanges(table.geometry) }
    const [size = 0] = pageSizes(bitmap)
    const first = ranges[0]?.first ?? 0n
    const last = ranges.at(-1)?.last ?? 0n
    // page 0 has no entry in some formats, and pages of 4K lack some address bits in others
    const paddr = BigInt(Math.max(size, SZ_16K))
    for (const iova of [first, last - BigInt(size) + 1n]) table.map(iova, paddr, size, Prot.READ | Prot.WRITE)
    const { geometry, roots, context } = table
    const read = (paddr: bigint, bytes: number) => memory.subarray(Number(paddr), Number(paddr) + bytes)
    const tables: Tables = { name: 'root', format, geometry, context, roots, first, last, read }
    let expected = roots.length
    walkTables(geometry, roots, read, { table: () => void expected++ })
    const { levels, leaves } = tableStats(tables)
    expect(levels.reduce((sum, level) => sum + level.tables, 0)).toBe(expected)
    expect(leaves.reduce((sum, { count }) => sum + count, 0)).toBe(2)
    expect(checkTables([tables]).tables).toBe(expected)
    const dump = new LeafDump(tables)
    dump.run(() => undefined)
    expect(dump.tablesRead).toBe(expected)
  })
})
