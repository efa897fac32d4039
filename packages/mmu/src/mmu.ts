/** A live view of tables that somebody else writes: what each access meets at this moment. */
import { type AccessState, type AnyFmt, type FoundRoot, type HardwareOf, hex, IoPgtableError, type MemoryType } from '@io-pgtable/core'
import { Access, Lane, lanes, memoryOf, NO_LEVEL, neededRights, SPARSE, TRANSLATION } from './access.ts'
import { fail } from './fail.ts'
import { faultInLanes, type MmuFault } from './fault.ts'
import { GuestMemory, type MemoryPiece } from './memory.ts'
import type { Tlb } from './tlb.ts'
import { walk } from './walk.ts'
import { regimeOf, Walker } from './walker.ts'

const R = lanes

export interface MmuOptions<F extends AnyFmt = AnyFmt> {
  /** The memory that the tables are in; a GuestMemory may be shared. Nothing of it is read before the first access, and nothing is kept. */
  readonly memory: readonly MemoryPiece[] | GuestMemory
  /** The registers that say where the tables are, as the hardware holds them. */
  readonly registers?: HardwareOf<F>
  /** Or the roots themselves, as `format.rootsFromRegs` finds them. */
  readonly roots?: readonly FoundRoot<unknown, unknown>[]
  /** Stage 2: it translates the addresses of this one's tables, and those that come out. `memory` is then what stage 2 leads to. */
  readonly below?: Mmu
  /** What stage 2 must allow for a table to be fetched: `Access.READ`, or `Access.ATOMIC` where walks count as writes. Default READ. */
  readonly fetch?: typeof Access.READ | typeof Access.ATOMIC
  /** A TLB in front, which several Mmus may share. Default none: every access walks. */
  readonly tlb?: Tlb
  /** What entries of the TLB are tagged with: the address space (ASID, PCID, PASID), and the virtual machine. Default 0. */
  readonly asid?: number
  readonly vmid?: number
  /** What faults say that no `below` is concerned in. Default 1. */
  readonly stage?: 1 | 2
  /** Hardware marks descriptors as accessed and dirty, where registers allow it. Default false: nothing is ever written. */
  readonly updates?: boolean
}

/** A software MMU for one set of tables. */
export class Mmu<F extends AnyFmt = AnyFmt> {
  readonly format: F
  readonly #options: MmuOptions<F>
  readonly #memory: GuestMemory
  #walkers: readonly Walker[]
  /** The one walker, where one root serves all addresses. */
  #only: Walker | undefined
  readonly #tlb: Tlb | undefined
  #space = 0
  #globals = 0
  #state: AccessState | undefined
  readonly #regimes: Map<string, readonly Int32Array[]> = new Map()

  /** @throws `EINVAL` for registers that no hardware accepts, for memory that is none, and where no root is left to walk */
  constructor(format: F, options: MmuOptions<F>) {
    this.format = format
    this.#options = options
    this.#memory = options.memory instanceof GuestMemory ? options.memory : new GuestMemory(options.memory)
    this.#walkers = this.#walkersOf(options.registers, options.roots)
    this.#only = onlyOf(this.#walkers)
    this.#tlb = options.tlb
    this.setSpace(options)
  }

