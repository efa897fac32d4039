/** Registers by the names that they have in their translation regime: which regime that is, and what the format calls them. */
import type { AnyFmt, Regime } from '@io-pgtable/core'
import { knownName, nameKey } from './names.ts'
import { UsageError } from './usage.ts'

/** How a command line, and a format, call the regime. */
export const REGIME = 'regime'

type Texts = Readonly<Record<string, string>>

/** Registers by the format's own names, and the regime that was named, or that full names choose. */
export interface InRegime {
  readonly plain: Texts
  readonly regime: Regime | undefined
}

/** The format whose tables a regime has: that one, or another of its family. */
export function formatNameIn(format: AnyFmt, regime: string | undefined): string {
  if (regime === undefined) return format.FORMAT
  return regimeOf(format, regime).format ?? format.FORMAT
}

/** @throws UsageError for a regime that the format does not have, and for names of several regimes */
export function inRegime(format: AnyFmt, texts: Texts, known: readonly string[]): InRegime {
  const { [REGIME]: wanted, ...rest } = texts
  const named = wanted === undefined ? undefined : regimeOf(format, wanted)
  const plain: Record<string, string> = {}
  const full: [name: string, text: string][] = []
  for (const [name, text] of Object.entries(rest)) {
    const own = knownName(name, known)
    if (own === undefined && hasFullName(format, name)) full.push([name, text])
    else plain[own ?? name] = text
  }
  if (full.length === 0) return { plain, regime: named }
  const regimes = named === undefined ? Object.values(format.regimes ?? {}) : [named]
  const chosen = regimes.find((regime) => full.every(([name]) => ownName(regime, name) !== undefined))
  if (chosen === undefined) throw contradiction(full, wanted)
  for (const [name, text] of full) plain[ownName(chosen, name) ?? name] = text
  return { plain, regime: chosen }
}

function contradiction(full: readonly [name: string, text: string][], wanted: string | undefined): UsageError {
  const names = full.map(([name]) => name).join(', ')
  return new UsageError(wanted === undefined ? `${names} are of several regimes` : `${names}: registers of the regime ${wanted} expected`)
}

function regimeOf({ FORMAT, regimes = {} }: AnyFmt, name: string): Regime {
  const own = knownName(name, Object.keys(regimes))
  const found = own === undefined ? undefined : regimes[own]
  if (found === undefined) throw new UsageError(`${FORMAT} has no regime ${name}: ${Object.keys(regimes).join(', ') || 'it has one alone'}`)
  return found
}

function hasFullName({ regimes = {} }: AnyFmt, name: string): boolean {
  return Object.values(regimes).some((regime) => ownName(regime, name) !== undefined)
}

function ownName({ registers }: Regime, name: string): string | undefined {
  return Object.entries(registers).find(([each]) => nameKey(each) === nameKey(name))?.[1]
}

/** Every name that a register has in some regime. */
export function fullNames({ regimes = {} }: AnyFmt): readonly string[] {
  return Object.values(regimes).flatMap(({ registers }) => Object.keys(registers))
}
