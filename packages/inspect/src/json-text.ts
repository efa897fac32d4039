/** JSON that people write: every complaint names line and column. Addresses and sizes are numbers, or strings as `"0x1000"` and `"64K"`. */
import { type DocumentNode, parse, type StringNode, type ValueNode } from '@humanwhocodes/momoa'
import { hex, IoPgtableError, Prot as PROT, type Prot, type ProtName, protOf } from '@io-pgtable/core'

/** A value in a JSON text, which knows where it stands. */
export class JsonValue {
  readonly #node: ValueNode
  readonly #name: string
  /** For messages: `regions[2].size`. */
  readonly path: string

  constructor(node: ValueNode, name: string, path: string) {
    this.#node = node
    this.#name = name
    this.path = path
  }

  /** What is wrong here. The code is `EBADMSG`, the operation the file. */
  error(message: string): IoPgtableError {
    const { line, column } = this.#node.loc.start
    const what = this.path === '' ? '' : `${this.path}: `
    return new IoPgtableError('EBADMSG', `${this.#name}:${line}:${column}`, `${what}${message}`, { value: this.#text })
  }

  get #text(): string {
    const node = this.#node
    if (node.type === 'String' || node.type === 'Number' || node.type === 'Boolean') return String(node.value)
    return node.type
  }

  /** The members of an object that may have only these. @throws `EBADMSG` */
  object<K extends string>(known: readonly K[]): { readonly [name in K]?: JsonValue } {
    const members: { [name in K]?: JsonValue } = {}
    for (const [name, value] of this.entries()) {
      if (!known.includes(name as K)) throw value.error(`there is no member ${JSON.stringify(name)}: ${known.join(', ')} expected`)
      members[name as K] = value
    }
    return members
  }

  /** All members of an object, in order. @throws `EBADMSG` for another type, and for a member that is there twice */
  entries(): readonly (readonly [string, JsonValue])[] {
    const node = this.#node
    if (node.type !== 'Object') throw this.error('an object expected')
    const seen = new Set<string>()
    return node.members.map((member) => {
      const name = (member.name as StringNode).value
      const value = new JsonValue(member.value, this.#name, this.path === '' ? name : `${this.path}.${name}`)
      if (seen.has(name)) throw value.error('it is there twice')
      seen.add(name)
      return [name, value]
    })
  }

  array(): readonly JsonValue[] {
    const node = this.#node
    if (node.type !== 'Array') throw this.error('an array expected')
    return node.elements.map((element, i) => new JsonValue(element.value, this.#name, `${this.path}[${i}]`))
  }

  string(): string {
    const node = this.#node
    if (node.type !== 'String') throw this.error('a string expected')
    return node.value
  }

  /** One of a few strings. */
  oneOf<T extends string>(choices: readonly T[]): T {
    const text = this.string()
    if (!choices.includes(text as T)) throw this.error(`${JSON.stringify(text)}: one of ${choices.join(', ')} expected`)
    return text as T
  }

  /** A non-negative integer below 2^64, in a number or a string. */
  integer(): bigint {
    const node = this.#node
    if (node.type === 'Number' && Number.isSafeInteger(node.value) && node.value >= 0) return BigInt(node.value)
    const value = node.type === 'String' ? parseInteger(node.value) : undefined
    if (value === undefined) throw this.error('an integer from 0 to 2^64 - 1 expected: 4096, "4096", "0x1000", "4K"')
    return value
  }

  /** Flags by name: `["READ", "WRITE"]`. */
  prot(): Prot {
    const names = Object.keys(PROT) as ProtName[]
    return protOf(this.array().map((flag) => flag.oneOf(names)))
  }

  /** The value as JSON.parse gives it, integers that are strings as bigints. */
  plain(): unknown {
    const node = this.#node
    if (node.type === 'Array') return this.array().map((element) => element.plain())
    if (node.type === 'Object') return Object.fromEntries(this.entries().map(([name, value]) => [name, value.plain()]))
    if (node.type === 'String') return parseInteger(node.value) ?? node.value
    if (node.type === 'Number' || node.type === 'Boolean') return node.value
    if (node.type === 'Null') return null
    throw this.error('a JSON value expected')
  }
}

const UNITS: Readonly<Record<string, bigint>> = { '': 0n, K: 10n, M: 20n, G: 30n, T: 40n }

/** `4096`, `0x1000`, `0b1`, `64K`, with `_` between digits; undefined for anything else, and from 2^64 on. */
export function parseInteger(text: string): bigint | undefined {
  const digits = /^(0[xX][0-9a-fA-F_]+|0[bB][01_]+|[0-9][0-9_]*)([KMGT]?)$/.exec(text.trim())
  if (digits?.[1] === undefined || /_$|__|^0[xXbB]_/.test(digits[1])) return undefined
  const value = BigInt(digits[1].replaceAll('_', '')) << (UNITS[digits[2] ?? ''] ?? 0n)
  return value < 1n << 64n ? value : undefined
}

/** Parses a text. @throws `EBADMSG` with line and column */
export function parseJson(text: string, name: string): JsonValue {
  let document: DocumentNode
  try {
    document = parse(text)
  } catch (cause) {
    if (cause instanceof RangeError) throw new IoPgtableError('EBADMSG', name, 'objects and arrays in too many others', { cause })
    const { line = 1, column = 1, message } = cause as { line?: number; column?: number; message: string }
    throw new IoPgtableError('EBADMSG', `${name}:${line}:${column}`, message.replace(/ \(\d+:\d+\)$/, ''), { cause })
  }
  return new JsonValue(document.body, name, '')
}

/** A range in a text: `start` to `start + size - 1`. @throws `EBADMSG` when it is empty, or ends beyond 2^64 */
export function rangeOf(start: JsonValue, size: JsonValue): { readonly first: bigint; readonly last: bigint } {
  const first = start.integer()
  const bytes = size.integer()
  if (bytes === 0n) throw size.error('0 bytes: a size expected')
  if (first + bytes > 1n << 64n) throw size.error(`${hex(first)} + ${hex(bytes)} ends beyond 2^64`)
  return { first, last: first + bytes - 1n }
}
