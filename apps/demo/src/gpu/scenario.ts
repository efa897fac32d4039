/** Scenarios: VMs, buffers, and what a user asks of them, from JSON that people write. Whatever is wrong is told with its line and column. */
import { hex, Prot } from '@io-pgtable/core'
import { type JsonValue, parseJson } from '@io-pgtable/inspect'
import type { Command } from './job.ts'
import { PAGE } from './memory.ts'

export interface BufferSpec {
  readonly name: string
  /** Bytes. */
  readonly size: number
  /** The memory is in pieces of this size; one piece without it. */
  readonly chunk?: number
}

export interface VmSpec {
  readonly name: string
  readonly start: bigint
  readonly range: bigint
  readonly kernel?: { readonly addr: bigint; readonly range: bigint }
}

/** The error that a request is to give; without it, it is to succeed. */
interface Expected {
  readonly note?: string
  readonly refused?: string
}

/** A step for each of several operations: a type of its own for each, so that one of them can be told from the others. */
type StepOf<O extends string, T> = O extends string ? Expected & { readonly op: O } & T : never

export interface MapSpec {
  readonly vm: string
  readonly at: bigint
  readonly size: bigint
  readonly buffer: string
  readonly offset: bigint
  readonly prot: Prot
  /** Of a heap: what one fault maps, bytes. */
  readonly chunk: number
}

export interface JobSpec {
  readonly vm: string
  readonly commands: readonly Command[]
  /** It is to be ended by a fault. */
  readonly faults: boolean
}

export type Step =
  | StepOf<'map' | 'heap', MapSpec>
  | StepOf<'unmap', Pick<MapSpec, 'vm' | 'at' | 'size'>>
  | StepOf<'evict' | 'restore', Pick<MapSpec, 'buffer'>>
  | StepOf<'job', JobSpec>

export interface Scenario {
  readonly name: string
  readonly about: string
  /** Address-space slots of the GPU. */
  readonly slots: number
  /** Most bytes of table memory. */
  readonly tables: number | undefined
  readonly buffers: readonly BufferSpec[]
  readonly vms: readonly VmSpec[]
  readonly steps: readonly Step[]
}

const LARGEST = 2 ** 28
const CODES = ['EINVAL', 'ERANGE', 'EEXIST', 'ENOMEM', 'EBUSY'] as const

/** What names may be used, as it becomes known. */
interface Names {
  readonly buffers: readonly string[]
  readonly vms: readonly string[]
}

/** @throws `EBADMSG` with file, line and column */
export function parseScenario(text: string, file: string): Scenario {
  const json = parseJson(text, file)
  const { name, about, slots, tables, buffers, vms, steps } = json.object(['name', 'about', 'slots', 'tables', 'buffers', 'vms', 'steps'])
  const scenario = {
    name: name?.string() ?? file,
    about: about?.string() ?? '',
    slots: slots === undefined ? 2 : countOf(slots, 1, 16),
    tables: tables === undefined ? undefined : bytesOf(tables),
    buffers: required(json, 'buffers', buffers)
      .entries()
      .map(([key, value]) => bufferOf(key, value)),
    vms: required(json, 'vms', vms)
      .entries()
      .map(([key, value]) => vmOf(key, value)),
  }
  if (scenario.vms.length === 0) throw required(json, 'vms', vms).error('at least one VM expected')
  const names: Names = { buffers: scenario.buffers.map((one) => one.name), vms: scenario.vms.map((one) => one.name) }
  return {
    ...scenario,
    steps: required(json, 'steps', steps)
      .array()
      .map((step) => stepOf(step, names)),
  }
}

function required(parent: JsonValue, name: string, value: JsonValue | undefined): JsonValue {
  if (value === undefined) throw parent.error(`there is no member "${name}"`)
  return value
}

/** A number of whole pages, in bytes. */
function bytesOf(value: JsonValue): number {
  const bytes = value.integer()
  if (bytes === 0n || bytes > BigInt(LARGEST) || bytes % BigInt(PAGE) !== 0n)
    throw value.error(`${hex(bytes)}: whole pages of ${PAGE} bytes expected, at most ${hex(LARGEST)}`)
  return Number(bytes)
}

function countOf(value: JsonValue, least: number, most: number): number {
  const count = value.integer()
  if (count < BigInt(least) || count > BigInt(most)) throw value.error(`${count}: ${least} to ${most} expected`)
  return Number(count)
}

