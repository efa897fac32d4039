/** What several tests use: a table with its pool and a log of its callbacks, and checks that hold for every sound table. */
import {
  type AnyFmt,
  type DebugOptions,
  IoPageTable,
  IoPgtableError,
  Prot,
  pgsizeBitmap,
  type TlbFlushOps,
  walkTables,
} from '@io-pgtable/core'
import { PtPool, type PtPoolOptions } from '@io-pgtable/pt-allocator'
import { expect } from 'vitest'
import { deviceWalk, memoryOf, type Translation } from './hardware.ts'
import { type Shape, type Toy, type ToyConfig, toy } from './toy-format.ts'

export const KiB = 1024
export const MiB = 1024 * KiB
/** Page sizes of an unchanged Toy: one page, a block of level 2, a block of level 1. Names by size, as tests read better. */
export const PAGE = 4 * KiB
export const BLOCK = 64 * KiB
export const HUGE = 1024 * KiB
/** Bytes of one table of an unchanged Toy. */
export const TABLE = 128
export const RW = Prot.READ | Prot.WRITE

export interface BenchOptions {
  readonly pool?: Partial<PtPoolOptions>
  readonly config?: Partial<ToyConfig>
  readonly tlb?: Partial<TlbFlushOps>
  readonly debug?: DebugOptions
}

export interface Bench {
  readonly pool: PtPool
  readonly table: IoPageTable<Toy>
  readonly shape: Partial<Shape>
  /** `walk iova size granule`, `pages iova granule xN [no gather]`, `sync`, `all`. */
  readonly log: string[]
  readonly warnings: IoPgtableError[]
}

/** A pool of 1 MiB, at an address whose high bits matter unless descriptors have 32 bits. */
export function newPool(shape: Partial<Shape> = {}, options: Partial<PtPoolOptions> = {}): PtPool {
  return new PtPool({ base: shape.entryBytes === 4 ? 0xa5a0_0000n : 0xa_5a5a_5a40_0000n, size: MiB, ...options })
}

/** A Toy table of all page sizes, alone in its pool. */
export function bench(shape: Partial<Shape> = {}, options: BenchOptions = {}): Bench {
  const pool = newPool(shape, options.pool)
  const log: string[] = []
  const warnings: IoPgtableError[] = []
  const { debug, config } = options
  const table = IoPageTable.createRaw(toy(shape), {
    allocator: pool,
    tlb: { ...logged(log), ...options.tlb },
    onWarn: (warning) => void warnings.push(warning),
    ...(debug && { debug }),
    pgsizeBitmap: (1n << 60n) - 1n,
    ias: 24,
    oas: shape.entryBytes === 4 ? 32 : 52,
    ...config,
  })
  return { pool, table, shape, log, warnings }
}

export function logged(log: string[]): Required<TlbFlushOps> {
  const at = (iova: bigint, granule: number): string => `${iova.toString(16)} ${granule.toString(16)}`
  return {
    flushAll: () => void log.push('all'),
    flushWalk: (iova, size, granule) => void log.push(`walk ${at(iova, size)} ${granule.toString(16)}`),
    addPages: (gather, iova, granule, count) => void log.push(`pages ${at(iova, granule)} x${count}${gather ? '' : ' no gather'}`),
    sync: () => void log.push('sync'),
  }
}

/** What the device finds at an address. */
export function device({ pool, table, shape }: Bench, iova: bigint): Translation | string {
  return deviceWalk(shape, table.config.ias, memoryOf(pool), table.roots[0] ?? 0n, iova)
}

/** All leaves, a mapping of several entries once: `iova paddr pgsize prot`. */
export function leavesOf(table: IoPageTable): string[] {
  const leaves: string[] = []
  const format: AnyFmt = table.format
  walkTables(table.geometry, table.roots, table.readMemory, {
    leaf: ({ iova, paddr, size, raw, kind, node }) => {
      const offset = iova % BigInt(size.pgsize)
      if (offset !== 0n) return
      const prot = format.prot(raw, kind, table.context)
      leaves.push(`${iova.toString(16)} ${paddr.toString(16)} ${size.pgsize.toString(16)} ${prot} L${node.level}`)
    },
  })
  return leaves
}

/**
 * Checks what must hold at any time: every table that can be reached is a live block of the right size, nothing is invalid, unknown or
 * reserved, and the table's account and the pool's agree with what was found. `pending`: bytes of tables that wait in gathers.
 */
export function expectSound({ pool, table }: Pick<Bench, 'pool' | 'table'>, pending = 0): void {
  const found = new Set<bigint>()
  const top = table.geometry.nodes.find((node) => node.id === table.geometry.top)
  let bytes = top?.tableBytes ?? 0
  const wrong: string[] = []
  walkTables(table.geometry, table.roots, table.readMemory, {
    leaf: ({ reserved, iova }) => void (reserved !== 0n && wrong.push(`reserved bits at ${iova}`)),
    invalid: ({ iova }) => void wrong.push(`invalid at ${iova}`),
    unknown: ({ iova }) => void wrong.push(`unknown at ${iova}`),
    table: ({ next, child, reserved, iova }) => {
      if (reserved !== 0n || found.has(next)) wrong.push(`table at ${iova}`)
      found.add(next)
      bytes += child.tableBytes
      if (pool.sizeOf(pool.ptrAt(next)) !== child.tableBytes) wrong.push(`size of the table at ${iova}`)
    },
  })
  expect(wrong).toEqual([])
  expect(table.tableBytes).toBe(bytes + pending)
  expect(pool.stats().live).toBe(bytes + pending)
}

/** Frees the table: nothing may be left in its pool. */
export function expectNoLeak({ pool, table }: Pick<Bench, 'pool' | 'table'>): void {
  table.free()
  expect(pool.leaks()).toEqual([])
  expect(pool.stats().live).toBe(0)
  expect(table.tableBytes).toBe(0)
}

export function thrownBy(run: () => unknown): IoPgtableError {
  try {
    run()
  } catch (error) {
    if (error instanceof IoPgtableError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

/** Code and value of an error: what programs look at. */
export function codeOf(error: IoPgtableError | undefined): unknown {
  return error && [error.code, error.value]
}

/** All page sizes of an unchanged Toy. */
export const SIZES = pgsizeBitmap(PAGE, BLOCK, HUGE)
