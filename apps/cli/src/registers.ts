/** Registers of a format as text: which there are, of which type, and what a command line's values become. */
import { type AnyFmt, hex, IoPgtableError, memoryOf, type ReadMemory } from '@io-pgtable/core'
import { parseInteger } from '@io-pgtable/inspect'
import { didYouMean } from './names.ts'
import { inRegime, REGIME } from './regimes.ts'
import { UsageError } from './usage.ts'

/** A register, as a format's own configurations show it. */
export interface Register {
  readonly name: string
  /** A value of it. */
  readonly sample: unknown
  /** Tables cannot be found without it. */
  readonly isRequired: boolean
  /** Of a value with parts, as `mtk.ias`: their names. */
  readonly parts?: readonly string[]
}

type Values = Readonly<Record<string, unknown>>

/** Any root will do: only names and types are wanted. */
const ROOT = 0x4000_0000n

/** Raw registers of each configuration of a format, as it would give them to hardware, and the memory that they point to. */
export function sampleRegisters(format: AnyFmt): readonly { readonly values: Values; readonly read: ReadMemory }[] {
  return format.configs.flatMap(({ config }) => {
    const agreed = format.configure(config)
    const { top, roots = 1, nodes } = format.geometry(format.params(agreed))
    const bytes = (nodes.find(({ id }) => id === top)?.tableBytes ?? 4096) / roots
    const at = Array.from({ length: roots }, (_, i) => ROOT + BigInt(i * bytes))
    const regs = format.regs(agreed, at, top)
    const values = format.hardware?.(agreed, regs) as Values | undefined
    return values === undefined ? [] : [{ values, read: memoryOf(format.rootMemory?.(agreed, regs) ?? []) }]
  })
}

/**
 * The registers that a format's hardware has: those that its configurations show, and all others that it looks at when it looks for roots.
 */
export function registersOf(format: AnyFmt): readonly Register[] {
  let registers = registersKnown.get(format)
  if (registers === undefined) registersKnown.set(format, (registers = findRegisters(format)))
  return registers
}

const registersKnown = new WeakMap<AnyFmt, readonly Register[]>()

function findRegisters(format: AnyFmt): readonly Register[] {
  const all = sampleRegisters(format)
  const registers = new Map<string, unknown>()
  for (const { values } of all) for (const [name, value] of Object.entries(values)) registers.set(name, registers.get(name) ?? value)
  for (const { values, read } of all) for (const name of namesRead(format, values, read)) registers.set(name, registers.get(name))
  return [...registers].map(([name, sample]) => ({
    name,
    sample,
    isRequired: all.every(({ values, read }) => fails(format, values, name, read)),
    ...(isParts(sample) && { parts: Object.keys(sample) }),
  }))
}

function isParts(sample: unknown): sample is object {
  return typeof sample === 'object' && sample !== null && !Array.isArray(sample)
}

/** What a format reads of the registers that it is given. */
function namesRead(format: AnyFmt, values: Values, read: ReadMemory): ReadonlySet<string> {
  const names = new Set<string>()
  const watched = new Proxy(values, {
    get(target, name) {
      if (typeof name === 'string') names.add(name)
      return Reflect.get(target, name)
    },
  })
  format.rootsFromRegs(watched, read)
  return names
}

/** Whether registers say too little when one is left out. */
function fails(format: AnyFmt, values: Values, name: string, read: ReadMemory): boolean {
  if (!(name in values)) return false
  const { [name]: _, ...rest } = values
  try {
    return format.rootsFromRegs(rest, read).some(({ context }) => hasGap(context))
  } catch (error) {
    return !(error instanceof IoPgtableError)
  }
}

function hasGap(context: unknown): boolean {
  return typeof context === 'object' && context !== null && Object.values(context).includes(undefined)
}

/**
 * A command line's values as a format takes them: each as the sample of its register; where there is none, `true` and `false` are
 * booleans, and all else is a number of 64 bits. `mtk.ias=34` is a part of `mtk`. @throws UsageError
 */
