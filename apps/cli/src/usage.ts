/** Words of a command line: numbers, ranges, flags. What is wrong with them is told as the user wrote them. */
import { Prot, type ProtName, protOf } from '@io-pgtable/core'
import { parseInteger } from '@io-pgtable/inspect'
import { InvalidArgumentError } from 'commander'

/** A command line that says too little, or something that does not go together. */
export class UsageError extends Error {}

/** A non-negative integer: `4096`, `0x1000`, `64K`. */
export function integer(text: string): bigint {
  const value = parseInteger(text)
  if (value === undefined) throw new InvalidArgumentError('an integer expected, as 4096, 0x1000 or 4K.')
  return value
}

/** One that is small. */
export function small(text: string): number {
  const value = integer(text)
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new InvalidArgumentError('a number below 2^53 expected.')
  return Number(value)
}

/** A level: it may be -1. */
export function level(text: string): number {
  if (!/^-?\d+$/.test(text)) throw new InvalidArgumentError('a level expected, as 2, or --level=-1.')
  return Number(text)
}

export interface Range {
  readonly first: bigint
  readonly last: bigint
}

/** `FIRST..LAST`, `FIRST+SIZE`, or one address. */
export function range(text: string): Range {
  const [, first = '', sign, second = ''] = /^([^.+]+)(?:(\.\.|\+)(.+))?$/.exec(text) ?? []
  const from = integer(first)
  if (sign === undefined) return { first: from, last: from }
  const last = sign === '..' ? integer(second) : from + integer(second) - 1n
  if (last < from) throw new InvalidArgumentError('a range that is not empty expected.')
  return { first: from, last }
}

/** `READ,WRITE`. */
export function flags(text: string): Prot {
  return protOf(text.split(',').map((name) => flag(name.trim())))
}

function flag(text: string): ProtName {
  const name = text.toUpperCase()
  if (!Object.hasOwn(Prot, name)) throw new InvalidArgumentError(`flags expected, of ${Object.keys(Prot).join(', ')}.`)
  return name as ProtName
}

/** Collects `name=value` of an option that can be given again. */
export function pair(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('name=value expected.')
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}

/** Collects the values of an option that can be given again. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}
