/** Reads members of untrusted JSON, and says where something is not what it must be. */
import { IoPgtableError, Prot, type ProtName, protOf, type VectorLevel } from '@io-pgtable/core'

/** An `EBADMSG` that names the place in the document. */
export function malformed(at: string, expected: string, got: unknown): IoPgtableError {
  const json = JSON.stringify(got) ?? String(got)
  const shown = json.length > 60 ? `${json.slice(0, 60)}…` : json
  return new IoPgtableError('EBADMSG', 'vector file', `${at}: ${expected} expected, got ${shown}`)
}

/** An object with all of `required`, any of `optional`, and nothing else: what the runner does not know it would not compare. */
export function members(
  value: unknown,
  at: string,
  required: readonly string[],
  optional: readonly string[] = [],
): Record<string, unknown> {
  const object = anyMembers(value, at)
  for (const name of required) if (!Object.hasOwn(object, name)) throw malformed(at, `the member ${name}`, value)
  for (const name of Object.keys(object))
    if (!required.includes(name) && !optional.includes(name)) throw malformed(`${at}.${name}`, 'no such member', object[name])
  return object
}

/** An object, whatever it holds. */
export function anyMembers(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(at, 'an object', value)
  return value as Record<string, unknown>
}

/** A number written as `0x1f`, below 2^64. */
export function hexOf(value: unknown, at: string): bigint {
  if (typeof value !== 'string' || !/^0x[0-9a-f]{1,16}$/.test(value)) throw malformed(at, 'a hex string like "0x1f"', value)
  return BigInt(value)
}

/** A raw descriptor: a number written as `0x1f`, of at most 128 bits. */
export function rawOf(value: unknown, at: string): bigint {
  if (typeof value !== 'string' || !/^0x[0-9a-f]{1,32}$/.test(value)) throw malformed(at, 'a hex string like "0x1f"', value)
  return BigInt(value)
}

/** The number of a level, or its name. */
export function levelOf(value: unknown, at: string): VectorLevel {
  if (typeof value === 'string' && value !== '') return value
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw malformed(at, 'a level: an integer or a name', value)
  return value
}

/** An integer from 0 to 2^53 - 1. */
export function countOf(value: unknown, at: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw malformed(at, 'an integer from 0 to 2^53 - 1', value)
  return value
}

export function textOf(value: unknown, at: string): string {
  if (typeof value !== 'string') throw malformed(at, 'a string', value)
  return value
}

export function flagOf(value: unknown, at: string): boolean {
  if (typeof value !== 'boolean') throw malformed(at, 'true or false', value)
  return value
}

export function listOf<T>(value: unknown, at: string, item: (value: unknown, at: string) => T): T[] {
  if (!Array.isArray(value)) throw malformed(at, 'an array', value)
  return value.map((v, i) => item(v, `${at}[${i}]`))
}

/** An array of exactly `length` items. */
export function tupleOf(value: unknown, at: string, length: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length !== length) throw malformed(at, `an array of ${length}`, value)
  return value
}

/** `null`, or what `item` reads. */
export function nullOr<T>(value: unknown, at: string, item: (value: unknown, at: string) => T): T | null {
  return value === null ? null : item(value, at)
}

/** Names of permissions and attributes, as one number. */
export function protAt(value: unknown, at: string): Prot {
  const names = listOf(value, at, textOf)
  for (const name of names) if (!Object.hasOwn(Prot, name)) throw malformed(at, `names among ${Object.keys(Prot).join(', ')}`, name)
  return protOf(names as ProtName[])
}
