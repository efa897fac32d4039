/**
 * A TLB as hardware has one: what it holds is served until it is invalidated, whatever the tables say by then. Entries are tagged by VMID and
 * address space id; global ones by VMID alone. A block is one entry.
 */
import { hex, IoPgtableError } from '@io-pgtable/core'
import { lanes as R } from './access.ts'
import { LOCAL } from './level.ts'

const OUT = R

export interface TlbOptions {
  /** A power of two, from 1 to 65,536. Default 1024. */
  readonly entries?: number
  /** Entries that an address may be in: 1 (direct-mapped), 2, 4 or 8. Default 1. */
  readonly ways?: number
}

/** What goes. Members narrow it; `{}` is not allowed: say `all`. */
export interface Invalidation {
  readonly all?: true
  readonly vmid?: number
  /** Entries of this address space. Global ones stay, unless `globals` is set. */
  readonly asid?: number
  readonly globals?: boolean
  /** Entries that translate an address in it; first and last, inclusive. */
  readonly range?: { readonly first: bigint; readonly last: bigint }
  /** For hardware's sake: there is no cache of tables here, so that it changes nothing. */
  readonly leafOnly?: boolean
}

/** int32 of an entry: address, space and size, path, what is open, output address, memory type; one is free. */
const WORDS = 8
/** In the space word below the space's number. */
const SIZE_BITS = 6

/** What follows from the size of an entry: bits of an address inside of it, and where its page number stands. */
export class Size {
  readonly lg: number
  readonly keepLo: number
  readonly keepHi: number
  /** The page number: the low lane to the right, the high one to the left; of sizes from 4 GiB on, the high lane to the right. */
  readonly right: number
  readonly left: number
  readonly isHuge: boolean
  constructor(lg: number) {
    this.lg = lg
    this.keepLo = lg >= 32 ? -1 : ~(-1 << lg)
    this.keepHi = lg > 32 ? ~(-1 << (lg - 32)) : 0
    this.right = lg & 31
    this.left = (32 - lg) & 31
    this.isHuge = lg >= 32
  }
}

const setOf = (size: Size, setMask: number, wayWords: number, hi: number, lo: number): number => {
  const page = size.isHuge ? hi >>> size.right : (lo >>> size.right) | (hi << size.left)
  return Math.imul((page ^ size.lg) & setMask, wayWords)
}

const probe = (
  words: Int32Array,
  setMask: number,
  wayWords: number,
  size: Size,
  own: number,
  global: number,
  regime: Int32Array,
  hi: number,
  lo: number,
  need: number,
): boolean => {
  const { keepLo, keepHi, lg } = size
  const tagHi = hi & ~keepHi
  const tagLo = lo & ~keepLo
  let at = setOf(size, setMask, wayWords, hi, lo)
  const end = at + wayWords
  do {
    const space = words[at + 2]! ^ lg
    if (((words[at]! ^ tagHi) | (words[at + 1]! ^ tagLo)) === 0 && (space === own || space === global)) {
      const path = words[at + 3]!
      const rights = regime[path]! | 0
      const open = words[at + 4]!
      // what it does not let through, the tables decide
      if ((need & ~(rights & open)) !== 0) return false
      OUT[0] = words[at + 5]! | (hi & keepHi)
      OUT[1] = words[at + 6]! | (lo & keepLo)
      OUT[2] = rights & (open | LOCAL)
      OUT[3] = lg
      OUT[4] = words[at + 7]!
      OUT[5] = 0
      OUT[16] = path
      OUT[17] = open
      return true
    }
    at = (at + WORDS) | 0
  } while (at < end)
  return false
}

export class Tlb {
  readonly entries: number
  readonly ways: number
  hits = 0
  misses = 0
  invalidated = 0
  /** Internal, as all that follows. */
  readonly words: Int32Array
  readonly setMask: number
  readonly wayWords: number
  /** The size of the last hit. */
  first: Size = new Size(12)
  /** The sizes that entries have. */
  readonly #sizes: Size[] = []
  readonly #spaces: { readonly vmid: number; readonly asid: number | undefined }[] = []
  #turn = 0

  /** @throws `EINVAL` for numbers that no such TLB has */
  constructor({ entries = 1024, ways = 1 }: TlbOptions = {}) {
    if (!isPower(entries, 65_536)) throw refused('entries', entries, 'a power of two up to 65536')
    if (!isPower(ways, 8) || ways > entries) throw refused('ways', ways, '1, 2, 4 or 8, at most the entries,')
    this.entries = entries
    this.ways = ways
    this.words = new Int32Array(entries * WORDS)
    this.setMask = entries / ways - 1
    this.wayWords = ways * WORDS
  }

