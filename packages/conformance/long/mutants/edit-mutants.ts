/** Faults of the engine in what changes mappings in place, and in adopting. */
import { type AnyFmt, IoPageTable as Engine, type IoPageTable, IotlbGather, type Leaf } from '@io-pgtable/core'
import { armV7s } from '../../../formats/arm-v7s/src/index.ts'
import { arm64LpaeS1 } from '../../../formats/arm64-lpae-s1/src/index.ts'
import type { CreateTable } from '../../src/index.ts'
import { toy } from '../../src/toy.ts'
import { allocating, changed, engine, type Mutant, over } from './mutant.ts'

const plain = changed(toy, {})
const arm = changed(arm64LpaeS1, {})
const v7s = changed(armV7s, {})

const fault = (what: string, law: Mutant['law'], createTable: CreateTable, format: AnyFmt = plain): Mutant => ({
  fault: `${what} (on ${format.FORMAT})`,
  of: 'engine',
  law,
  options: { format, createTable },
})

const adopted = (what: string, change: (request: Parameters<typeof Engine.adopt>[1]) => IoPageTable): Mutant => ({
  fault: `${what} (on toy)`,
  of: 'engine',
  law: 'table/adopt',
  options: { format: plain, adoptTable: (_format, request) => change(request) },
})

/** An engine that believes of a format what is not so. */
const believing =
  (policy: object): CreateTable =>
  (format, request) =>
    Engine.createRaw({ ...format, policy: (config) => ({ ...format.policy(config), ...policy }) } as AnyFmt, request)

export const EDIT_MUTANTS: readonly Mutant[] = [
  fault(
    'a cut does nothing, and says so',
    'table/cut',
    engine(() => ({ cut: () => false })),
  ),
  fault(
    'a cut makes smaller leaves than it must',
    'table/cut',
    engine((table) => ({
      cut: (iova, gather) => {
        const cut = table.cut(iova, gather)
        if (cut) table.cut(iova + 0x1000n)
        return cut
      },
    })),
  ),
  fault(
    'a cut loses the permissions',
    'table/cut',
    engine((table) => ({
      cut: (iova, gather) => {
        const cut = table.cut(iova, gather)
        if (cut) table.protect(iova, 0x1000, 1)
        return cut
      },
    })),
  ),
  fault(
    'a cut is not flushed',
    'table/cut',
    engine((table) => ({ cut: (iova) => table.cut(iova, new IotlbGather()) })),
  ),
  fault('a cut breaks nothing before it makes', 'table/cut', believing({ breakBeforeMake: undefined }), arm),
  fault('a cut breaks nothing before it makes', 'table/cut', believing({ breakBeforeMake: undefined }), v7s),
  fault(
    'a cut without memory says that there was nothing to do',
    'table/cut',
    engine((table) => ({
      cut: (iova, gather) => {
        try {
          return table.cut(iova, gather)
        } catch {
          return false
        }
      },
    })),
  ),
  fault(
    'a new table is installed before it is filled',
    'tlb/coherence',
    allocating((pool) => ({ sync: pool.sync && ((paddr, bytes) => (bytes === 1024 ? undefined : pool.sync?.(paddr, bytes))) })),
  ),
  fault(
    'protect leaves out the last leaf',
    'table/protect',
    engine((table) => ({
      protect: (iova, size, prot, options) => {
        const whole = table.snapshot().runs.find((run) => iova >= run.iova && iova < run.iova + run.size)
        const pgsize = whole?.pgsize ?? size
        if (size > pgsize) table.protect(iova, size - pgsize, prot, options)
        return size > pgsize ? Math.min(size, Number(whole?.size ?? 0n)) : table.protect(iova, size, prot, options)
      },
    })),
  ),
  fault(
    'protect is not flushed',
    'table/protect',
    engine((table) => ({
      protect: (iova, size, prot, options) => table.protect(iova, size, prot, { ...options, gather: new IotlbGather() }),
    })),
  ),
  fault(
    'protect cuts without being asked',
    'table/protect',
    engine((table) => ({ protect: (iova, size, prot, options) => table.protect(iova, size, prot, { ...options, cut: true }) })),
  ),
  fault('memory types change without a break', 'table/protect', believing({ breakBeforeMake: { size: true, fields: [] } }), arm),
  fault(
    'a trim frees nothing',
    'table/trim',
    engine(() => ({ trim: () => 0 })),
  ),
  fault(
    'a trim does not look at its range',
    'table/trim',
    engine((table) => ({ trim: (_range, gather) => table.trim(undefined, gather) })),
  ),
  fault(
    'every entry of a large page is told',
    'table/leaves',
    engine((table) => ({
      forEachLeaf: (range, visit) =>
        table.forEachLeaf(range, (leaf: Leaf) => {
          for (let at = 0; at < leaf.size; at += 0x1_0000) if (visit({ ...leaf, iova: leaf.iova + BigInt(at) }) === false) return false
          return undefined
        }),
    })),
  ),
  fault(
    'a snapshot lacks its last run',
    'table/leaves',
    engine((table) => ({ snapshot: () => ({ ...table.snapshot(), runs: table.snapshot().runs.slice(0, -1) }) })),
  ),
  adopted('foreign tables that leave the tree are not told', (request) => Engine.adopt(plain, { ...request, onForeign: () => {} })),
  adopted('free leaves what was added where it is', (request) => over(Engine.adopt(plain, request), { free: () => {} })),
  adopted('an adopted table begins empty', (request) => Engine.createRaw(plain, { ...plain.configs[0]?.config, ...request } as never)),
]
