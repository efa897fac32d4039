/** What a law is, and how it says that it was broken. */
import { type AnyFmt, type Decoded, hex, IoPgtableError, type LevelNode } from '@io-pgtable/core'
import type { Case } from './case.ts'
import { descriptorText } from './ruler.ts'

/** The name of a law, `group/law`. */
export type LawName =
  | `format/${'declaration' | 'configuration' | 'geometry' | 'fields' | 'kinds' | 'addresses' | 'attributes' | 'decoding' | 'values' | 'rights' | 'registers'}`
  | `table/${'entries' | 'reference' | 'bounds' | 'conflicts' | 'model' | 'memory' | 'lost-memory' | 'dirty' | 'cut' | 'protect' | 'trim' | 'leaves' | 'adopt'}`
  | `tlb/${'coherence' | 'free' | 'flush-ops' | 'flush-policy' | 'in-place' | 'failed-flush'}`
  | 'truth/vectors'
  | `workers/${'disjoint' | 'range-lock' | 'late-memory'}`

/** Why a law does not apply, from what the format declares. */
export interface Skipped {
  readonly skipped: string
}

/** Tests one law on one configuration; throws {@link LawError} where it is broken. */
export interface Law {
  readonly name: LawName
  /** What it says, in a sentence. */
  readonly says: string
  check(c: Case): undefined | Skipped | Promise<undefined | Skipped>
}

/** A law is broken. The message says which one, in which configuration, where, and by which descriptor. */
export class LawError extends Error {
  readonly law: LawName
  readonly config: string

  constructor(law: LawName, format: AnyFmt, config: string, message: string, options?: ErrorOptions) {
    super(`law ${law} is broken: ${format.FORMAT}, configuration "${config}": ${message}`, options)
    this.name = 'LawError'
    this.law = law
    this.config = config
  }
}

/** Where something is wrong. */
export interface Where {
  readonly node?: LevelNode
  readonly iova?: bigint
  /** A descriptor: shown with the ruler of its bits. */
  readonly raw?: bigint
  readonly entry?: Decoded
}

/** A fault, before it is known which law it breaks. */
export class Fault extends Error {
  constructor(message: string, where: Where = {}) {
    super(faultText(message, where))
    this.name = 'Fault'
  }
}

/** Throws a {@link Fault} unless `holds`. */
export function must(holds: boolean, message: string | (() => string), where: Where = {}): asserts holds {
  if (!holds) throw new Fault(typeof message === 'string' ? message : message(), where)
}

/** Throws unless both are equal; values are shown in hex. */
export function same(what: string, got: Shown, expected: Shown, where: Where = {}): void {
  if (got !== expected) throw new Fault(`${what}: ${show(expected)} expected, got ${show(got)}`, where)
}

/** Whether an exception is a format's word for values that it does not take. */
export function isRefusal(error: unknown): boolean {
  return error instanceof IoPgtableError && (error.code === 'EINVAL' || error.code === 'ERANGE')
}

type Shown = bigint | number | string | boolean | undefined

function show(value: Shown): string {
  return typeof value === 'bigint' || (typeof value === 'number' && value > 9) ? hex(value) : String(value)
}

function faultText(message: string, { node, iova, raw, entry }: Where): string {
  const level = node ?? entry?.node
  const places = [
    ...(level === undefined ? [] : [`level ${level.level} (${level.name})`]),
    ...(iova === undefined ? [] : [`iova ${hex(iova)}`]),
  ]
  const text = places.length === 0 ? message : `${message}\n  at ${places.join(', ')}`
  const bits = raw ?? entry?.raw
  return bits === undefined || level === undefined ? text : `${text}\n${descriptorText(level, bits)}`
}