  /** Internal: the number of a space; without `asid` that of the VMID's global entries. */
  space(vmid: number, asid: number | undefined): number {
    const known = this.#spaces.findIndex((space) => space.vmid === vmid && space.asid === asid)
    return (known >= 0 ? known + 1 : this.#spaces.push({ vmid, asid })) << SIZE_BITS
  }

  /** Internal: whether an entry lets the access through; then the answer is in the lanes. */
  lookup(own: number, global: number, regime: Int32Array, hi: number, lo: number, need: number): boolean {
    const { words, first } = this
    if (probe(words, this.setMask, this.wayWords, first, own, global, regime, hi, lo, need)) {
      this.hits = (this.hits + 1) | 0
      return true
    }
    for (let i = 0; i < this.#sizes.length; i++) {
      const size = this.#sizes[i]!
      if (size === first || !probe(words, this.setMask, this.wayWords, size, own, global, regime, hi, lo, need)) continue
      this.first = size
      this.hits = (this.hits + 1) | 0
      return true
    }
    this.misses = (this.misses + 1) | 0
    return false
  }

  /** Internal: enters the answer that the lanes hold. `own`, `global`: spaces. */
  fill(own: number, global: number, hi: number, lo: number): void {
    const { words } = this
    const lg = OUT[3]! & 63
    const space = ((OUT[16]! & LOCAL) === 0 ? global : own) | lg | 0
    const size = this.#sizeOf(lg)
    const { keepLo, keepHi } = size
    const tagHi = hi & ~keepHi
    const tagLo = lo & ~keepLo
    const set = setOf(size, this.setMask, this.wayWords, hi, lo)
    let at = -1
    for (let way = set; way < set + this.wayWords && at < 0; way += WORDS)
      if (words[way + 2] === space && words[way] === tagHi && words[way + 1] === tagLo) at = way
    for (let way = set; way < set + this.wayWords && at < 0; way += WORDS) if (words[way + 2] === 0) at = way
    if (at < 0) {
      this.#turn = (this.#turn + 1) % this.ways
      at = set + this.#turn * WORDS
    }
    words[at] = tagHi
    words[at + 1] = tagLo
    words[at + 2] = space
    words[at + 3] = OUT[16]!
    words[at + 4] = OUT[17]!
    words[at + 5] = OUT[0]! & ~keepHi
    words[at + 6] = OUT[1]! & ~keepLo
    words[at + 7] = OUT[4]!
  }

  #sizeOf(lg: number): Size {
    let size = this.#sizes.find((one) => one.lg === lg)
    if (size === undefined) {
      this.#sizes.push((size = new Size(lg)))
      if (this.#sizes.length === 1) this.first = size
    }
    return size
  }

  /** Entries go. @throws `EINVAL` where nothing says which, or a range ends before it begins */
  invalidate(which: Invalidation): void {
    const { all, vmid, asid, range, globals = false } = which
    if (all === undefined && vmid === undefined && asid === undefined && range === undefined)
      throw new IoPgtableError('EINVAL', 'invalidate', 'all, vmid, asid or range expected')
    if (range !== undefined && range.first > range.last) throw refused('range', range.first, `at most its end, ${hex(range.last)},`)
    const words = this.words
    for (let at = 0; at < words.length; at += WORDS) {
      const word = words[at + 2] as number
      if (word === 0) continue
      const space = this.#spaces[(word >>> SIZE_BITS) - 1]
      if (all === undefined && (space === undefined || !isMeant(space, vmid, asid, globals))) continue
      if (all === undefined && range !== undefined && !this.#touches(at, word & 63, range)) continue
      words[at + 2] = 0
      this.invalidated++
    }
  }

  #touches(at: number, lg: number, { first, last }: { readonly first: bigint; readonly last: bigint }): boolean {
    const start = (BigInt((this.words[at] as number) >>> 0) << 32n) | BigInt((this.words[at + 1] as number) >>> 0)
    return start <= last && start + (1n << BigInt(lg)) - 1n >= first
  }
}

function isMeant(
  space: { readonly vmid: number; readonly asid: number | undefined },
  vmid: number | undefined,
  asid: number | undefined,
  globals: boolean,
): boolean {
  if (vmid !== undefined && space.vmid !== vmid) return false
  if (asid === undefined) return true
  return space.asid === undefined ? globals : space.asid === asid
}

function isPower(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= most && (value & (value - 1)) === 0
}

function refused(name: string, value: number | bigint, expected: string): IoPgtableError {
  return new IoPgtableError('EINVAL', 'Tlb', `${name} ${hex(value)}: ${expected} expected`, { value })
}
