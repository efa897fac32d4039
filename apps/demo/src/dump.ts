/** The memory of a running Linux kernel, in which its SMMU's tables are, and what an independent walker made of it. */
import { readFileSync } from 'node:fs'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { hex } from '@io-pgtable/core'
import {
  bytesSource,
  dumpLeaves,
  type Finding,
  type LeafRun,
  type MemoryImage,
  openImage,
  scanSmmuv3,
  type Tables,
} from '@io-pgtable/inspect'

/** Of a leaf: IOVA, physical address, bytes, level, descriptor, and fields, which are not used here. */
type Row = readonly (string | number)[]

export interface Dump {
  readonly image: MemoryImage
  readonly expected: {
    readonly kernel: string
    readonly smmu: { readonly STRTAB_BASE: string; readonly STRTAB_BASE_CFG: string }
    readonly streams: readonly { readonly sid: number; readonly mappings: readonly Row[] }[]
  }
}

/** From src/ and from dist/ the way is the same. */
const FOLDER = new URL('../../../packages/inspect/test-data/dumps/linux-smmuv3/', import.meta.url)

/** @throws `EBADMSG` for memory that is no ELF core */
export async function readDump(memory: Uint8Array = readFileSync(new URL('memory.elf', FOLDER))): Promise<Dump> {
  const image = await openImage(bytesSource(memory, 'linux-smmuv3/memory.elf'), { format: 'elf' })
  return { image, expected: JSON.parse(readFileSync(new URL('expected.json', FOLDER), 'utf8')) }
}

/** The streams of the kernel's SMMU, found from its two registers, and the leaves of each. */
export function streamsOf({ image, expected }: Dump) {
  const { STRTAB_BASE, STRTAB_BASE_CFG } = expected.smmu
  const registers = { strtabBase: BigInt(STRTAB_BASE), strtabBaseCfg: BigInt(STRTAB_BASE_CFG) }
  const { streams, findings } = scanSmmuv3(registers, image.read, { 'arm64-stage1': arm64LpaeS1 })
  const found = streams.flatMap(({ sid, stages, tables: [tables] }) =>
    tables ? [{ sid, tables, tcr: stages[0]?.registers.tcr as bigint, ...runsOf(tables) }] : [],
  )
  return { streams: found, findings: [...findings, ...found.flatMap((stream) => stream.findings)] }
}

export function runsOf(tables: Tables): { runs: LeafRun[]; findings: readonly Finding[] } {
  const runs: LeafRun[] = []
  const { findings } = dumpLeaves(tables, (run) => void runs.push(run.keep()))
  return { runs, findings }
}

/** Every leaf by itself, in the words of `rowText`. */
export function leavesOf(runs: readonly LeafRun[]): string[] {
  return runs.flatMap(({ iova, paddr, leafSize, level, descriptor, count }) =>
    Array.from({ length: count }, (_, i) => {
      const by = BigInt(i * leafSize)
      return rowText([hex(iova + by), hex(paddr + by), leafSize, level, hex(descriptor + by)])
    }),
  )
}

/** IOVA, physical address, bytes, level and descriptor of a row. */
export function rowText(row: Row): string {
  return row.slice(0, 5).join(' ')
}
