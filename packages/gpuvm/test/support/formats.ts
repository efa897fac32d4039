/** The formats on which address spaces are tested; they name them, the package does not. */
import { armV7s } from '@io-pgtable/arm-v7s'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { IoPageTable, Prot, pgsizeBitmap, SZ_1G, SZ_1M, SZ_2M, SZ_4K, SZ_16M, SZ_64K, type TlbFlushOps } from '@io-pgtable/core'
import { PtPool, type PtPtr } from '@io-pgtable/pt-allocator'
import { x8664 } from '@io-pgtable/x86-64'

export const RW: Prot = Prot.READ | Prot.WRITE

/** A format, and the size of the leaves above pages that matter here. */
export interface TestFormat {
  readonly name: string
  /** Bytes. */
  readonly block: number
  /** Whether a cut breaks before it makes, with a flush of its own. */
  readonly breaks: boolean
  /** Whether the engine syncs a gather of its own when a block goes where an emptied table is. */
  readonly ranged: boolean
  readonly create: (allocator: PtPool, tlb?: TlbFlushOps) => IoPageTable
}

const hooks = (tlb: TlbFlushOps | undefined) => (tlb === undefined ? {} : { tlb })

export const FORMATS: readonly TestFormat[] = [
  {
    name: 'arm64-lpae-s1',
    block: SZ_2M,
    breaks: true,
    ranged: false,
    create: (allocator, tlb) =>
      IoPageTable.createRaw(arm64LpaeS1, { allocator, ...hooks(tlb), pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G), ias: 48, oas: 48 }),
  },
  {
    name: 'arm-v7s',
    block: SZ_1M,
    breaks: true,
    ranged: false,
    create: (allocator, tlb) =>
      IoPageTable.createRaw(armV7s, {
        allocator,
        ...hooks(tlb),
        pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M, SZ_16M),
        ias: 32,
        oas: 32,
      }),
  },
  {
    name: 'x86-64',
    block: SZ_2M,
    breaks: false,
    ranged: true,
    create: (allocator, tlb) =>
      IoPageTable.createRaw(x8664, { allocator, ...hooks(tlb), pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G), ias: 48, oas: 48 }),
  },
]

export function newPool(size: number = 64 * SZ_1M): PtPool {
  return new PtPool({ base: 0x8000_0000n, size })
}

/** Takes all memory of a pool but `tables` blocks of `bytes`; the function that is returned gives it back. */
export function exhaust(pool: PtPool, bytes: number, tables: number): () => void {
  const taken: PtPtr[] = []
  const spare = Array.from({ length: tables }, () => pool.alloc(bytes))
  for (const size of [2 ** 24, 2 ** 20, 2 ** 16, 2 ** 12, 2 ** 10, 64]) {
    try {
      for (;;) taken.push(pool.alloc(size))
    } catch {
      // the next smaller ones
    }
  }
  for (const ptr of spare) pool.free(ptr)
  return () => pool.freeAll(taken)
}
