/** All that one root's walks read, in one object: its levels, its window, where its root is, and the piece of memory that was read last. */
import {
  AccessRules,
  type AccessState,
  type AnyFmt,
  type FoundRoot,
  type Geometry,
  inputRanges,
  type LevelNode,
  nodeOf,
  ones,
  stateOf,
} from '@io-pgtable/core'
import { laneHi, laneLo } from '@io-pgtable/core/compiled'
import { faultCode, lanes as R } from './access.ts'
import { Levels } from './compile.ts'
import { type Level, LOCAL } from './level.ts'
import { type Chunk, type GuestMemory, NONE } from './memory.ts'
import type { Mmu } from './mmu.ts'

/** How a walker is made. */
export interface WalkerOptions {
  readonly memory: GuestMemory
  readonly below: Mmu | undefined
  readonly updates: boolean
  readonly stage: 1 | 2
  /** Rights that stage 2 must give to a fetch of a table. */
  readonly fetchNeeds: number
}

/** The rights of a write beside a read, in a descriptor's fetch that also marks it. */
const MARKS = 0b011

export class Walker {
  /** 0 cold, 1 plain, 2 narrow, 3 general, 4 general with a root to be selected. */
  readonly shape: number
  /** Bits of a tag at the top of the address. */
  readonly tag: number
  /** Address bits that must have one of two values. */
  readonly inHi: number
  readonly inLo: number
  readonly windowHi: number
  readonly windowLo: number
  readonly otherHi: number
  readonly otherLo: number
  readonly top: Level
  rootHi = 0
  rootLo = 0
  words: Int32Array = NONE.words
  chunkHi = 0
  chunkLo = 0
  chunkSize = 0
  /** What registers and state make of a path's rights, and LOCAL as it is. */
  regime: Int32Array
  readonly updates: boolean
  readonly stage: number
  readonly below: Mmu | undefined
  readonly levels: Levels
  readonly memory: GuestMemory
  /** Where the root's tables are; one where they follow one another. */
  readonly roots: readonly bigint[]
  readonly first: bigint
  readonly last: bigint
  readonly rootFault: number
  readonly isSignExtended: boolean
  readonly #firstHi: number
  readonly #firstLo: number
  readonly #lastHi: number
  readonly #lastLo: number
  readonly #window: Window
  readonly #fetchNeeds: number
  #ipaHi = 0
  #ipaLo = 0

  constructor(format: AnyFmt, found: FoundRoot<unknown, unknown>, { memory, below, updates, fetchNeeds, stage }: WalkerOptions) {
    const geometry = format.geometry(found.params)
    const rules = new AccessRules(format, geometry, found.context)
    const top = nodeOf(geometry, geometry.top)
    const entries = 2 ** top.bits / found.roots.length
    const bytes = BigInt(entries * top.entryBytes)
    this.roots = found.roots.every((root, i) => root === (found.roots[0] as bigint) + BigInt(i) * bytes)
      ? found.roots.slice(0, 1)
      : found.roots
    this.levels = new Levels(rules, updates, this.roots.length)
    this.top = this.levels.top
    this.tag = format.tagBits?.(found.context) ?? 0
    this.first = found.first
    this.last = found.last
    this.#firstHi = laneHi(found.first)
    this.#firstLo = laneLo(found.first)
    this.#lastHi = laneHi(found.last)
    this.#lastLo = laneLo(found.last)
    this.memory = memory
    this.below = below
    this.updates = updates
    this.stage = stage
    this.#fetchNeeds = fetchNeeds
    this.isSignExtended = geometry.window === 'sign-extended'
    this.#window = windowOf(geometry)
    const beyond = this.roots.some((root) => root >> BigInt(geometry.oas) !== 0n)
    this.rootFault = beyond ? faultCode(geometry.beyond ?? 'address-size') : 0
    const window = narrowed(this.#window, geometry, top.shift + top.bits)
    this.inHi = beyond ? 0 : laneHi(window.mask)
    this.inLo = beyond ? 0 : laneLo(window.mask)
    // no address passes
    this.windowHi = beyond ? 1 : laneHi(window.value)
    this.windowLo = laneLo(window.value)
    this.otherHi = beyond ? 1 : laneHi(window.other)
    this.otherLo = laneLo(window.other)
    this.rootHi = laneHi(this.roots[0] ?? 0n)
    this.rootLo = laneLo(this.roots[0] ?? 0n)
    this.shape = shapeOf(this, geometry, BigInt(2 ** top.bits * top.entryBytes))
    this.regime = regimeOf(rules, stateOf(found.context))
    this.reload()
  }

  /** Memory has moved or is gone: another piece is the current one. */
  reload(): void {
    this.memory.refresh()
    this.#use(this.memory.first)
  }

  #use({ words, hi, lo, size }: Chunk): void {
    this.words = words
    this.chunkHi = hi
    this.chunkLo = lo
    this.chunkSize = words.length === 0 ? 0 : size
  }

  /** The piece that holds an address becomes the current one; false where there is none. */
  find(hi: number, lo: number): boolean {
    const chunk = this.memory.find(hi, lo)
    if (chunk === undefined) return false
    this.#use(chunk)
    return true
  }

  selectRoot(hi: number, lo: number): void {
    const { shift, bits } = this.top.node
    const from = shift + bits - Math.log2(this.roots.length)
    const index = (from >= 32 ? hi >>> (from - 32) : (lo >>> from) | (from === 0 ? 0 : hi << (32 - from))) & (this.roots.length - 1)
    const root = this.roots[index] as bigint
    this.rootHi = laneHi(root)
    this.rootLo = laneLo(root)
  }

