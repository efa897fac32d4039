/** What a leaf says beside its address, and what Linux's names have no word for. */
import { extract, type LeafKind } from '@io-pgtable/core'
import { APERTURES } from './kinds.ts'
import type { Aperture } from './types.ts'
import { PCF } from './v3.ts'

export interface NvidiaLeaf {
  readonly aperture: Aperture
  /** Number of the peer; undefined in other apertures. */
  readonly peer: number | undefined
  /** How the memory is tiled and compressed; 0 is pitch. */
  readonly kind: number
  readonly isVolatile: boolean
  readonly isPrivileged: boolean
  /** False for what version 1 can say alone: a page that only writes reach. */
  readonly isReadable: boolean
  readonly isWritable: boolean
  /** Of version 1, whose entries do not tell: true. */
  readonly hasAtomics: boolean
}

/** Decodes a leaf of any version: `raw` of an entry that is of this kind. */
export function nvidiaLeaf(raw: bigint, kind: LeafKind): NvidiaLeaf {
  const value = (name: string): number => {
    const found = kind.fields.find((field) => field.name === name)
    return found === undefined ? 0 : Number(extract(raw, found.pieces))
  }
  const aperture = APERTURES[value('APERTURE')] ?? 'vidmem'
  const pcf = value('PCF')
  return {
    aperture,
    peer: aperture === 'peer' ? value('PEER') : undefined,
    kind: value('KIND'),
    isVolatile: value('VOL') === 1 || (pcf & PCF.UNCACHED) !== 0,
    isPrivileged: value('PRIVILEGE') === 1 || (pcf & PCF.PRIVILEGED) !== 0,
    isReadable: value('READ_DISABLE') === 0,
    isWritable: value('READ_ONLY') === 0 && value('WRITE_DISABLE') === 0 && (pcf & PCF.READ_ONLY) === 0,
    hasAtomics: value('ATOMIC_DISABLE') === 0 && (pcf & PCF.NO_ATOMICS) === 0,
  }
}
