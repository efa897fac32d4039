/** A format under measurement: the range that its rows work on, tables for it, and the verification of what was mapped. */
import { armV7s } from '@io-pgtable/arm-v7s'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import {
  IoPageTable,
  NOOP_FLUSH_OPS,
  Prot,
  pgsizeBitmap,
  SZ_1G,
  SZ_1M,
  SZ_2M,
  SZ_4K,
  SZ_16M,
  SZ_64K,
  type TlbFlushOps,
} from '@io-pgtable/core'
import { type PtMemory, PtPool } from '@io-pgtable/pt-allocator'
import { sv32 } from '@io-pgtable/sv32'
import { expectEqual } from './row.ts'
import { randomSource } from './stats.ts'

export interface Subject {
  /** The beginning of its rows' names: the format, and where it has several subjects which. */
  readonly format: string
  /** The page size of its rows, bytes. */
  readonly page: number
  readonly create: (pool: PtPool, tlb?: TlbFlushOps) => IoPageTable
  /** The same as if the format was never used before: what is compiled of it is remembered by the format object, and this uses a copy. */
  readonly createFirst: (pool: PtPool) => IoPageTable
  readonly poolBytes: number
  /** What its pools are made on; default: a buffer of their own. */
  readonly memory?: (bytes: number) => PtMemory
  readonly iova: bigint
  readonly paddr: bigint
  /** The range of the bulk rows, in words and in bytes; whole tables of the last level. */
  readonly range: string
  readonly bytes: number
  /** Pages of one leaf table: what a bulk call maps. */
  readonly perCall: number
  /** Slots of this size hold the leaf tables: unmapping them frees these. */
  readonly slot: number
  /** The block size of the block rows. */
  readonly block: { readonly name: string; readonly pgsize: number }
}

const MiB = 2 ** 20
const POOL_BASE = 0x8000_0000n
export const PROT = Prot.READ | Prot.WRITE

const arm64Config = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G), ias: 48, oas: 48 }
const arm64Base: Omit<Subject, 'poolBytes' | 'range' | 'bytes'> = {
  format: 'arm64-lpae-s1',
  page: SZ_4K,
  create: (allocator, tlb = NOOP_FLUSH_OPS) => IoPageTable.createRaw(arm64LpaeS1, { allocator, tlb, ...arm64Config }) as IoPageTable,
  createFirst: (allocator) => IoPageTable.createRaw({ ...arm64LpaeS1 }, { allocator, ...arm64Config }) as IoPageTable,
  iova: 0x40_0000_0000n,
  paddr: 0x8_4000_0000n,
  perCall: 512,
  slot: SZ_1G,
  block: { name: '2M', pgsize: SZ_2M },
}

export const ARM64: Subject = { ...arm64Base, poolBytes: 8 * MiB, range: '1 GiB', bytes: SZ_1G }
/** The same on memory that the accelerator can write. */
export const ARM64_WASM: Subject = {
  ...ARM64,
  format: `${ARM64.format}/wasm`,
  memory: (bytes) => new WebAssembly.Memory({ initial: bytes / 65_536 }),
}
export const ARM64_LARGE: Subject = { ...arm64Base, poolBytes: 256 * MiB, range: '64 GiB', bytes: 64 * SZ_1G }

const v7sConfig = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M, SZ_16M), ias: 32, oas: 32 }
export const V7S: Subject = {
  format: 'arm-v7s',
  page: SZ_4K,
  create: (allocator, tlb = NOOP_FLUSH_OPS) => IoPageTable.createRaw(armV7s, { allocator, tlb, ...v7sConfig }) as IoPageTable,
  createFirst: (allocator) => IoPageTable.createRaw({ ...armV7s }, { allocator, ...v7sConfig }) as IoPageTable,
  poolBytes: 4 * MiB,
  iova: 0x1000_0000n,
  paddr: 0x8000_0000n,
  range: '256 MiB',
  bytes: 256 * MiB,
  perCall: 256,
  slot: SZ_1M,
  block: { name: '1M', pgsize: SZ_1M },
}

