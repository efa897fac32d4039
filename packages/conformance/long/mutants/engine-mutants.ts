/** Faults of the engine, on the teaching format and on an Arm one. */
import { type AnyFmt, IoPgtableError, type IotlbGather, Prot } from '@io-pgtable/core'
import { arm64LpaeS1 } from '../../../formats/arm64-lpae-s1/src/index.ts'
import type { CreateTable } from '../../src/index.ts'
import { toy } from '../../src/toy.ts'
import { allocating, changed, engine, flushing, type Mutant, over } from './mutant.ts'

const LOW = 0xffff_ffffn
const fault = (what: string, law: Mutant['law'], createTable: CreateTable, format: AnyFmt = changed(toy, {})): Mutant => ({
  fault: `${what} (on ${format.FORMAT})`,
  of: 'engine',
  law,
  options: { format, createTable },
})
const arm = changed(arm64LpaeS1, {})
const dirty = changed(toy, {}, 'dirty tracking')
/** The toy under the policies of the formats that flush by range. */
const range = changed(toy, {
  policy: (c) => ({ ...(toy as AnyFmt).policy(c), conflict: 'entry', freeTables: 'covered', flushOrder: 'range' }),
})

/** Writes a raw word into the table's memory, behind the engine's back. */
function poke(
  request: Parameters<CreateTable>[1],
  table: { walk(iova: bigint): readonly { table: bigint; index: number }[] },
  iova: bigint,
): void {
  const leaf = table.walk(iova).at(-1)
  if (leaf !== undefined) request.allocator.words[Number(leaf.table - request.allocator.base) / 4 + leaf.index] = 0
}

const callbacks: readonly Mutant[] = [
  fault(
    'flushWalk is forgotten',
    'tlb/coherence',
    flushing(() => ({ flushWalk() {} })),
  ),
  fault(
    'flushWalk is forgotten',
    'tlb/coherence',
    flushing(() => ({ flushWalk() {} })),
    arm,
  ),
  fault('flushWalk comes after the table was freed', 'tlb/coherence', (format, request) => {
    const later: (() => void)[] = []
    const table = flushing((tlb) => ({ flushWalk: (...args) => void later.push(() => tlb.flushWalk(...args)) }))(format, request)
    const call =
      (name: 'mapPages' | 'mapRange' | 'unmapPages' | 'unmapRange') =>
      (...args: never[]) => {
        const result = (table[name] as (...all: never[]) => never).apply(table, args)
        for (const flush of later.splice(0)) flush()
        return result
      }
    return over(table, {
      mapPages: call('mapPages'),
      mapRange: call('mapRange'),
      unmapPages: call('unmapPages'),
      unmapRange: call('unmapRange'),
    })
  }),
  fault(
    'flushWalk covers half the table',
    'tlb/coherence',
    flushing((tlb) => ({ flushWalk: (iova, size, granule) => tlb.flushWalk(iova + BigInt(size / 2), size / 2, granule) })),
  ),
  fault(
    'addPages is one page short',
    'tlb/coherence',
    flushing((tlb) => ({ addPages: (gather, iova, granule, count) => tlb.addPages?.(gather, iova, granule, count - 1) })),
  ),
  fault(
    'addPages tells a granule twice as large',
    'tlb/coherence',
    flushing((tlb) => ({ addPages: (gather, iova, granule, count) => tlb.addPages?.(gather, iova, granule * 2, Math.ceil(count / 2)) })),
  ),
  fault(
    'addPages loses the high half of the address',
    'tlb/coherence',
    flushing((tlb) => ({ addPages: (gather, iova, granule, count) => tlb.addPages?.(gather, iova & LOW, granule, count) })),
    arm,
  ),
  fault(
    'the gather is never synced',
    'tlb/coherence',
    flushing(() => ({ sync() {} })),
  ),
  fault(
    'what a sync that threw had to invalidate is forgotten',
    'tlb/failed-flush',
    flushing((tlb) => {
      let lost = false
      const sync = (gather: IotlbGather): void => {
        if (lost) {
          lost = false
          return
        }
        lost = true
        tlb.sync?.(gather)
        lost = false
      }
      return { sync }
    }),
  ),
  fault(
    'free invalidates nothing',
    'tlb/free',
    flushing(() => ({ flushAll() {} })),
  ),
  fault(
    'the gather of a range forgets its tables',
    'tlb/coherence',
    flushing((tlb) => ({ sync: (gather: IotlbGather) => tlb.sync?.(over(gather, { tableLevels: 0 })) })),
    range,
  ),
  fault(
    'the gather of a range ends a page early',
    'tlb/coherence',
    flushing((tlb) => ({ sync: (gather: IotlbGather) => tlb.sync?.(over(gather, { last: gather.last - 0x1000n })) })),
    range,
  ),
  fault(
    'single entries are not synced',
    'tlb/coherence',
    allocating((pool) => ({ sync: pool.sync && ((paddr, bytes) => (bytes > 8 ? pool.sync?.(paddr, bytes) : undefined)) })),
  ),
  fault(
    'a table is synced after the entry that leads to it',
    'tlb/coherence',
    allocating((pool) => {
      let late: [bigint, number] | undefined
      return {
        sync:
          pool.sync &&
          ((paddr, bytes) => {
            if (bytes === 1024 && late === undefined) late = [paddr, bytes]
            else {
              pool.sync?.(paddr, bytes)
              if (late !== undefined) pool.sync?.(...late)
              late = undefined
            }
          }),
      }
    }),
  ),
]