export function registerValues(format: AnyFmt, texts: Readonly<Record<string, string>>, option = 'reg'): Values {
  const registers = registersOf(format)
  const values = givenRegisters(format, texts)
  const missing = registers.flatMap((register) => pathsOf(register).filter((path) => isMissing(register, path, values)))
  const write = (path: string): string => `--${option} ${path}=VALUE`
  const roots = rootRegisters(format).filter((name) => !missing.includes(name))
  const noRoot = roots.length > 0 && roots.every((name) => !(name in values))
  const all = [...missing.map(write), ...(noRoot ? [roots.map(write).join(' or ')] : [])]
  if (all.length > 0) throw new UsageError(`${format.FORMAT} needs ${all.join(' and ')}`)
  return values
}

/** Registers of which each gives a root: one of them is needed. What stands for one in samples may be another's place on other hardware. */
function rootRegisters(format: AnyFmt): readonly string[] {
  const others = registersOf(format).map(({ name }) => name)
  const names = sampleRegisters(format).flatMap(({ values, read }) =>
    Object.keys(values)
      .filter((name) => rootsWithout(format, values, name, read) < format.rootsFromRegs(values, read).length)
      .flatMap((name) => {
        const instead = others.filter(
          (other) => !(other in values) && rootsWithout(format, { ...values, [other]: values[name] }, name, read) > 0,
        )
        return rootsWithout(format, values, name, read) === 0 ? [name, ...instead] : [name]
      }),
  )
  return [...new Set(names)]
}

/** How many roots there are without a register; none where registers say too little. */
function rootsWithout(format: AnyFmt, values: Values, name: string, read: ReadMemory): number {
  const { [name]: _, ...rest } = values
  try {
    return format.rootsFromRegs(rest, read).length
  } catch (error) {
    if (error instanceof IoPgtableError) return 0
    return Number.POSITIVE_INFINITY
  }
}

/** The same, of which some may be missing. @throws UsageError */
export function givenRegisters(format: AnyFmt, texts: Readonly<Record<string, string>>): Values {
  const registers = registersOf(format)
  const values: Record<string, unknown> = {}
  const { plain, regime } = inRegime(format, texts, registers.flatMap(pathsOf))
  if (regime?.value !== undefined) values[REGIME] = regime.value
  for (const [path, text] of Object.entries(plain)) {
    const [name = '', part] = path.split('.')
    const { sample } = registerAt(format, registers, path)
    if (part === undefined) values[name] = parseValue(path, text, sample)
    else values[name] = { ...(values[name] as object), [part]: parseValue(path, text, (sample as Values)[part]) }
  }
  return values
}

/** What stands before the `=`: the name, or those of the parts. */
function pathsOf({ name, parts }: Register): readonly string[] {
  return parts?.map((part) => `${name}.${part}`) ?? [name]
}

function registerAt({ FORMAT }: AnyFmt, registers: readonly Register[], path: string): Register {
  const found = registers.find((register) => pathsOf(register).includes(path))
  const known = registers.flatMap(pathsOf)
  if (found === undefined) throw new UsageError(`${FORMAT} has no register ${path}: ${known.join(', ')}${didYouMean(path, known)}`)
  return found
}

/** A register that is needed, or a part of one of which another is given. */
function isMissing({ name, isRequired }: Register, path: string, values: Values): boolean {
  const [, part] = path.split('.')
  if (!(name in values)) return isRequired
  return part !== undefined && !(part in (values[name] as Values))
}

function parseValue(name: string, text: string, sample: unknown): unknown {
  if (Array.isArray(sample)) return text === '' ? [] : text.split(',').map((element) => parseValue(name, element, sample[0] ?? element))
  if (text === 'true' || text === 'false') return text === 'true'
  if (typeof sample === 'string') return text
  const value = parseInteger(text)
  if (value === undefined) throw new UsageError(`${name} ${JSON.stringify(text)}: an integer expected, as 0x1000`)
  return typeof sample === 'boolean' ? value !== 0n : typeof sample === 'number' ? Number(value) : value
}

/** Registers as text, as a command line takes them: lists with commas, parts as `mtk.ias`. */
export function registerTexts(registers: Values): readonly (readonly [name: string, text: string])[] {
  return Object.entries(registers).flatMap(([name, value]) => {
    if (value === undefined) return []
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[name, textOf(value)] as const]
    return registerTexts(value as Values).map(([part, text]) => [`${name}.${part}`, text] as const)
  })
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(textOf).join(',')
  return typeof value === 'bigint' || typeof value === 'number' ? hex(value) : String(value)
}
