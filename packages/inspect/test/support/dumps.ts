/** The memory of real kernels in test-data, and what an independent walker made of it. */
import { readFileSync } from 'node:fs'
import { bytesSource, type MemoryImage, openImage } from '../../src/index.ts'

export type DumpName = 'linux-aarch64-4k' | 'linux-armv7' | 'linux-smmuv3' | 'linux-vtd'

/** A row of the expected mappings. */
export type Row = readonly (string | number)[]

export interface Expected {
  readonly registers: Readonly<Record<string, string>>
  readonly smmu: Readonly<Record<string, string>>
  readonly mappingColumns: readonly string[]
  readonly ttbr0Mappings: readonly Row[]
  readonly ttbr1Mappings: readonly Row[]
  readonly streams: readonly ({ readonly sid: number; readonly mappings: readonly Row[] } & Readonly<Record<string, unknown>>)[]
}

const folder = (name: DumpName): URL => new URL(`../../test-data/dumps/${name}/`, import.meta.url)

export function dumpBytes(name: DumpName): Uint8Array {
  // No Buffer: its slice is not a copy
  return new Uint8Array(readFileSync(new URL('memory.elf', folder(name))))
}

export function dumpImage(name: DumpName): Promise<MemoryImage> {
  return openImage(bytesSource(dumpBytes(name), name))
}

export function expectedOf(name: DumpName): Expected {
  return JSON.parse(readFileSync(new URL('expected.json', folder(name)), 'utf8')) as Expected
}

/** A register of the expected file. */
export function register(values: Readonly<Record<string, string>>, name: string): bigint {
  const value = values[name]
  if (value === undefined) throw new Error(`no register ${name}`)
  return BigInt(value)
}
