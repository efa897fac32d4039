/** The memory of real kernels in test-data, and what an independent walker made of it. */
import { readFileSync } from 'node:fs'
import { bytesSource, type MemoryImage, openImage } from '../../src/index.ts'

export type DumpName = 'linux-aarch64-4k' | 'linux-armv7' | 'linux-smmuv3' | 'linux-vtd'
/** The maps and unmaps of one boot, and the image of the tables that they ended in. */
export type TraceName = 'linux61-4k-nvme' | 'linux61-4k-e1000e' | 'linux612-16k-nvme' | 'linux61-vtd-nvme'

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

function folder(name: DumpName | TraceName): URL {
  const kind = /^linux\d/.test(name) ? 'traces' : 'dumps'
  return new URL(`../../test-data/${kind}/${name}/`, import.meta.url)
}

export function dumpBytes(name: DumpName | TraceName): Uint8Array {
  // No Buffer: its slice is not a copy
  return new Uint8Array(readFileSync(new URL('memory.elf', folder(name))))
}

export function dumpImage(name: DumpName | TraceName): Promise<MemoryImage> {
  return openImage(bytesSource(dumpBytes(name), name))
}

export function expectedOf(name: DumpName | TraceName): Expected {
  return JSON.parse(readFileSync(new URL('expected.json', folder(name)), 'utf8')) as Expected
}

/** A trace as ftrace printed it. */
export function traceText(name: TraceName): string {
  return readFileSync(new URL('trace.txt', folder(name)), 'utf8')
}

/** A register of the expected file. */
export function register(values: Readonly<Record<string, string>>, name: string): bigint {
  const value = values[name]
  if (value === undefined) throw new Error(`no register ${name}`)
  return BigInt(value)
}
