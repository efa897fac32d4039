/**
 * The rights of every path in the tables of real kernels are those that an independent walker found: the column `eff` of the expected files,
 * which is the path before the regime. The four dumps that have no such column have those of the descriptors' fields, or the descriptors: what
 * they say is put together here, and their tables take nothing away.
 */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { amdV1 } from '@io-pgtable/amdv1'
import { armV7s } from '@io-pgtable/arm-v7s'
import { arm32LpaeS1 } from '@io-pgtable/arm32-lpae-s1'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { type AnyFmt, type FoundRoot, nodeOf, type ReadMemory, Right, type Rights } from '@io-pgtable/core'
import { loongarch64 } from '@io-pgtable/loongarch64'
import { ppc64Radix } from '@io-pgtable/ppc64-radix'
import { riscv64 } from '@io-pgtable/riscv64'
import { riscv64G } from '@io-pgtable/riscv64-g'
import { s390Dat } from '@io-pgtable/s390-dat'
import { vtdSs } from '@io-pgtable/vtdss'
import { x8632 } from '@io-pgtable/x86-32'
import { x8664 } from '@io-pgtable/x86-64'
import { x86Pae } from '@io-pgtable/x86-pae'
import { expect, test } from 'vitest'
import { bytesSource, openImage } from '../src/index.ts'
import { forEachPath } from './support/path-rights.ts'

type Json = Readonly<Record<string, unknown>>
type Row = readonly (string | number)[]

function readFile(dump: string, name: string): Uint8Array {
  const url = new URL(`../test-data/dumps/${dump}/${name}`, import.meta.url)
  try {
    return new Uint8Array(gunzipSync(readFileSync(new URL(`${url.href}.gz`))))
  } catch {
    return new Uint8Array(readFileSync(url))
  }
}

const USER = Right.USER
const PRIVILEGED = Right.PRIVILEGED
const DATA = Right.READ | Right.WRITE

/** u or s, w or r, x: x86. */
function ofX86(eff: string): Rights {
  return (eff[0] === 'u' ? Right.ALL : PRIVILEGED) & ~(eff[1] === 'w' ? 0 : Right.WRITE) & ~(eff[2] === 'x' ? 0 : Right.EXECUTE)
}

/** The same of nested tables, where a party is missing: one that a user may not use is nobody's. */
function ofArm64(eff: string): Rights {
  const data = (eff[1] === 'w' ? DATA : Right.READ) & (eff[0] === 'u' ? Right.ALL : PRIVILEGED)
  return data | (eff[2] === 'P' ? PRIVILEGED & Right.EXECUTE : 0) | (eff[3] === 'U' ? USER & Right.EXECUTE : 0)
}

/** AArch32: XN, the column U, is of both privileges. */
function ofArm32(eff: string): Rights {
  return ofArm64(eff[3] === 'U' ? eff : `${eff.slice(0, 2)}--`)
}

/** u or s, r, w, x; S-mode does not execute pages of users. */
function ofRiscv(eff: string): Rights {
  const all = (eff[1] === 'r' ? Right.READ : 0) | (eff[2] === 'w' ? Right.WRITE : 0) | (eff[3] === 'x' ? Right.EXECUTE : 0)
  return eff[0] === 'u' ? all & ~(PRIVILEGED & Right.EXECUTE) : all & PRIVILEGED
}

/** u (PLV 3, the kernel's too) or s, r, w, x. */
function ofLoongArch(eff: string): Rights {
  const all = (eff[1] === 'r' ? Right.READ : 0) | (eff[2] === 'w' ? Right.WRITE : 0) | (eff[3] === 'x' ? Right.EXECUTE : 0)
  return eff[0] === 'u' ? all : all & PRIVILEGED
}

/** One party: r, w, x. */
function ofS390(eff: string): Rights {
  return (eff[0] === 'r' ? Right.READ : 0) | (eff[1] === 'w' ? Right.WRITE : 0) | (eff[2] === 'x' ? Right.EXECUTE : 0)
}

function ofGuest(eff: string): Rights {
  const user = ofRiscv(eff) & USER
  return user | (user << 3)
}

function ofDevice(eff: string): Rights {
  return (eff[0] === 'r' ? Right.READ : 0) | (eff[1] === 'w' ? Right.WRITE : 0)
}

interface Root {
  readonly format: AnyFmt
  readonly registers: unknown
  readonly rows: readonly Row[]
  /** The found root's name, where registers lead to several. */
  readonly name?: string
  readonly rights: (row: Row) => Rights
  /** The level of a row, where its column has something else. */
  readonly level?: (row: Row) => number
  /** Rights that the rows cannot tell. */
  readonly untold?: Rights
}

