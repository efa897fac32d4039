/** Reads and sums, dumps, and checks 64 MiB of tables in a file by turns; prints the best of each in milliseconds, as JSON. */
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { type ByteSource, checkTables, dumpLeaves, openImage, type Tables, tablesOf } from '../../src/index.ts'

const LEAF_TABLES = 16_384
const BASE = 0x1_0000_0000n
const ROUNDS = 25

/** Four levels of 4K tables whose pages are contiguous: level 0, level 1, 32 of level 2, and 64 MiB of level 3. */
function tables(): Uint8Array {
  const level2 = LEAF_TABLES / 512
  const words = new BigUint64Array((2 + level2 + LEAF_TABLES) * 512)
  const table = (page: number): bigint => (BASE + BigInt(page) * 4096n) | 3n
  words[0] = table(1)
  for (let i = 0; i < level2; i++) words[512 + i] = table(2 + i)
  for (let i = 0; i < LEAF_TABLES; i++) words[1024 + i] = table(2 + level2 + i)
  let leaf = 0x10_0000_0743n
  for (let i = (2 + level2) * 512; i < words.length; i++, leaf += 4096n) words[i] = leaf
  return new Uint8Array(words.buffer)
}

const folder = mkdtempSync(join(tmpdir(), 'inspect-speed-'))
const file = join(folder, 'tables.raw')
writeFileSync(file, tables())
const descriptor = openSync(file, 'r')

function sum(): number {
  const words = new Int32Array(2 ** 18)
  let total = 0
  for (let at = 0, bytes = -1; bytes !== 0; at += bytes) {
    bytes = readSync(descriptor, words, 0, words.byteLength, at)
    const end = bytes >> 2
    for (let i = 0; i < end; i++) total = (total + words[i]!) | 0
  }
  return total
}

function source(): ByteSource {
  const readAt = (offset: number, into: Uint8Array): number => readSync(descriptor, into, 0, into.byteLength, offset)
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    const bytes = new Uint8Array(length)
    return bytes.subarray(0, readAt(offset, bytes))
  }
  return { name: file, size: fstatSync(descriptor).size, read, readSync: readAt }
}

const best = { sum: Number.POSITIVE_INFINITY, dump: Number.POSITIVE_INFINITY, check: Number.POSITIVE_INFINITY }
const time = (what: keyof typeof best, start: number): void => {
  best[what] = Math.min(best[what], performance.now() - start)
}
for (let round = 0; round < ROUNDS; round++) {
  const first = performance.now()
  sum()
  time('sum', first)
  const second = performance.now()
  const image = await openImage(source(), { format: 'raw', base: BASE })
  const [root] = tablesOf(arm64LpaeS1, { ttbr0: BASE, tcr: 0x5_0080_0010n, mair: 0xff44n }, image.read) as [Tables]
  let leaves = 0
  const { complete } = dumpLeaves(root, (run) => {
    leaves += run.count
  })
  time('dump', second)
  if (!complete || leaves !== LEAF_TABLES * 512) throw new Error(`${leaves} leaves`)
  const third = performance.now()
  const other = await openImage(source(), { format: 'raw', base: BASE })
  const checked = checkTables(tablesOf(arm64LpaeS1, { ttbr0: BASE, tcr: 0x5_0080_0010n, mair: 0xff44n }, other.read))
  time('check', third)
  if (checked.tables !== LEAF_TABLES + 34 || checked.mappings !== 1) throw new Error(`${checked.tables} tables`)
}
closeSync(descriptor)
rmSync(folder, { recursive: true })
console.log(JSON.stringify(best))
