/** The JSON beside an image: only as much of it is believed as was checked here. */
import { IoPgtableError } from '@io-pgtable/core'
import type { MemoryImage } from '@io-pgtable/inspect'
import type { Row } from './compare.ts'
import type { ImageReport } from './report.ts'

/** An object of a JSON file, known to be one. */
export type JsonObject = Readonly<Record<string, unknown>>

/** Parses a JSON file whose top is an object. @throws `EBADMSG` when it is not. */
export function parseObject(text: string): JsonObject {
  try {
    return asObject(JSON.parse(text), 'the file')
  } catch (error) {
    if (error instanceof IoPgtableError) throw error
    throw new IoPgtableError('EBADMSG', 'expected.json', String(error), {})
  }
}

export function asObject(value: unknown, what: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject
  throw wrong(what, 'an object')
}

export function asList(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw wrong(what, 'a list')
}

export function asText(value: unknown, what: string): string {
  if (typeof value === 'string') return value
  throw wrong(what, 'a string')
}

/** A register value, `"0x…"`. */
export function asRegister(value: unknown, what: string): bigint {
  const text = asText(value, what)
  if (/^0x[0-9a-f]{1,16}$/i.test(text)) return BigInt(text)
  throw wrong(what, 'a register value such as "0x1f"')
}

/** Rows of the columns that `columns` names. @throws `EBADMSG` when the file has others. */
export function asRows(value: unknown, columns: readonly string[], file: JsonObject): readonly Row[] {
  const names = asList(file.mappingColumns, 'mappingColumns')
  if (names.join() !== columns.join()) throw wrong('mappingColumns', columns.join())
  return asList(value, 'the mappings').map((row) => asList(row, 'a mapping') as Row)
}

function wrong(what: string, want: string): IoPgtableError {
  return new IoPgtableError('EBADMSG', 'expected.json', `${what} is not ${want}`, {})
}

/** What an image says of itself. */
export function imageOf(name: string, file: JsonObject, { segments, known }: MemoryImage): ImageReport {
  const [what, kernel] = [asText(file.what, 'what'), asText(file.kernel, 'kernel')]
  return { file: `dumps/${name}/memory.elf`, what, kernel, segments: segments.length, knownBytes: Number(known) }
}