const byEff =
  (rights: (eff: string) => Rights) =>
  (row: Row): Rights =>
    rights(String(row[5]))

const big = (value: unknown): bigint => BigInt(String(value))
const rootsOf = (expected: Json): readonly Json[] => (expected.roots ?? expected.streams) as readonly Json[]
const rowsOf = (record: Json): readonly Row[] => record.mappings as readonly Row[]
const registersOf = (expected: Json): Readonly<Record<string, string>> => expected.registers as Record<string, string>

function x86Roots(expected: Json, nested = false): Root[] {
  const { cr0, cr4, efer } = registersOf(expected)
  const of = { ...(cr0 && { cr0: big(cr0) }), ...(efer && { efer: big(efer) }) }
  return rootsOf(expected).map((record) => ({
    format: x8664,
    registers: { ...of, [nested ? 'ncr3' : 'cr3']: big(record.cr3), cr4: big(cr4) },
    rows: rowsOf(record),
    rights: byEff(ofX86),
  }))
}

/** The same of the older modes, each a format of its own. */
function legacyX86Roots(format: AnyFmt, expected: Json): Root[] {
  return x86Roots(expected).map((root) => ({ ...root, format }))
}

function riscvRoots(expected: Json): Root[] {
  return rootsOf(expected).map((record) => ({
    format: riscv64,
    registers: { satp: big(record.satp) },
    rows: rowsOf(record),
    rights: byEff(ofRiscv),
  }))
}

/** What the existing x86 walkers of devices get: cr3 and cr4 that stand for it. */
function deviceX86(root: unknown, levels: unknown, rows: readonly Row[]): Root {
  return { format: x8664, registers: { cr3: big(root), cr4: levels === 5 ? 0x1020n : 0x20n }, rows, rights: byEff(ofX86) }
}

/** Of dumps without `eff`: AP, UXN and PXN of a row; a function of the columns. */
function arm64Fields(ap: number, pxn: number, uxn: number): Rights {
  return ofArm64(`${ap & 1 ? 'u' : 's'}${ap & 2 ? 'r' : 'w'}${pxn ? '-' : 'P'}${uxn ? '-' : 'U'}`)
}
function arm64Descriptor(row: Row): Rights {
  const raw = BigInt(String(row[4]))
  const bits = (at: bigint, mask: bigint): number => Number((raw >> at) & mask)
  return arm64Fields(bits(6n, 3n), bits(53n, 1n), bits(54n, 1n))
}

/** DDI 0406C B3.7.1: apx, ap and xn; every domain that has pages is a client's here, and PXN is in no column. */
function ofArmv7([, , , , , , apx, ap, xn]: Row): Rights {
  const users = [0, 0, 1, 3][Number(ap)] ?? 0
  const all = Number(ap) === 0 ? 0 : PRIVILEGED & DATA
  const data = all | (users & 1 ? USER & Right.READ : 0) | (users & 2 ? USER & Right.WRITE : 0)
  return (apx === 1 ? (data & ~Right.WRITE) | (ap === 3 ? USER & Right.READ : 0) : data) | (xn === 1 ? 0 : Right.EXECUTE)
}