  /** Whether this root serves all addresses that its tree translates, so that a walk alone finds those that it does not. */
  get isWhole(): boolean {
    const ranges = inputRanges(this.levels.rules.geometry)
    return this.first <= (ranges[0]?.first ?? 0n) && this.last >= (ranges.at(-1)?.last ?? 0n)
  }

  serves(hi: number, lo: number): boolean {
    const untagged = (hi << this.tag) >> this.tag
    return !isBelow(untagged, lo, this.#firstHi, this.#firstLo) && !isBelow(this.#lastHi, this.#lastLo, untagged, lo)
  }

  isInWindow(hi: number, lo: number): boolean {
    const { mask, value, other } = this.#window
    const of = (wanted: bigint): boolean => (((hi & laneHi(mask)) ^ laneHi(wanted)) | ((lo & laneLo(mask)) ^ laneLo(wanted))) === 0
    return of(value) || of(other)
  }

  /** Whether the descriptor of the root that an address selects is in memory. */
  reachesRoot(hi: number, lo: number): boolean {
    const { rotate: by, maskLo, maskHi } = this.top
    const at = (this.rootLo + ((((lo << by) | (lo >>> (32 - by))) & maskLo) | (((hi << by) | (hi >>> (32 - by))) & maskHi))) | 0
    return this.find(this.rootHi, at)
  }

  /** Where a descriptor of stage 1 lies, by stage 2: its address in the lanes, or the fault that this access meets. */
  fetch(ipaHi: number, ipaLo: number, hi: number, lo: number, need: number): number {
    this.#ipaHi = ipaHi
    this.#ipaLo = ipaLo
    return this.#throughBelow(ipaHi, ipaLo, this.#fetchNeeds, hi, lo, need, 1)
  }

  /** The same place, to be written to. */
  refetch(): number {
    return this.#throughBelow(this.#ipaHi, this.#ipaLo, MARKS, 0, 0, 0, 1)
  }

  /** Stage 1 has got through, and its answer is in the lanes: stage 2 is next. */
  finish(hi: number, lo: number, need: number): number {
    const rights = R[2] as number
    const sizeLg = R[3] as number
    const memory = R[4] as number
    const path = R[16] as number
    const open = R[17] as number
    const fault = this.#throughBelow(R[0] as number, R[1] as number, need, hi, lo, need, 0)
    if (fault !== 0) return fault
    R[16] = path
    R[17] = open & (((R[2] as number) & (R[17] as number)) | LOCAL)
    R[2] = rights & ((R[2] as number) | LOCAL)
    if (sizeLg < (R[3] as number)) R[3] = sizeLg
    if (memory !== 0) R[4] = memory
    return 0
  }

  #throughBelow(ipaHi: number, ipaLo: number, needs: number, hi: number, lo: number, need: number, onWalk: number): number {
    const fault = (this.below as Mmu).translate(ipaHi, ipaLo, needs)
    if (fault === 0) return 0
    R[7] = 2
    R[8] = onWalk
    R[9] = ipaHi
    R[10] = ipaLo
    R[11] = hi
    R[12] = lo
    R[13] = need
    return fault
  }
}

/** Whether the first of two addresses is lower. */
function isBelow(hi: number, lo: number, otherHi: number, otherLo: number): boolean {
  return hi === otherHi ? lo >>> 0 < otherLo >>> 0 : hi >>> 0 < otherHi >>> 0
}

/** What the regime makes of every path, in this state. */
export function regimeOf({ format, context }: AccessRules, state: AccessState): Int32Array {
  const regime = format.regime?.(context, state) ?? ((path: number) => path)
  return Int32Array.from({ length: 128 }, (_, path) => (regime(path & 63) & 63) | (path & LOCAL))
}

interface Window {
  readonly mask: bigint
  readonly value: bigint
  readonly other: bigint
}

const from = (bit: number): bigint => (bit > 63 ? 0n : ones(63, bit))

/** Which input addresses there are: bits that have one of two values. */
function windowOf({ ias, window, spaceBits = 64 }: Geometry): Window {
  if (window === 'sign-extended') return { mask: from(ias - 1), value: 0n, other: from(ias - 1) }
  const value = window === 'low' ? 0n : from(ias) & ones(spaceBits - 1)
  return { mask: from(ias), value, other: value }
}

/** Those that a root of fewer levels reaches. */
function narrowed({ mask, value, other }: Window, { ias, window }: Geometry, reach: number): Window {
  if (reach >= ias) return { mask, value, other }
  if (window === 'sign-extended') return { mask: from(reach - 1), value: 0n, other: from(reach - 1) }
  return { mask: mask | from(reach), value, other }
}

function shapeOf({ levels, roots, below, updates, tag }: Walker, geometry: Geometry, bytes: bigint): number {
  if (roots.some((root) => (root & 0xffff_ffffn) + bytes > 1n << 32n || root % 8n !== 0n)) return 0
  const isApart = ({ byteOrder, stride, next, exists }: LevelNode): boolean =>
    byteOrder === 'big' || stride !== undefined || next !== undefined || exists !== undefined
  if (geometry.base !== undefined || geometry.nodes.some(isApart)) return 0
  if (roots.length > 1) return 4
  const kinds = levels.all
    .flatMap((level) => level.kinds.map(({ kind }) => kind))
    .filter((kind) => kind.type === 'table' || kind.type === 'leaf')
  const isPlain = kinds.every(({ address }) => address.every(([, lo, at]) => lo === at))
  if (!isPlain || below !== undefined || updates) return 3
  const isSmall =
    kinds.every(({ address }) => address.every(([hi]) => hi < 32)) && geometry.nodes.every(({ entryBytes }) => entryBytes === 4)
  const isLow = geometry.window !== 'sign-extended' && roots.every((root) => root >> 32n === 0n)
  return isSmall && isLow && geometry.ias <= 32 && tag === 0 ? 2 : 1
}
