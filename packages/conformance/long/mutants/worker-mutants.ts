/** Faults that only several workers meet. */
import type { AnyFmt } from '@io-pgtable/core'
import type { CreateTable } from '../../src/index.ts'
import { toy } from '../../src/toy.ts'
import { allocating, changed, engine, type Mutant, over } from './mutant.ts'

/** The toy as workers load it: built. */
const module = new URL('../../dist/toy.js', import.meta.url)
const fault = (what: string, law: Mutant['law'], of: Mutant['of'], options: Partial<Mutant['options']>): Mutant => ({
  fault: `${what} (on toy)`,
  of,
  law,
  options: { format: changed(toy, {}), module, ...options },
})

/** A walker is told of no entry that leads to a table which was there: of the last write alone, where nothing is allocated. */
function silent(after: 'always' | 'a translation'): CreateTable {
  return (format, request) => {
    const { allocator } = request
    let held: [bigint, number][] | undefined
    let made = false
    let looked = after === 'always'
    const table = allocating((pool) => ({
      alloc: (...args) => {
        made = true
        return pool.alloc(...args)
      },
      sync: (...range) => void (held === undefined ? pool.sync?.(...range) : held.push(range)),
    }))(format, request)
    return over(table, {
      iovaToPhys: (iova) => {
        looked = true
        return table.iovaToPhys(iova)
      },
      mapPages: (...args) => {
        held = []
        made = false
        const result = table.mapPages(...args)
        for (const range of made || !looked ? held : held.slice(-1)) allocator.sync?.(...range)
        held = undefined
        return result
      },
    })
  }
}

export const WORKER_MUTANTS: readonly Mutant[] = [
  fault('the token of a table forgets rangeLock', 'workers/range-lock', 'engine', {
    createTable: engine((table) => ({ share: () => ({ ...table.share(), debug: {} }) })),
  }),
  fault('the token of a table has a state of its own', 'workers/disjoint', 'engine', {
    createTable: engine((table) => ({ share: () => ({ ...table.share(), state: table.share().state.slice() }) })),
  }),
  fault('a table is installed without looking whether another worker was first', 'workers/disjoint', 'engine', {
    module: new URL('./overwriting.js', import.meta.url),
  }),
  fault('a walker is not told of tables that another worker installed', 'workers/late-memory', 'engine', { createTable: silent('always') }),
  fault('a table that a translation found is taken for one that the walker knows', 'workers/late-memory', 'engine', {
    createTable: silent('a translation'),
  }),
  fault('the attributes of this thread are not those of the workers', 'workers/disjoint', 'format', {
    format: changed(toy, { encodeTable: () => 1n << 9n } satisfies Partial<AnyFmt>),
  }),
]