const DUMPS: Readonly<Record<string, (expected: Json) => Root[]>> = {
  'linux-x86_64-4level': (expected) => x86Roots(expected),
  'linux-x86_64-5level': (expected) => x86Roots(expected),
  'linux-amd-npt': (expected) => x86Roots(expected, true),
  'linux-x86-32': (expected) => legacyX86Roots(x8632, expected),
  'linux-x86-pae': (expected) => legacyX86Roots(x86Pae, expected),
  'linux-riscv64-sv39': riscvRoots,
  'linux-riscv64-sv57': riscvRoots,
  'linux-loongarch64': (expected) => {
    const { PGDL, PGDH, PWCL, PWCH } = registersOf(expected)
    return rootsOf(expected).map((record, i) => ({
      format: loongarch64,
      registers: { pgdl: big(PGDL), pgdh: big(PGDH), pwcl: big(PWCL), pwch: big(PWCH) },
      name: i === 0 ? 'pgdl' : 'pgdh',
      rows: rowsOf(record),
      rights: byEff(ofLoongArch),
    }))
  },
  'linux-s390x': (expected) =>
    rootsOf(expected).map((record) => ({
      format: s390Dat,
      registers: { [String(record.name)]: big(record.asce) },
      rows: rowsOf(record),
      rights: byEff(ofS390),
    })),
  'linux-ppc64-radix-4k': (expected) =>
    rootsOf(expected).map((record) => ({
      format: ppc64Radix,
      registers: { processTable: big(registersOf(expected).processTable), pid: big(record.pid) },
      rows: rowsOf(record),
      rights: byEff(ofLoongArch),
    })),
  'linux-riscv64-g-sv57x4': (expected) =>
    rootsOf(expected).map((record) => ({
      format: riscv64G,
      registers: { hgatp: big(record.hgatp) },
      rows: rowsOf(record),
      rights: byEff(ofGuest),
    })),
  'linux-aarch64-16k-lpa2': (expected) => {
    const { TTBR0_EL1, TTBR1_EL1, TCR_EL1, MAIR_EL1 } = registersOf(expected)
    const registers = { ttbr0: big(TTBR0_EL1), ttbr1: big(TTBR1_EL1), tcr: big(TCR_EL1), mair: big(MAIR_EL1) }
    return rootsOf(expected).map((record) => ({
      format: arm64LpaeS1,
      registers,
      name: String(record.name),
      rows: rowsOf(record),
      rights: byEff(ofArm64),
    }))
  },
  'linux-arm32-lpae': (expected) => {
    const { TTBR0, TTBR1, TTBCR, MAIR0, MAIR1, SCTLR } = registersOf(expected)
    const mair = { mair0: big(MAIR0), mair1: big(MAIR1), sctlr: big(SCTLR) }
    const registers = { ttbr0: big(TTBR0), ttbr1: big(TTBR1), ttbcr: big(TTBCR), ...mair }
    return rootsOf(expected).map((record) => ({
      format: arm32LpaeS1,
      registers,
      name: String(record.name),
      rows: rowsOf(record),
      rights: byEff(ofArm32),
    }))
  },
  'linux-vtd-first-stage': (expected) =>
    rootsOf(expected).map((record) => {
      const entry = record.pasidEntry as readonly string[]
      if (record.kind === 'fs') return deviceX86(record.root, record.levels, rowsOf(record))
      const registers = { ssptptr: big(entry[0]) & ~0xfffn, aw: Number(record.levels) - 2 }
      return { format: vtdSs, registers, rows: rowsOf(record), rights: byEff(ofDevice) }
    }),
  'linux-amdvi-v1': (expected) =>
    rootsOf(expected).map((record) => {
      const [dte] = record.entry as readonly string[]
      return { format: amdV1, registers: { dte: big(dte) }, rows: rowsOf(record), rights: byEff(ofDevice) }
    }),
  'linux-aarch64-4k': (expected) => {
    const { TTBR0_EL1, TTBR1_EL1, TCR_EL1, MAIR_EL1 } = registersOf(expected)
    const registers = { ttbr0: big(TTBR0_EL1), ttbr1: big(TTBR1_EL1), tcr: big(TCR_EL1), mair: big(MAIR_EL1) }
    return ['ttbr0', 'ttbr1'].map((name) => {
      // their count is where the others have `eff`
      const rows = (expected[`${name}Mappings`] as readonly Row[]).map((row): Row => [...row.slice(0, 5), '', row[5] as number])
      return { format: arm64LpaeS1, registers, name, rows, rights: arm64Descriptor }
    })
  },
  'linux-armv7': (expected) => {
    const { TTBR0, TTBR1, TTBCR, SCTLR, DACR, MAIR0, MAIR1 } = registersOf(expected)
    const remap = { sctlr: big(SCTLR), dacr: big(DACR), prrr: big(MAIR0), nmrr: big(MAIR1) }
    const registers = { ttbr0: big(TTBR0), ttbr1: big(TTBR1), ttbcr: big(TTBCR), ...remap }
    return ['ttbr0', 'ttbr1'].map((name) => {
      const all = expected[`${name}Mappings`] as readonly Row[]
      const rights = new Map(all.map((row) => [row[4], ofArmv7(row)]))
      const rows = all.map((row) => row.slice(0, 5))
      return {
        format: armV7s,
        registers,
        name,
        rows,
        rights: (row) => rights.get(row[4] as string) ?? 0,
        level: (row) => (row[3] === 'section' || row[3] === 'supersection' ? 1 : 2),
        untold: PRIVILEGED & Right.EXECUTE,
      }
    })
  },
  'linux-smmuv3': (expected) =>
    rootsOf(expected).map((record) => {
      const ttbr0 = big(record.ttb0)
      const mair = big(record.mair)
      // T0SZ, TG0, IR0, OR0 and SH0 of a context descriptor, and IPS, as TCR has them; no second half
      const walk = BigInt(Number(record.t0sz)) | (BigInt(Number(record.ir0)) << 8n) | (BigInt(Number(record.or0)) << 10n)
      const registers = { ttbr0, tcr: walk | (1n << 23n) | (BigInt(Number(record.ips)) << 32n), mair }
      const rows = rowsOf(record).map((row) => row.slice(0, 5))
      const rights = new Map(rowsOf(record).map((row) => [row[4], arm64Fields(Number(row[6]), Number(row[11]), Number(row[12]))]))
      return { format: arm64LpaeS1, registers, rows, rights: (row: Row) => rights.get(row[4] as string) ?? 0 }
    }),
  'linux-vtd': (expected) =>
    rootsOf(expected).map((record) => ({
      format: vtdSs,
      registers: { ssptptr: big(record.root), aw: Number(record.levels) - 2 },
      rows: rowsOf(record),
      rights: (row: Row) => ofDevice(`${BigInt(String(row[4])) & 1n ? 'r' : '-'}${BigInt(String(row[4])) & 2n ? 'w' : '-'}`),
    })),
  'linux-amdvi-v2': (expected) => rootsOf(expected).map((record) => deviceX86(record.root, record.levels, rowsOf(record))),
}