function bufferOf(name: string, value: JsonValue): BufferSpec {
  if (!isObject(value)) return { name, size: bytesOf(value) }
  const { size, pieces } = value.object(['size', 'pieces'])
  const chunk = pieces === undefined ? undefined : bytesOf(pieces)
  if (chunk !== undefined && (chunk & (chunk - 1)) !== 0) throw pieces?.error(`${hex(chunk)}: a power of two expected`)
  return { name, size: bytesOf(required(value, 'size', size)), ...(chunk !== undefined && { chunk }) }
}

function isObject(value: JsonValue): boolean {
  return typeof value.plain() === 'object'
}

function vmOf(name: string, value: JsonValue): VmSpec {
  const { start, size, kernel } = value.object(['start', 'size', 'kernel'])
  const reserved = kernel?.object(['at', 'size'])
  return {
    name,
    start: start?.integer() ?? 0n,
    range: required(value, 'size', size).integer(),
    ...(kernel &&
      reserved && {
        kernel: { addr: required(kernel, 'at', reserved.at).integer(), range: required(kernel, 'size', reserved.size).integer() },
      }),
  }
}

const MEMBERS = [
  'map',
  'unmap',
  'heap',
  'evict',
  'restore',
  'job',
  'vm',
  'at',
  'size',
  'offset',
  'prot',
  'chunk',
  'note',
  'refused',
  'faults',
] as const
const OPS = ['map', 'unmap', 'heap', 'evict', 'restore', 'job'] as const

function stepOf(value: JsonValue, names: Names): Step {
  const m = value.object(MEMBERS)
  const ops = OPS.filter((op) => m[op] !== undefined)
  const [op] = ops
  if (op === undefined || ops.length > 1) throw value.error(`one of ${OPS.join(', ')} expected, got ${ops.join(' and ') || 'none'}`)
  const what = m[op] as JsonValue
  const vm = m.vm === undefined ? (names.vms[0] ?? '') : m.vm.oneOf(names.vms)
  const expected = { ...(m.note && { note: m.note.string() }), ...(m.refused && { refused: m.refused.oneOf(CODES) }) }
  const only = (...known: readonly (typeof MEMBERS)[number][]): void => {
    for (const name of MEMBERS)
      if (m[name] !== undefined && ![op, 'note', 'refused', ...known].includes(name))
        throw m[name]?.error(`a step "${op}" has no "${name}"`)
  }
  if (op === 'evict' || op === 'restore') {
    only()
    return { op, buffer: what.oneOf(names.buffers), ...expected }
  }
  if (op === 'unmap') {
    only('vm', 'size')
    return { op, vm, at: what.integer(), size: required(value, 'size', m.size).integer(), ...expected }
  }
  if (op === 'job') {
    only('vm', 'faults')
    return { op, vm, commands: what.array().map(commandOf), faults: m.faults?.plain() === true, ...expected }
  }
  only('vm', 'at', 'size', 'offset', 'prot', 'chunk')
  return {
    op,
    vm,
    buffer: what.oneOf(names.buffers),
    at: required(value, 'at', m.at).integer(),
    size: required(value, 'size', m.size).integer(),
    offset: m.offset?.integer() ?? 0n,
    prot: m.prot?.prot() ?? Prot.READ | Prot.WRITE,
    chunk: m.chunk === undefined ? 65_536 : bytesOf(m.chunk),
    ...expected,
  }
}

/** `["fill", at, size, value]`, `["expect", at, size, value]`, `["copy", at, from, size]`. */
function commandOf(value: JsonValue): Command {
  const [name, ...operands] = value.array()
  const op = name?.oneOf(['fill', 'expect', 'copy'] as const)
  const [at, second, third] = operands
  if (op === undefined || at === undefined || second === undefined || third === undefined || operands.length !== 3)
    throw value.error('["fill", at, size, value], ["expect", at, size, value] or ["copy", to, from, size] expected')
  for (const address of op === 'copy' ? [at, second] : [at])
    if (address.integer() % 4n !== 0n) throw address.error('an address of whole words expected')
  const words = op === 'copy' ? third : second
  const size = words.integer()
  if (size === 0n || size % 4n !== 0n || size > BigInt(LARGEST))
    throw words.error(`${hex(size)}: whole words expected, at most ${hex(LARGEST)} bytes`)
  if (op === 'copy') return { op, at: at.integer(), from: second.integer(), size: Number(size) }
  return { op, at: at.integer(), size: Number(size), value: Number(BigInt.asUintN(32, third.integer())) }
}
