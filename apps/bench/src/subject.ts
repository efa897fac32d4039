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
import { PtPool } from '@io-pgtable/pt-allocator'
import { expectEqual } from './row.ts'
import { randomSource } from './stats.ts'

export interface Subject {
  readonly format: string
  readonly create: (pool: PtPool, tlb?: TlbFlushOps) => IoPageTable
  /** The same as if the format was never used before: what is compiled of it is remembered by the format object, and this uses a copy. */
  readonly createFirst: (pool: PtPool) => IoPageTable
  readonly poolBytes: number
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
  create: (allocator, tlb = NOOP_FLUSH_OPS) => IoPageTable.createRaw(arm64LpaeS1, { allocator, tlb, ...arm64Config }) as IoPageTable,
  createFirst: (allocator) => IoPageTable.createRaw({ ...arm64LpaeS1 }, { allocator, ...arm64Config }) as IoPageTable,
  iova: 0x40_0000_0000n,
  paddr: 0x8_4000_0000n,
  perCall: 512,
  slot: SZ_1G,
  block: { name: '2M', pgsize: SZ_2M },
}

export const ARM64: Subject = { ...arm64Base, poolBytes: 8 * MiB, range: '1 GiB', bytes: SZ_1G }
export const ARM64_LARGE: Subject = { ...arm64Base, poolBytes: 256 * MiB, range: '64 GiB', bytes: 64 * SZ_1G }

const v7sConfig = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M, SZ_16M), ias: 32, oas: 32 }
export const V7S: Subject = {
  format: 'arm-v7s',
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

/** A table of the subject's in a pool of its own. */
export function newTable(subject: Subject, tlb?: TlbFlushOps): IoPageTable {
  return subject.create(newPool(subject.poolBytes), tlb)
}

export function newPool(size: number): PtPool {
  return new PtPool({ base: POOL_BASE, size })
}

/** The addresses of every `step` bytes of the range: bigints are made before the clock starts. */
export function addresses(start: bigint, bytes: number, step: number): bigint[] {
  return Array.from({ length: bytes / step }, (_, i) => start + BigInt(i * step))
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
  const pages = subject.bytes / SZ_4K
  const out = new BigUint64Array(pages)
  const iovas = BigUint64Array.from({ length: pages }, (_, i) => subject.iova + BigInt(i * SZ_4K))
  expectEqual('pages that translate', table.iovaToPhysMany(iovas, out), pages)
  for (let i = 0; i < pages; i++) expectEqual(`page ${i}`, out[i], subject.paddr + BigInt(i * SZ_4K))
  for (let i = 0; i < pages; i += 257) {
    const leaf = table.walk(iovas[i] ?? 0n).at(-1)
    expectEqual(`descriptor of page ${i}`, leaf?.type, 'leaf')
    if (leaf?.type === 'leaf') expectEqual(`size at page ${i}`, leaf.size.pgsize, pgsize)
  }
}

/** Nothing in the range translates. */
export function verifyUnmapped(subject: Subject, table: IoPageTable): void {
  const pages = subject.bytes / SZ_4K
  const iovas = BigUint64Array.from({ length: pages }, (_, i) => subject.iova + BigInt(i * SZ_4K))
  expectEqual('pages that translate', table.iovaToPhysMany(iovas, iovas), 0)
}

/** Maps the whole range with one page size. */
export function mapAll(subject: Subject, table: IoPageTable, pgsize: number = SZ_4K): void {
  const { mapped, error } = table.mapPages(subject.iova, subject.paddr, pgsize, subject.bytes / pgsize, PROT)
  if (error !== undefined) throw error
  expectEqual('bytes mapped', mapped, subject.bytes)
}

/** Unmaps the whole range; with the slot's size its tables go too. */
export function unmapAll(subject: Subject, table: IoPageTable, pgsize: number): void {
  expectEqual('bytes unmapped', table.unmapPages(subject.iova, pgsize, subject.bytes / pgsize), subject.bytes)
}