const SZ_4M = 4 * MiB
const sv32Config = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_4M), ias: 32, oas: 34 }
export const SV32: Subject = {
  format: 'sv32',
  page: SZ_4K,
  create: (allocator, tlb = NOOP_FLUSH_OPS) => IoPageTable.createRaw(sv32, { allocator, tlb, ...sv32Config }) as IoPageTable,
  createFirst: (allocator) => IoPageTable.createRaw({ ...sv32 }, { allocator, ...sv32Config }) as IoPageTable,
  poolBytes: 4 * MiB,
  iova: 0x4000_0000n,
  paddr: 0x8000_0000n,
  range: '1 GiB',
  bytes: SZ_1G,
  perCall: 1024,
  slot: SZ_4M,
  block: { name: '4M', pgsize: SZ_4M },
}

/** A table of the subject's in a pool of its own. */
export function newTable(subject: Subject, tlb?: TlbFlushOps): IoPageTable {
  return subject.create(newPool(subject.poolBytes, subject.memory), tlb)
}

export function newPool(size: number, memory?: (bytes: number) => PtMemory): PtPool {
  return new PtPool({ base: POOL_BASE, size, ...(memory && { memory: memory(size) }) })
}

/** A page size in words. */
export function nameOf(page: number): string {
  return `${page / 1024}K`
}

/** The addresses of every `step` bytes of the range: bigints are made before the clock starts. */
export function addresses(start: bigint, bytes: number, step: number): bigint[] {
  return Array.from({ length: bytes / step }, (_, i) => start + BigInt(i * step))
}

/** The same without a bigint for each. */
function packed(start: bigint, bytes: number, step: number): BigUint64Array {
  const all = new BigUint64Array(bytes / step)
  for (let i = 0; i < all.length; i++) all[i] = start + BigInt(i * step)
  return all
}

/** `count` addresses inside the range, always the same ones. */
export function randomAddresses(subject: Subject, count: number): BigUint64Array {
  const random = randomSource(0x1234_5678)
  const high = subject.bytes / 2 ** 32
  return BigUint64Array.from({ length: count }, () => {
    const offset = high > 1 ? (random() % high) * 2 ** 32 + random() : random() % subject.bytes
    return subject.iova + BigInt(offset)
  })
}

/** Every page of the range translates to its place, and the cold decoder agrees on a sample of the descriptors. */
export function verifyMapped(subject: Subject, table: IoPageTable, pgsize: number): void {
  const { page } = subject
  const pages = subject.bytes / page
  const out = new BigUint64Array(pages)
  const iovas = packed(subject.iova, subject.bytes, page)
  expectEqual('pages that translate', table.iovaToPhysMany(iovas, out), pages)
  const paddrs = packed(subject.paddr, subject.bytes, page)
  const wrong = paddrs.findIndex((paddr, i) => out[i] !== paddr)
  expectEqual(`the first page at a wrong address, with ${out[wrong]},`, wrong, -1)
  for (let i = 0; i < pages; i += 257) {
    const leaf = table.walk(iovas[i] ?? 0n).at(-1)
    expectEqual(`descriptor of page ${i}`, leaf?.type, 'leaf')
    if (leaf?.type === 'leaf') expectEqual(`size at page ${i}`, leaf.size.pgsize, pgsize)
  }
}

/** Nothing in the range translates. */
export function verifyUnmapped(subject: Subject, table: IoPageTable): void {
  const iovas = packed(subject.iova, subject.bytes, subject.page)
  expectEqual('pages that translate', table.iovaToPhysMany(iovas, iovas), 0)
}

/** Maps the whole range with one page size. */
export function mapAll(subject: Subject, table: IoPageTable, pgsize: number = subject.page): void {
  const { mapped, error } = table.mapPages(subject.iova, subject.paddr, pgsize, subject.bytes / pgsize, PROT)
  if (error !== undefined) throw error
  expectEqual('bytes mapped', mapped, subject.bytes)
}

/** Unmaps the whole range; with the slot's size its tables go too. */
export function unmapAll(subject: Subject, table: IoPageTable, pgsize: number): void {
  expectEqual('bytes unmapped', table.unmapPages(subject.iova, pgsize, subject.bytes / pgsize), subject.bytes)
}
