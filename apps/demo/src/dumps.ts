/** The images that the demo carries. */
import { readFileSync } from 'node:fs'

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
}

/** Reads the images from the app's folder `dumps`. */
export function readDumps(): Dumps {
  return {
    smmuv3: readDump('linux-smmuv3'),
    armv7: readDump('linux-armv7'),
    aarch64: readDump('linux-aarch64-4k'),
    vtd: readDump('linux-vtd'),
  }
}

/** The sources are in src/, the bundle is in dist/: the images are beside both. */
function readDump(name: string): Dump {
  const folder = new URL(`../dumps/${name}/`, import.meta.url)
  return { name, memory: readFileSync(new URL('memory.elf', folder)), expected: readFileSync(new URL('expected.json', folder), 'utf8') }
}
