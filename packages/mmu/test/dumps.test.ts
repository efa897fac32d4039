/** Tables of real kernels: each mapping's first and last byte, and its rights as an independent walker found them (the column `eff`). */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import type { AnyFmt } from '@io-pgtable/core'
import { riscv64 } from '@io-pgtable/riscv64'
import { riscv64G } from '@io-pgtable/riscv64-g'
import { x8664 } from '@io-pgtable/x86-64'
import { describe, expect, test } from 'vitest'
import { Access, Mmu } from '../src/index.ts'
import { elfPieces } from './elf-pieces.ts'

type Json = Readonly<Record<string, unknown>>
type Row = readonly (string | number)[]
interface Root {
  readonly format: AnyFmt
  readonly registers: unknown
  readonly rows: readonly Row[]
}

function readFile(dump: string, name: string): Uint8Array {
  const url = new URL(`../../inspect/test-data/dumps/${dump}/${name}.gz`, import.meta.url)
  return new Uint8Array(gunzipSync(readFileSync(url)))
}
const big = (value: unknown): bigint => BigInt(String(value))
const rootsOf = (expected: Json): readonly Json[] => expected.roots as readonly Json[]
const rowsOf = (record: Json): readonly Row[] => record.mappings as readonly Row[]
const registersOf = (expected: Json): Readonly<Record<string, string>> => expected.registers as Record<string, string>

/** WP, SMEP and SMAP are out of the way, so that a privileged access meets the path alone. */
function x86(expected: Json, nested = false): Root[] {
  const { cr4 } = registersOf(expected)
  const control = big(cr4) & ~(3n << 20n)
  return rootsOf(expected).map((record) => ({
    format: x8664,
    registers: { nested, cr3: big(record.cr3), cr4: control },
    rows: rowsOf(record),
  }))
}

/** ADUE and PBMTE: entries that were never used are no faults. */
const ENVCFG = 3n << 61n

const DUMPS: Readonly<Record<string, (expected: Json) => Root[]>> = {
  'linux-x86_64-4level': (expected) => x86(expected),
  'linux-x86_64-5level': (expected) => x86(expected),
  'linux-amd-npt': (expected) => x86(expected, true),
  'linux-riscv64-sv39': (expected) =>
    rootsOf(expected).map((record) => ({ format: riscv64, registers: { satp: big(record.satp), envcfg: ENVCFG }, rows: rowsOf(record) })),
  'linux-riscv64-sv57': (expected) =>
    rootsOf(expected).map((record) => ({ format: riscv64, registers: { satp: big(record.satp), envcfg: ENVCFG }, rows: rowsOf(record) })),
  'linux-riscv64-g-sv57x4': (expected) =>
    rootsOf(expected).map((record) => ({
      format: riscv64G,
      registers: { hgatp: big(record.hgatp), envcfg: ENVCFG },
      rows: rowsOf(record),
    })),
  'linux-aarch64-16k-lpa2': (expected) => {
    const { TTBR0_EL1, TTBR1_EL1, TCR_EL1, MAIR_EL1 } = registersOf(expected)
    const registers = { ttbr0: big(TTBR0_EL1), ttbr1: big(TTBR1_EL1), tcr: big(TCR_EL1), mair: big(MAIR_EL1) }
    return rootsOf(expected).map((record) => ({ format: arm64LpaeS1, registers, rows: rowsOf(record) }))
  },
}

/** By the letters of `eff`: what the privileged, and users where the column says so, may read and write. */
function lettersOf(format: AnyFmt, eff: string): { user: boolean; write: boolean } {
  const isRiscv = format === riscv64 || format === riscv64G
  return { user: eff[0] === 'u', write: eff[isRiscv ? 2 : 1] === 'w' }
}

describe('the tables of real kernels', () => {
  test.each(Object.entries(DUMPS))('%s', (dump, rootsIn) => {
    const expected = JSON.parse(new TextDecoder().decode(readFile(dump, 'expected.json'))) as Json
    const memory = elfPieces(readFile(dump, 'memory.elf'))
    let mappings = 0
    const wrong: unknown[] = []
    for (const { format, registers, rows } of rootsIn(expected)) {
      const mmu = new Mmu(format, { memory, registers: registers as never })
      mmu.setState({ SUM: true, AC: true, MXR: true })
      for (const [va, pa, size = 0, , , eff] of rows) {
        mappings++
        const { user, write } = lettersOf(format, String(eff))
        const asked = format === riscv64G ? 0 : Access.PRIVILEGED
        const iova = BigInt.asUintN(64, big(va))
        const end = BigInt(Number(size) - 1)
        const paddr = big(pa)
        const got = [
          mmu.access(iova, Access.READ | asked),
          mmu.access(iova + end, Access.READ | asked),
          mmu.access(iova, Access.READ) !== -1n,
        ]
        const writes = mmu.access(iova, Access.WRITE | asked)
        const fault = writes === -1n ? mmu.fault()?.type : undefined
        const sound =
          got[0] === paddr &&
          got[1] === paddr + end &&
          got[2] === user &&
          (write ? writes === paddr : fault === 'permission' || fault === 'access-flag')
        if (!sound && wrong.length < 3) wrong.push({ va, pa, size, eff, got, writes, fault: mmu.fault() })
      }
    }
    expect(wrong).toEqual([])
    expect(mappings).toBeGreaterThan(100)
  })
})
