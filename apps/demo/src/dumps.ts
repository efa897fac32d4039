/** The images, traces and the scenario that the demo carries. */
import { readFileSync } from 'node:fs'
import { bytesSource, type MemoryImage, openImage } from '@io-pgtable/inspect'
import type { Trace } from './replay.ts'

/** A memory image as read from its folder. */
export interface Dump {
  readonly name: string
  readonly image: MemoryImage
  /** JSON: the registers, and what an independent walker made of the image. */
  readonly expected: string
}

export interface Dumps {
  readonly smmuv3: Dump
  readonly armv7: Dump
  readonly aarch64: Dump
  readonly vtd: Dump
  /** Each with the image of the tables that it ended in. */
  readonly traces: readonly { readonly trace: Trace; readonly dump: Dump }[]
  readonly scenario: Trace
}

const TRACES = ['linux61-4k-nvme', 'linux61-4k-e1000e', 'linux612-16k-nvme', 'linux61-vtd-nvme']
const SCENARIO = 'frame.json'

/** Reads the images from the test data of `inspect`. */
export async function readDumps(): Promise<Dumps> {
  const traces = TRACES.map(async (name) => ({
    trace: { name, text: readText(`${DATA}/traces/${name}/trace.txt`) },
    dump: await readDump(name, 'traces'),
  }))
  return {
    smmuv3: await readDump('linux-smmuv3'),
    armv7: await readDump('linux-armv7'),
    aarch64: await readDump('linux-aarch64-4k'),
    vtd: await readDump('linux-vtd'),
    traces: await Promise.all(traces),
    scenario: { name: SCENARIO, text: readText(`scenarios/${SCENARIO}`) },
  }
}

/** The sources are in src/, the bundle is in dist/: the way is the same from both. */
function fileOf(path: string): URL {
  return new URL(`../${path}`, import.meta.url)
}

const DATA = '../../packages/inspect/test-data'

function readText(path: string): string {
  return readFileSync(fileOf(path), 'utf8')
}

function readDump(name: string, kind = 'dumps'): Promise<Dump> {
  const folder = `${DATA}/${kind}/${name}`
  return openDump(name, readFileSync(fileOf(`${folder}/memory.elf`)), readText(`${folder}/expected.json`))
}

/** A dump of an ELF file's bytes. @throws `EBADMSG` for a file that is none, or is truncated */
export async function openDump(name: string, memory: Uint8Array, expected: string): Promise<Dump> {
  return { name, image: await openImage(bytesSource(memory, `${name}/memory.elf`), { format: 'elf' }), expected }
}
