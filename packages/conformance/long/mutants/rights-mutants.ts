/** Faults of what fields mean: rights, memory types, and the regime. */
import { type AnyFmt, type Meaning, meaning, Right, type Rights } from '@io-pgtable/core'
import { toy } from '../../src/toy.ts'
import { changed, type Mutant, rekinded } from './mutant.ts'

const rights = (fault: string, mutant: AnyFmt, law: Mutant['law'] = 'format/rights'): Mutant => ({
  fault: `toy: ${fault}`,
  of: 'format',
  law,
  options: { format: mutant },
})
const granting = (grants: Meaning<Rights>): AnyFmt => rekinded(toy, 'page', () => ({ grants }))

export const RIGHTS_MUTANTS: readonly Mutant[] = [
  rights(
    'W inverted in what a page grants',
    granting(meaning(['W', 'X'], ({ W, X }) => Right.READ | (W ? 0 : Right.WRITE) | (X ? 0 : Right.EXECUTE))),
  ),
  rights('what a page grants forgets X', granting(meaning(['W'], ({ W }) => Right.READ | (W ? Right.WRITE : 0) | Right.EXECUTE))),
  rights(
    'a page grants users alone',
    granting(meaning(['W', 'X'], ({ W, X }) => (Right.READ | (W ? Right.WRITE : 0) | (X ? 0 : Right.EXECUTE)) & Right.USER)),
  ),
  rights('a meaning names a field that the kind lacks', granting(meaning(['R'], () => Right.ALL))),
  rights('rights of more than six bits', granting(meaning(['W'], ({ W }) => (W ? 127 : Right.READ)))),
  rights(
    'RO inverted',
    rekinded(toy, 'table', () => ({ limits: meaning(['RO'], ({ RO }) => (RO ? Right.ALL : Right.ALL & ~Right.WRITE)) })),
  ),
  rights(
    'every page has its access flag to want',
    rekinded(toy, 'page', () => ({ traps: meaning(['W'], () => ({ read: 'access-flag' as const })) })),
  ),
  rights(
    'device memory is named cached',
    rekinded(toy, 'page', () => ({
      memory: meaning(['C', 'M'], ({ C, M }) => ({ name: 'memory', caching: C || M ? ('cached' as const) : ('uncached' as const) })),
    })),
  ),
  rights(
    'W faults as a reserved bit',
    rekinded(toy, 'page', (kind) => ({ fields: kind.fields.map((f) => (f.name === 'W' ? { ...f, reserved: 'faults' } : f)) })),
    'format/attributes',
  ),
  rights('the regime lets users alone read', changed(toy, { regime: () => (path: Rights) => path & ~(Right.PRIVILEGED & Right.READ) })),
  rights('a fault has no code', changed(toy, { fault: () => ({ name: 'fault', codes: { reason: Number.NaN } }) })),
  rights(
    'an update sets what tells the kind',
    rekinded(toy, 'page', () => ({ updates: () => ({ dirty: { set: 2n, clear: 1n } }) })),
  ),
]
