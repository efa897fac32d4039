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

export class Tlb {
  readonly entries: number
  readonly ways: number
  hits = 0
  misses = 0
  invalidated = 0
  readonly #words: Int32Array
  readonly #setMask: number
  readonly #wayWords: number
  /** The sizes that entries have, the last one that was hit first. */
  readonly #sizes: number[] = []
  readonly #spaces: { readonly vmid: number; readonly asid: number | undefined }[] = []
  #turn = 0

  /** @throws `EINVAL` for numbers that no such TLB has */
  constructor({ entries = 1024, ways = 1 }: TlbOptions = {}) {
    if (!isPower(entries, 65_536)) throw refused('entries', entries, 'a power of two up to 65536')
    if (!isPower(ways, 8) || ways > entries) throw refused('ways', ways, '1, 2, 4 or 8, at most the entries,')
    this.entries = entries
    this.ways = ways
    this.#words = new Int32Array(entries * WORDS)
    this.#setMask = entries / ways - 1
    this.#wayWords = ways * WORDS
  }

  /** Internal: the number of a space; without `asid` that of the VMID's global entries. */
  space(vmid: number, asid: number | undefined): number {
    const known = this.#spaces.findIndex((space) => space.vmid === vmid && space.asid === asid)
    return (known >= 0 ? known + 1 : this.#spaces.push({ vmid, asid })) << SIZE_BITS
  }

  /** Internal: whether an entry lets the access through; then the answer is in the lanes. */
  lookup(own: number, global: number, regime: Int32Array, hi: number, lo: number, need: number): boolean {
    const sizes = this.#sizes
    for (let i = 0; i < sizes.length; i++) {
      const lg = sizes[i]! | 0
      if (this.#probe(own | lg, global | lg, lg, regime, hi, lo, need)) {
        if (i !== 0) {
          sizes[i] = sizes[0]!
          sizes[0] = lg
        }
        this.hits++
        return true
      }
    }
    this.misses++
    return false
  }

  #probe(own: number, global: number, lg: number, regime: Int32Array, hi: number, lo: number, need: number): boolean {
    const words = this.#words
    const tagLo = lg >= 32 ? 0 : lo & (-1 << lg)
    const tagHi = lg > 32 ? hi & (-1 << (lg - 32)) : hi
    let at = this.#setOf(lg, tagHi, tagLo)
    for (const end = at + this.#wayWords; at < end; at += WORDS) {
      if (((words[at]! ^ tagHi) | (words[at + 1]! ^ tagLo)) !== 0) continue
      const space = words[at + 2]!
      if (space !== own && space !== global) continue
      const path = words[at + 3]!
      const rights = regime[path]! | 0
      const open = words[at + 4]!
      // what it does not let through, the tables decide
      if ((need & ~(rights & open)) !== 0) return false
      const keepLo = lg >= 32 ? -1 : ~(-1 << lg)
      OUT[0] = words[at + 5]! | (lg > 32 ? hi & ~(-1 << (lg - 32)) : 0)
      OUT[1] = words[at + 6]! | (lo & keepLo)
      OUT[2] = rights & (open | LOCAL)
      OUT[3] = lg
      OUT[4] = words[at + 7]!
      OUT[5] = 0
      OUT[16] = path
      OUT[17] = open
      return true
    }
    return false
  }

  #setOf(lg: number, tagHi: number, tagLo: number): number {
    const page = lg >= 32 ? tagHi >>> (lg - 32) : (tagLo >>> lg) ^ (tagHi << (32 - lg))
    return ((page ^ (lg * 0x55)) & this.#setMask) * this.#wayWords
  }

  /** Internal: enters the answer that the lanes hold. `own`, `global`: spaces. */
  fill(own: number, global: number, hi: number, lo: number): void {
    const words = this.#words
    const lg = OUT[3]! & 63
    const space = ((OUT[16]! & LOCAL) === 0 ? global : own) | lg | 0
    const keepLo = lg >= 32 ? -1 : ~(-1 << lg)
    const keepHi = lg > 32 ? ~(-1 << (lg - 32)) : 0
    const tagHi = hi & ~keepHi
    const tagLo = lo & ~keepLo
    if (!this.#sizes.includes(lg)) this.#sizes.push(lg)
    const set = this.#setOf(lg, tagHi, tagLo)
    let at = -1
    for (let way = set; way < set + this.#wayWords && at < 0; way += WORDS)
      if (words[way + 2] === space && words[way] === tagHi && words[way + 1] === tagLo) at = way
    for (let way = set; way < set + this.#wayWords && at < 0; way += WORDS) if (words[way + 2] === 0) at = way
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

  /** Entries go. @throws `EINVAL` where nothing says which, or a range ends before it begins */
  invalidate(which: Invalidation): void {
    const { all, vmid, asid, range, globals = false } = which
    if (all === undefined && vmid === undefined && asid === undefined && range === undefined)
      throw new IoPgtableError('EINVAL', 'invalidate', 'all, vmid, asid or range expected')
    if (range !== undefined && range.first > range.last) throw refused('range', range.first, `at most its end, ${hex(range.last)},`)
    const words = this.#words
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
    const start = (BigInt((this.#words[at] as number) >>> 0) << 32n) | BigInt((this.#words[at + 1] as number) >>> 0)
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
