/** Faults that only several workers meet. */
import type { AnyFmt } from '@io-pgtable/core'
import { toy } from '../../src/toy.ts'
import { changed, engine, type Mutant } from './mutant.ts'

/** The toy as workers load it: built. */
const module = new URL('../../dist/toy.js', import.meta.url)
const fault = (what: string, law: Mutant['law'], of: Mutant['of'], options: Partial<Mutant['options']>): Mutant => ({
  fault: `${what} (on toy)`,
  of,
  law,
  options: { format: changed(toy, {}), module, ...options },
})

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
  fault('the attributes of this thread are not those of the workers', 'workers/disjoint', 'format', {
    format: changed(toy, { encodeTable: () => 1n << 9n } satisfies Partial<AnyFmt>),
  }),
]