/** Of every leaf of the rows, in pages of 4 KiB: which row it is in. */
function rowsByPage(rows: readonly ExpectedRow[]): Map<number, number> {
  const found = new Map<number, number>()
  for (const [i, row] of rows.entries()) {
    const { first, over, count } = row
    for (let n = 0; n < count; n++) found.set(first + n * over, i)
  }
  return found
}

interface ExpectedRow {
  readonly first: number
  readonly paddr: number
  readonly over: number
  readonly out: number
  readonly size: number
  readonly count: number
  readonly rights: Rights
  readonly level: number
}
const pages = (value: bigint): number => Number(value >> 12n)

function expectedRow(row: Row, root: Root, bits: number): ExpectedRow {
  const [va, pa, size = 0, , , , count = 1, ...steps] = row
  const [over, out] = [0, 1].map((i) => Number(steps[i] ?? size) / 4096) as [number, number]
  const first = pages(BigInt.asUintN(bits, BigInt(String(va))))
  return {
    first,
    paddr: pages(BigInt(String(pa))),
    over,
    out,
    size: Number(size),
    count: Number(count),
    rights: root.rights(row),
    level: root.level?.(row) ?? Number(row[3]),
  }
}

/** Leaves that differ from the expected ones, by what differs; and how many there are. */
function compare(root: Root, found: FoundRoot<unknown, unknown>, read: ReadMemory): Record<string, number> {
  const geometry = root.format.geometry(found.params)
  const { shift, bits } = nodeOf(geometry, geometry.top)
  const { base = 0n } = geometry
  const rows = root.rows.map((row) => expectedRow(row, root, shift + bits))
  const wanted = rowsByPage(rows)
  const [first, last] = geometry.window === 'low' ? [pages(found.first - base), pages(found.last - base)] : [0, Number.POSITIVE_INFINITY]
  let told = 0
  const count = { leaves: 0, extra: 0, missing: 0, address: 0, level: 0, rights: 0 }
  forEachPath(root.format, found, read, (at, paddr, size, rights, level) => {
    if (at < first || at > last) return
    count.leaves++
    const want = rows[wanted.get(at) ?? -1]
    if (want === undefined) {
      count.extra++
      return
    }
    told++
    if (want.paddr + ((at - want.first) / want.over) * want.out !== paddr || want.size !== size) count.address++
    else if (want.level !== level) count.level++
    else if (((want.rights ^ rights) & ~(root.untold ?? 0)) !== 0) count.rights++
  })
  count.missing = wanted.size - told
  return count
}

test.each(Object.entries(DUMPS))('%s: the rights of every path', async (dump, rootsIn) => {
  const expected = JSON.parse(new TextDecoder().decode(readFile(dump, 'expected.json'))) as Json
  const image = await openImage(bytesSource(readFile(dump, 'memory.elf'), dump))
  let leaves = 0
  for (const root of rootsIn(expected)) {
    const all = root.format.rootsFromRegs(root.registers, image.read)
    const found = all.find(({ name }) => name === (root.name ?? name))
    if (found === undefined) throw new Error(`no root ${root.name}`)
    const count = compare(root, found, image.read)
    leaves += count.leaves ?? 0
    expect(count).toEqual({ leaves: count.leaves, extra: 0, missing: 0, address: 0, level: 0, rights: 0 })
  }
  const total = (rootsOf(expected) ?? []).reduce((sum, { leaves: n }) => sum + Number(n ?? 0), 0)
  if (total > 0) expect(leaves).toBe(total)
  expect(leaves).toBeGreaterThan(300)
})
