/** Where a format's tables would be looked at for an address: no memory, and no root, is needed. */
import { type AnyFmt, agreedConfig, type FoundRoot, hex, IoPgtableError } from '@io-pgtable/core'
import { type Position, positionOf, type Tables, tablesAt, translate, translates, translationJson } from '@io-pgtable/inspect'
import { configOf, geometryOf } from './configs.ts'
import type { Io } from './io.ts'
import { givenRegisters, type Register, registersOf } from './registers.ts'
import { formatOf, registerTextsOf, type TargetOptions } from './targets.ts'
import { faultText } from './text.ts'
import { UsageError } from './usage.ts'

type Found = FoundRoot<unknown, unknown>
const NOTHING = (): undefined => undefined

/** Tells the index at each level for each address. */
export function tellPositions(io: Io, name: string, iovas: readonly bigint[], options: TargetOptions & { readonly json?: true }): void {
  const tables = tablesWithoutMemory(formatOf(name), options)
  for (const iova of iovas) {
    const own = tables.find((each) => translates(each, iova) && translate(each, iova).fault?.type !== 'not-canonical')
    if (own === undefined) tellNone(io, tables, iova, options)
    else if (options.json) io.out(`${JSON.stringify(positionJson(positionOf(own, iova)))}\n`)
    else io.out(`${positionLines(positionOf(own, iova), own, io).join('\n')}\n`)
  }
}

function tellNone(io: Io, tables: readonly Tables[], iova: bigint, { json }: { readonly json?: true }): void {
  const translation = translate(tables, iova)
  if (json) io.out(`${JSON.stringify(translationJson(translation))}\n`)
  else if (translation.fault !== undefined) io.out(`${hex(iova)}  ${faultText(translation.fault)}\n`)
}

function positionJson({ iova, walk, offset }: Position): object {
  return { iova: hex(iova), paddr: null, walk, offset }
}

function positionLines({ iova, walk, offset }: Position, { name }: Tables, { color }: Io): string[] {
  return [
    `${color.dim(name)} ${color.bold(hex(iova))}`,
    ...walk.map(({ level, index }) => `  level ${level}  index ${index}`),
    `  offset ${hex(offset)}`,
  ]
}

function tablesWithoutMemory(format: AnyFmt, options: TargetOptions): readonly Tables[] {
  if (options.config !== undefined || options.root !== undefined) {
    const { params, context, ranges, geometry } = geometryOf(format, agreedConfig(format, configOf(format, options.config)))
    const roots = Array.from({ length: geometry.roots ?? 1 }, () => 0n)
    return [tablesAt(format, { name: 'root', params, context, roots, first: ranges.first, last: ranges.last }, NOTHING)]
  }
  return rootsOf(format, registerTextsOf(options)).map((found) => tablesAt(format, found, NOTHING))
}

/** The roots of the registers that are given; those that only say where a root is may be left out: they are 0. */
function rootsOf(format: AnyFmt, texts: Readonly<Record<string, string>>): readonly Found[] {
  if (Object.keys(texts).length === 0)
    throw new UsageError(
      '--image FILE is needed; without it, registers that give the geometry, or --config N, tell the index at each level',
    )
  let values: Readonly<Record<string, unknown>> = givenRegisters(format, texts)
  let found: readonly Found[] = attempt(format, values)
  for (const register of registersOf(format)) {
    if (register.name in values) continue
    const more = { ...values, [register.name]: zeroOf(register) }
    const roots = attempt(format, more)
    if (roots.length <= found.length && !(found.length === 0 && register.isRequired)) continue
    values = more
    found = roots
  }
  // once more, for what it says of a value that no hardware accepts
  return found.length > 0 ? found : format.rootsFromRegs(values)
}

function attempt(format: AnyFmt, values: Readonly<Record<string, unknown>>): readonly Found[] {
  try {
    return format.rootsFromRegs(values)
  } catch (error) {
    if (error instanceof IoPgtableError || error instanceof TypeError) return []
    throw error
  }
}

function zeroOf({ sample }: Register): unknown {
  if (Array.isArray(sample)) return sample.map(() => 0n)
  return typeof sample === 'bigint' ? 0n : typeof sample === 'number' ? 0 : sample
}
