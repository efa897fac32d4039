/** What a check is made of: what a walker should answer, how it is asked, and which descriptors are made up. */
import { bitsOf, type DecodedLeaf, type DecodedVoid, type EntryPlace, type Geometry, type Prot } from '@io-pgtable/core'
import type { Mapping } from './mappings.ts'
import type { Access, Answer, Place, Question } from './question.ts'

/** What a walker should make of mappings. */
export interface Rules {
  /** The accesses that can be asked for. */
  readonly accesses: readonly Access[]
  grants(prot: Prot, access: Access): boolean
  /** The memory type, where the walker tells it. */
  memory?(prot: Prot): string
  /** Address bits that an answer lacks. */
  readonly below: bigint
  /** A fault's words, where the walker tells kind and level. */
  fault?(kind: 'translation' | 'permission', level: number): string
}

/** A walker with its registers set for one table. */
export type Ask = (questions: readonly Question[]) => Promise<readonly Answer[]>

/** A place, and at which level its walk ends. */
export type Spot = Place & { readonly level: number }
export type SpotQuestion = Spot & Question
export type Leaf = DecodedLeaf & EntryPlace
/** What a leaf has become. */
export type Entry = (DecodedLeaf | DecodedVoid) & EntryPlace

/** A bit to flip in a mapping's leaf, or in the entry above it. */
export interface Flip {
  readonly what: string
  readonly mask: bigint
  readonly entry?: 'leaf' | 'table'
  /** Which mappings show it. Default: any. */
  readonly shows?: (mapping: Mapping) => boolean
  /** Default: those of the rules. */
  readonly accesses?: readonly Access[]
}

/** Leaves that anybody might have written. */
export interface Scramble {
  readonly count: number
  /** The bits of a leaf that are drawn. */
  readonly mask: (leaf: Leaf) => bigint
  /** What our reading of a leaf makes of an access. */
  readonly judge: (leaf: Leaf, access: Access) => Pick<Answer, 'fault' | 'memory'>
  /** Default: the table's own. */
  readonly geometry?: Geometry
  /** Default: all. */
  readonly among?: readonly Mapping[]
  /** Of the addresses. Default: 8 bytes. */
  readonly align?: bigint
  /** Writes what the accesses need at the physical addresses where they lead. */
  readonly prepare?: (paddrs: readonly bigint[]) => void
  readonly accesses?: readonly Access[]
}

/** The bits of those of the named fields that a leaf's kind has. */
export function fieldBits({ kind }: Pick<DecodedLeaf, 'kind'>, names: readonly string[]): bigint {
  return kind.fields.reduce((mask, { name, pieces }) => (names.includes(name) ? mask | bitsOf(pieces) : mask), 0n)
}
