/** What the entries of all versions share. */
import {
  ALWAYS,
  type Field,
  field,
  type Kind,
  type LeafKind,
  type Match,
  type Meaning,
  type MemoryType,
  meaning,
  type Rights,
  type VoidKind,
} from '@io-pgtable/core'
import { readAndWrite } from '@io-pgtable/gpu-common'
import type { Aperture } from './types.ts'

/** By the code in a leaf. */
export const APERTURES: readonly Aperture[] = ['vidmem', 'peer', 'sysmem-coherent', 'sysmem-noncoherent']
export const LEAF_APERTURES: Readonly<Record<number, string>> = { ...APERTURES }
/** In a directory entry 0 says that there is no table, and nothing is a peer's. */
export const TABLE_APERTURES: Readonly<Record<number, string>> = {
  0: 'no table',
  1: 'vidmem',
  2: 'sysmem-coherent',
  3: 'sysmem-noncoherent',
}

/** Where a leaf has nothing: the walk goes on in the table of the other page size, if there is one. */
export const PASSES: Kind = { type: 'empty', name: 'not valid', match: ALWAYS, fields: [], passes: true }
export const NOT_VALID: Kind = { type: 'empty', name: 'not valid', match: ALWAYS, fields: [] }

export function sparse(match: Match, fields: readonly Field[] = []): VoidKind {
  return { type: 'sparse', name: 'sparse', match, fields }
}

/** A big page's entry that ends the walk: no small page is looked for. */
export function noSmallPages(match: Match, fields: readonly Field[] = []): Kind {
  return { type: 'empty', name: 'no small pages', match, fields }
}

/** Rights by two bits. Privileged pages are the privileged engines' alone. */
export function granted(isPrivileged: boolean, isReadable: boolean, isWritable: boolean): Rights {
  const rights = readAndWrite(isReadable, isWritable)
  return isPrivileged ? rights & PRIVILEGED : rights
}
const PRIVILEGED = 0b111_000

/** Cached in the GPU's L2 or not. Discrete GPUs cache their own memory, volatile or not; integrated ones do not say. */
export const MEMORY: Meaning<MemoryType> = meaning(['VOL', 'APERTURE'], ({ VOL = 0, APERTURE = 0 }) => memoryType(VOL === 1, APERTURE))

export function memoryType(isVolatile: boolean, aperture: number): MemoryType {
  const name = APERTURES[aperture] ?? 'vidmem'
  if (!isVolatile) return { name, caching: 'cached' }
  return { name: `${name}, volatile`, caching: aperture === 0 ? 'unknown' : 'uncached' }
}

/** The leaf kinds of a page size, one for each width of address. Nothing is written: the first stands for all. */
export function leaves(pgsize: number, kinds: readonly Omit<LeafKind, 'type' | 'sizes'>[]): Kind[] {
  return kinds.map((kind, i) => ({ ...kind, type: 'leaf', sizes: [{ pgsize, slots: 1, ...(i > 0 && { encode: false }) }] }))
}

/** Zero in every entry that a driver writes; what it does when it is set is not known. */
export function zero(name: string, hi: number, lo: number, section: string): Field {
  return field(name, hi, lo, 'written as zero', { section, reserved: 'zero' })
}
