/** What gives a descriptor's bits their meaning: registers that are given, or a configuration; and what is known of neither. */
import { type AnyFmt, agreedConfig, type Geometry, IoPgtableError, type ReadMemory } from '@io-pgtable/core'
import { configOf, geometryOf } from './configs.ts'
import { givenRegisters, registersOf, sampleRegisters } from './registers.ts'

/** A geometry, and the decode context, of which `unknown` are the members that no given register tells. */
export interface Meanings {
  readonly geometry: Geometry
  readonly context: unknown
  readonly unknown: ReadonlySet<string>
  /** The register of the physical address width, where it was not given. */
  readonly width: string | undefined
}

type Values = Readonly<Record<string, unknown>>

/** The registers by which hardware is told how many address bits it has. */
const WIDTHS = ['maxPhyAddr']

/** Of the registers that are given, the others as a configuration of the format has them; without any, of one configuration or of all. */
export function meaningsOf(format: AnyFmt, config: string | undefined, texts: Readonly<Record<string, string>>): readonly Meanings[] {
  const given = givenRegisters(format, texts)
  const width = registersOf(format)
    .find(({ name }) => WIDTHS.includes(name) && !(name in given))
    ?.name.toUpperCase()
  if (config !== undefined) return [{ ...ofConfig(format, config), width }]
  const found = sampleRegisters(format).flatMap(({ values, read }) => ofRegisters(format, needed(format, values, read), given, read))
  const all = found.length > 0 ? found : format.configs.map((_, i) => ofConfig(format, `${i}`))
  // once more, for what it says of a value that no hardware accepts
  if (found.length === 0 && Object.keys(given).length > 0) format.rootsFromRegs(given)
  return all.map((each) => ({ ...each, width }))
}

/** Without the registers that may be left out: they are as usual then, as in every other command. */
function needed(format: AnyFmt, sample: Values, read: ReadMemory): Values {
  const isRequired = new Set(registersOf(format).flatMap((register) => (register.isRequired ? [register.name] : [])))
  let values = sample
  for (const name of Object.keys(sample)) {
    const { [name]: _, ...rest } = values
    if (!isRequired.has(name) && contextsOf(format, rest, read).length === contextsOf(format, values, read).length) values = rest
  }
  return values
}

function ofConfig(format: AnyFmt, config: string): Omit<Meanings, 'width'> {
  const { geometry, context } = geometryOf(format, agreedConfig(format, configOf(format, config)))
  return { geometry, context, unknown: new Set(Object.keys(context ?? {})) }
}

function ofRegisters(format: AnyFmt, sample: Values, given: Values, read: ReadMemory): Omit<Meanings, 'width'>[] {
  const values = { ...sample, ...given }
  return contextsOf(format, values, read).map(({ params, context }) => ({
    ...{ geometry: format.geometry(params), context },
    unknown: unknownOf(format, values, given, read, context),
  }))
}

/** Members of the context that no given register has a say in: whatever it holds, they stay. */
function unknownOf(format: AnyFmt, values: Values, given: Values, read: ReadMemory, context: unknown): Set<string> {
  const unknown = new Set(Object.keys(context ?? {}))
  for (const [name, value] of Object.entries(given))
    for (const other of otherValues(value))
      for (const changed of contextsOf(format, { ...values, [name]: other }, read))
        for (const member of unknown) if (text(changed.context, member) !== text(context, member)) unknown.delete(member)
  return unknown
}

/** Values that differ in every bit from one that is given, in some place. */
function otherValues(value: unknown): readonly unknown[] {
  if (typeof value === 'boolean') return [!value]
  if (typeof value !== 'bigint') return []
  const bits = Array.from({ length: 64 }, (_, bit) => value ^ (1n << BigInt(bit)))
  return [value ^ 0xffff_ffffn, value ^ 0xffff_ffff_ffff_ffffn, ...bits]
}

function text(context: unknown, member: string): string {
  const value = (context as Values)[member]
  return JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? `${each}n` : each)) ?? ''
}

function contextsOf(format: AnyFmt, values: Values, read: ReadMemory): readonly { readonly params: unknown; readonly context: unknown }[] {
  try {
    return format.rootsFromRegs(values, read)
  } catch (error) {
    if (error instanceof IoPgtableError) return []
    throw error
  }
}