const results: readonly Mutant[] = [
  fault(
    'a large page lacks its last descriptor',
    'table/entries',
    engine((table, request) => ({
      mapPages: (iova, paddr, pgsize, pgcount, prot) => {
        const result = table.mapPages(iova, paddr, pgsize, pgcount, prot)
        if (pgsize === 0x1_0000 && result.mapped > 0) poke(request, table, iova + 0xf000n)
        return result
      },
    })),
  ),
  fault(
    'a translation loses the offset in a large page',
    'table/entries',
    engine((table) => ({
      iovaToPhys: (iova) => {
        const leaf = table.walk(iova).at(-1)
        return leaf?.type === 'leaf' ? leaf.paddr + (iova & 0xfffn) : undefined
      },
    })),
  ),
  fault(
    'a table is never given back',
    'table/entries',
    engine((table, request) => ({
      free: () => {
        request.allocator.alloc(1024)
        table.free()
      },
    })),
  ),
  fault(
    'the attributes of the first map are kept for the next',
    'table/entries',
    engine((table) => {
      let first: Prot | undefined
      return { mapPages: (iova, paddr, pgsize, pgcount, prot) => table.mapPages(iova, paddr, pgsize, pgcount, (first ??= prot)) }
    }),
  ),
  fault(
    'an end beyond ias is cut off, not refused',
    'table/bounds',
    engine((table) => ({
      mapPages: (iova, paddr, pgsize, pgcount, prot) => {
        const room = Number((1n << BigInt(table.config.ias)) - iova) / pgsize
        return table.mapPages(iova, paddr, pgsize, Number.isInteger(pgcount) && room >= 1 ? Math.min(pgcount, room) : pgcount, prot)
      },
    })),
  ),
  fault(
    'bits of paddr beyond oas are dropped',
    'table/bounds',
    engine((table) => ({
      mapPages: (iova, paddr, ...rest) => table.mapPages(iova, paddr & ((1n << BigInt(table.config.oas)) - 1n), ...rest),
    })),
  ),
  fault(
    'a misaligned iova is rounded down',
    'table/bounds',
    engine((table) => ({
      mapPages: (iova, paddr, pgsize, ...rest) => table.mapPages(iova - (iova % BigInt(pgsize)), paddr, pgsize, ...rest),
    })),
  ),
  fault(
    'a map replaces what is in its way',
    'table/conflicts',
    engine((table) => ({
      mapPages: (iova, paddr, pgsize, pgcount, prot) => {
        const result = table.mapPages(iova, paddr, pgsize, pgcount, prot)
        if (result.error?.code !== 'EEXIST') return result
        for (let i = 0; i < pgcount; i++) table.unmapPages(iova + BigInt(i * pgsize), pgsize, 1)
        return table.mapPages(iova, paddr, pgsize, pgcount, prot)
      },
    })),
  ),
  fault('a conflict does not warn', 'table/conflicts', (format, request) => engine(() => ({}))(format, { ...request, onWarn: () => {} })),
  fault(
    'an unmap goes on behind a hole',
    'table/conflicts',
    engine((table) => ({
      unmapPages: (iova, pgsize, pgcount, gather) => {
        if (!(Number.isInteger(pgcount) && pgcount > 1)) return table.unmapPages(iova, pgsize, pgcount, gather)
        let bytes = 0
        for (let i = 0; i < pgcount; i++) bytes += table.unmapPages(iova + BigInt(i * pgsize), pgsize, 1, gather)
        return bytes
      },
    })),
  ),
  fault(
    'a part of a larger leaf takes the leaf',
    'table/conflicts',
    engine((table) => ({
      unmapPages: (iova, pgsize, pgcount, gather) => {
        const bytes = table.unmapPages(iova, pgsize, pgcount, gather)
        if (bytes > 0 || pgsize !== 0x1000) return bytes
        return table.unmapPages(iova & ~0xffffn, 0x1_0000, 1, gather) > 0 ? pgsize * pgcount : 0
      },
    })),
  ),
  fault(
    'an unmap ends with its table',
    'table/conflicts',
    engine((table) => ({
      unmapPages: (iova, pgsize, pgcount, gather) => {
        const room = (0x10_0000 - Number(iova % 0x10_0000n)) / pgsize
        return table.unmapPages(
          iova,
          pgsize,
          pgsize < 0x10_0000 && Number.isInteger(pgcount) && Number(iova) + pgsize * pgcount <= 2 ** 28 && room >= 1 && pgcount > 1
            ? Math.min(pgcount, room)
            : pgcount,
          gather,
        )
      },
    })),
  ),
  fault(
    'the carry between the words of a paddr is lost',
    'table/model',
    engine((table) => ({
      mapPages: (iova, paddr, pgsize, pgcount, prot) => {
        const runs = Number.isInteger(pgcount) && pgcount > 1
        const within = runs && paddr + BigInt(pgsize * pgcount) <= 1n << 48n
        const carries = within && paddr >> 32n !== (paddr + BigInt(pgsize) * BigInt(pgcount - 1)) >> 32n
        if (!carries) return table.mapPages(iova, paddr, pgsize, pgcount, prot)
        let mapped = 0
        for (let i = 0; i < pgcount; i++) {
          const low = (paddr + BigInt(i * pgsize)) & LOW
          const result = table.mapPages(iova + BigInt(i * pgsize), (paddr & ~LOW) | low, pgsize, 1, prot)
          mapped += result.mapped
          if (result.error !== undefined) return { mapped, error: result.error }
        }
        return { mapped, error: undefined }
      },
    })),
    arm,
  ),
  fault(
    'a prefix is one page too long',
    'table/conflicts',
    engine((table) => ({
      mapPages: (iova, paddr, pgsize, pgcount, prot) => {
        const { mapped, error } = table.mapPages(iova, paddr, pgsize, pgcount, prot)
        return error?.code === 'EEXIST' && mapped > 0 ? { mapped: mapped + pgsize, error } : { mapped, error }
      },
    })),
    changed(toy, { policy: (c) => ({ ...(toy as AnyFmt).policy(c), conflict: 'entry' }) }),
  ),
  fault(
    'ENOMEM forgets the prefix',
    'table/memory',
    engine((table) => ({
      mapPages: (...args) => {
        const { mapped, error } = table.mapPages(...args)
        return error?.code === 'ENOMEM' ? { mapped: 0, error } : { mapped, error }
      },
    })),
  ),
  fault(
    'ENOMEM is told as EINVAL',
    'table/memory',
    engine((table) => ({
      mapPages: (...args) => {
        const { mapped, error } = table.mapPages(...args)
        return { mapped, error: error?.code === 'ENOMEM' ? new IoPgtableError('EINVAL', 'mapPages', 'no memory') : error }
      },
    })),
  ),
  fault(
    'reading dirty leaves does not clean them',
    'table/dirty',
    engine((table) => ({
      readAndClearDirty: (iova, size, visit, _flags, gather) => table.readAndClearDirty(iova, size, visit, 1, gather),
    })),
    dirty,
  ),
  fault(
    'a cleaned leaf is not told to the gather',
    'tlb/coherence',
    engine((table) => ({
      readAndClearDirty: (iova, size, visit, flags) => table.readAndClearDirty(iova, size, visit, flags),
    })),
    dirty,
  ),
]

export const ENGINE_MUTANTS: readonly Mutant[] = [...results, ...callbacks]
void Prot
