/** The images, traces and the scenario that the demo carries. */
import { readFileSync } from 'node:fs'
import type { Trace } from './replay.ts'

/** A memory image as read from its folder. */
export interface Dump {
  readonly name: string
  /** An ELF core. */
  readonly memory: Uint8Array
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

/** Reads the images from the app's folder `dumps`. */
export function readDumps(): Dumps {
  return {
    smmuv3: readDump('linux-smmuv3'),
    armv7: readDump('linux-armv7'),
    aarch64: readDump('linux-aarch64-4k'),
    vtd: readDump('linux-vtd'),
    traces: TRACES.map((name) => ({ trace: { name, text: readText(`dumps/traces/${name}/trace.txt`) }, dump: readDump(`traces/${name}`) })),
    scenario: { name: SCENARIO, text: readText(`scenarios/${SCENARIO}`) },
  }
}

/** The sources are in src/, the bundle is in dist/: the files are beside both. */
function fileOf(path: string): URL {
  return new URL(`../${path}`, import.meta.url)
}

function readText(path: string): string {
  return readFileSync(fileOf(path), 'utf8')
}

function readDump(name: string): Dump {
  return { name, memory: readFileSync(fileOf(`dumps/${name}/memory.elf`)), expected: readText(`dumps/${name}/expected.json`) }
}