  /**
   * Other registers, as when a guest switches its address space. The state of the moment stays, and so does what a TLB holds.
   * @throws `EINVAL` for registers that no hardware accepts; those from before then hold
   */
  load(registers: HardwareOf<F>): void {
    this.#walkers = this.#walkersOf(registers, undefined)
    this.#only = onlyOf(this.#walkers)
    this.#regimes.clear()
    if (this.#state !== undefined) this.setState(this.#state)
  }

  /**
   * State that decides accesses and changes often: PAN, SUM, MXR, AC, by the manual's names. What is left out is false. Until it
   * is set, the state is that which registers tell.
   */
  setState(state: AccessState): void {
    this.#state = state
    const key = Object.keys(state)
      .filter((name) => state[name])
      .sort()
      .join()
    let regimes = this.#regimes.get(key)
    if (regimes === undefined) this.#regimes.set(key, (regimes = this.#walkers.map(({ levels }) => regimeOf(levels.rules, state))))
    for (const [i, walker] of this.#walkers.entries()) walker.regime = regimes[i] as Int32Array
  }

  /**
   * Where an access goes, or -1n: then `fault()` says why, or there is no memory (`isSparse`).
   * @param access of {@link Access}
   * @throws `ERANGE` for an address beyond 64 bits, `EINVAL` for an access that does not exist
   */
  access(iova: bigint, access: number): bigint {
    const need = neededRights(access)
    if (typeof iova !== 'bigint' || BigInt.asUintN(64, iova) !== iova) throw beyond64(iova)
    scratch[0] = iova
    if (this.translate(halves[1] as number, halves[0] as number, need) !== 0) return -1n
    halves[0] = R[1] as number
    halves[1] = R[0] as number
    return scratch[0]
  }

  /**
   * The same with numbers: input addresses below 2^53. Allocates nothing.
   * @returns the output address, or -1: it faults, or lies beyond 2^53, which `lanes` tell
   */
  accessNumber(iova: number, access: number): number {
    if (!Number.isSafeInteger(iova) || iova < 0)
      throw new IoPgtableError('ERANGE', 'access', `iova ${hex(iova)}: an integer below 2^53 expected`, { value: iova })
    const need = neededRights(access)
    if (this.translate(Math.floor(iova / 0x1_0000_0000) | 0, iova | 0, need) !== 0) return -1
    const paddr = ((R[0] as number) >>> 0) * 0x1_0000_0000 + ((R[1] as number) >>> 0)
    return paddr <= Number.MAX_SAFE_INTEGER ? paddr : -1
  }

  /** The same by lanes, each taken as an int32. Allocates nothing. @returns 0, and the answer in `lanes`; or a fault's number */
  accessLanes(hi: number, lo: number, access: number): number {
    return this.translate(hi | 0, lo | 0, neededRights(access))
  }

  /** Internal: by the rights that are needed. */
  translate(hi: number, lo: number, need: number): number {
    const walker = this.#only ?? this.#pick(hi, lo)
    if (walker === undefined) return fail(this.#walkers[0] as Walker, TRANSLATION, NO_LEVEL, hi, lo, need)
    const tlb = this.#tlb
    return tlb === undefined ? walk(walker, hi, lo, need) : this.#through(tlb, walker, hi, lo, need)
  }

  #through(tlb: Tlb, walker: Walker, hi: number, lo: number, need: number): number {
    const untagged = (hi << walker.tag) >> walker.tag
    if (tlb.lookup(this.#space, this.#globals, walker.regime, untagged, lo, need)) return 0
    const fault = walk(walker, hi, lo, need)
    if (fault === 0) tlb.fill(this.#space, this.#globals, untagged, lo)
    return fault
  }

  /** Several roots, or one that serves a part of its addresses: the first whose range holds the address. */
  #pick(hi: number, lo: number): Walker | undefined {
    for (let i = 0; i < this.#walkers.length; i++) {
      const walker = this.#walkers[i] as Walker
      if (walker.serves(hi, lo)) return walker
    }
    return undefined
  }

  /** Entries of the TLB are those of another address space, or virtual machine, from now on. @throws `EINVAL` for ids that are none */
  setSpace({ asid = 0, vmid = 0 }: { readonly asid?: number; readonly vmid?: number }): void {
    for (const id of [asid, vmid])
      if (!Number.isInteger(id) || id < 0 || id > MOST_ID)
        throw new IoPgtableError('EINVAL', 'Mmu', `asid or vmid ${id}: 0 to ${MOST_ID} expected`, { value: id })
    this.#space = this.#tlb?.space(vmid, asid) ?? 0
    this.#globals = this.#tlb?.space(vmid, undefined) ?? 0
  }

  /**
   * Many addresses, as of a scatter list, until one faults.
   * @param out gets the output addresses; it may be `iovas`
   * @returns how many got through: all of them, or `fault()` tells of the next one
   * @throws `EINVAL` for arrays that are none, or an `out` that is too short
   */
  accessMany(iovas: BigUint64Array, access: number, out: BigUint64Array): number {
    const need = neededRights(access)
    if (!(iovas instanceof BigUint64Array) || !(out instanceof BigUint64Array) || out.length < iovas.length)
      throw new IoPgtableError('EINVAL', 'accessMany', `out must be a BigUint64Array of at least ${iovas?.length} elements`, {
        value: Number(out?.length),
      })
    const from = new Int32Array(iovas.buffer, iovas.byteOffset, iovas.length * 2)
    const to = new Int32Array(out.buffer, out.byteOffset, iovas.length * 2)
    const tlb = this.#tlb
    const walker = this.#only
    for (let i = 0; i < from.length; i = (i + 2) | 0) {
      const fault =
        tlb === undefined || walker === undefined
          ? this.translate(from[i + 1]!, from[i]!, need)
          : this.#through(tlb, walker, from[i + 1]!, from[i]!, need)
      if (fault !== 0) return i / 2
      to[i] = R[1]!
      to[i + 1] = R[0]!
    }
    return iovas.length
  }

  /** Why the last access does not get through; undefined where it does. */
  fault(): MmuFault | undefined {
    const fault = faultInLanes()
    if (fault === undefined) return undefined
    const { below } = this.#options
    const arch = fault.stage === 2 && below !== undefined ? below.archOf(fault) : this.archOf(fault)
    return arch === undefined ? fault : { ...fault, arch }
  }

  /** Internal: how this format's hardware reports a fault. */
  archOf(fault: MmuFault): MmuFault['arch'] {
    return this.format.fault?.(fault, this.#walkers[0]?.levels.rules.context)
  }

  /** The last access met an entry without memory that does not fault: a read gives zero, and a write is dropped. */
  get isSparse(): boolean {
    return R[Lane.FAULT] === SPARSE
  }

  /** Of the last access that got through: bytes around the address that are translated alike. */
  get size(): number {
    return 2 ** (R[Lane.SIZE_LG] as number)
  }

  /** What the path of the last access grants at this moment. */
  get rights(): number {
    return (R[Lane.RIGHTS] as number) & 63
  }

  /** The memory type; undefined where tables do not tell. With stage 2, that of the first stage that tells it. */
  get memory(): MemoryType | undefined {
    return memoryOf(R[Lane.MEMORY] as number)
  }

  /** How often descriptors were not as the last one of their level, and how often their meaning was not known at all. */
  get counts(): { readonly memoMisses: number; readonly patterns: number } {
    const levels = this.#walkers.flatMap((walker) => walker.levels.all)
    return { memoMisses: levels.reduce((sum, { misses }) => sum + misses, 0), patterns: levels.reduce((sum, { made }) => sum + made, 0) }
  }

  #walkersOf(registers: HardwareOf<F> | undefined, given: MmuOptions<F>['roots']): readonly Walker[] {
    const { below, fetch = Access.READ, stage = 1, updates = false } = this.#options
    const roots = given ?? (registers === undefined ? [] : this.format.rootsFromRegs(registers, this.#memory.read))
    if (roots.length === 0) throw new IoPgtableError('EINVAL', 'Mmu', `${this.format.FORMAT}: registers with tables, or roots, expected`)
    const options = { memory: this.#memory, below, updates, fetchNeeds: neededRights(fetch), stage }
    return roots.map((root) => new Walker(this.format, root, options))
  }
}

function onlyOf(walkers: readonly Walker[]): Walker | undefined {
  const [first] = walkers
  return walkers.length === 1 && first?.isWhole ? first : undefined
}

/** Of an address space, and of a virtual machine. */
const MOST_ID = 0xf_ffff

const scratch = new BigUint64Array(1)
const halves = new Int32Array(scratch.buffer)

function beyond64(iova: bigint): IoPgtableError {
  const text = typeof iova === 'bigint' ? `iova ${hex(iova)}: below 2^64 expected` : `iova ${String(iova)}: a bigint expected`
  return new IoPgtableError('ERANGE', 'access', text, { value: iova })
}
