/** Rows of memory images: 64 MiB of tables in a file, dumped as merged runs to nowhere, and checked; beside reading the file and summing it up. */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { type ByteSource, checkTables, dumpLeaves, MemoryImage, type Tables, tablesOf } from '@io-pgtable/inspect'
import type { Pass, Row } from './row.ts'

const LEAF_TABLES = 16_384
const LEVEL2_TABLES = LEAF_TABLES / 512
const ALL_TABLES = 2 + LEVEL2_TABLES + LEAF_TABLES
const LEAVES = LEAF_TABLES * 512
const BYTES = ALL_TABLES * 4096
const BASE = 0x1_0000_0000n
const REGISTERS = { ttbr0: BASE, tcr: 0x5_0080_0010n, mair: 0xff44n }

/** Four levels of 4K tables whose pages are contiguous: level 0, level 1, 32 of level 2, and 64 MiB of level 3. */
function tables(): BigUint64Array {
  const words = new BigUint64Array(ALL_TABLES * 512)
  const table = (page: number): bigint => (BASE + BigInt(page) * 4096n) | 3n
  words[0] = table(1)
  for (let i = 0; i < LEVEL2_TABLES; i++) words[512 + i] = table(2 + i)
  for (let i = 0; i < LEAF_TABLES; i++) words[1024 + i] = table(2 + LEVEL2_TABLES + i)
  let leaf = 0x10_0000_0743n
  for (let i = (2 + LEVEL2_TABLES) * 512; i < words.length; i++, leaf += 4096n) words[i] = leaf
  return words
}

/** The file, without a name: it goes with the process. */
function openTables(): number {
  const folder = mkdtempSync(join(tmpdir(), 'io-pgtable-bench-'))
  const file = join(folder, 'tables.raw')
  writeFileSync(file, tables())
  const descriptor = openSync(file, 'r')
  rmSync(folder, { recursive: true })
  process.on('exit', () => closeSync(descriptor))
  return descriptor
}

/** Its cache of 16 MiB holds nothing from one run to the next: each reads the whole file. */
function imageOf(descriptor: number): MemoryImage {
  const readAt = (offset: number, into: Uint8Array): number => readSync(descriptor, into, 0, into.byteLength, offset)
  const source: ByteSource = {
    name: 'tables.raw',
    size: BYTES,
    readSync: readAt,
    read: () => Promise.reject(new Error('the rows read synchronously')),
  }
  return new MemoryImage([{ paddr: BASE, size: BigInt(BYTES), source, offset: 0, fileSize: BYTES }])
}

function sum(descriptor: number): number {
  const words = new Int32Array(2 ** 18)
  let total = 0
  for (let at = 0, bytes = -1; bytes !== 0; at += bytes) {
    bytes = readSync(descriptor, words, 0, words.byteLength, at)
    const end = bytes >> 2
    for (let i = 0; i < end; i++) total = (total + words[i]!) | 0
  }
  return total
}

function dump(root: Tables): number {
  let leaves = 0
  const { complete } = dumpLeaves(root, (run) => {
    leaves += run.count
  })
  return complete ? leaves : 0
}

/** A pass leaves nothing behind: what `run` answers is all that there is to verify. */
function passOf(run: () => number, expected: number): Pass {
  return { run, expected, verify: () => {} }
}

function sumPass(): Pass {
  const descriptor = openTables()
  return passOf(() => sum(descriptor), sum(descriptor))
}

function tablesPass(run: (tables: readonly Tables[]) => number, expected: number): Pass {
  const found = tablesOf(arm64LpaeS1, REGISTERS, imageOf(openTables()).read)
  return passOf(() => run(found), expected)
}

export function inspectRows(): Row[] {
  const row = (id: string, title: string, prepare: () => Pass): Row => {
    return { id: `inspect/${id}`, title, unit: 'descriptor', units: BYTES / 8, prepare }
  }
  return [
    row('sum', '64 MiB of tables in a file, read and summed up as 32-bit words', sumPass),
    row('dump', 'the same, dumped as merged runs to nowhere', () => tablesPass(([root]) => dump(root as Tables), LEAVES)),
    row('check', 'the same, checked', () => tablesPass((found) => checkTables(found).tables, ALL_TABLES)),
  ]
}
