/**
 * The format trait: what a package declares about one page-table format. A format is data and cold functions; the engine compiles
 * them, once per agreed configuration, into the shifts and masks of its hot loops, and calls none of them per descriptor.
 */
import type { Field, Match, Piece } from './bits.ts'
import type { MemoryPiece, ReadMemory, Regime } from './hardware.ts'
import type { Agreed, FormatConfig, Policy } from './policy.ts'
import type { Prot } from './prot.ts'
import type { AccessFault, AccessState, ArchFault, FaultType, Meaning, MemoryType, Parties, Rights, Traps, Updates } from './rights.ts'

/** Names a node of a geometry; unique in it. */
export type NodeId = string

/** A size that a leaf kind can translate. */
export interface LeafSize {
  /** Bytes of one mapping. */
  readonly pgsize: number
  /** Consecutive entries that one mapping takes: 16 for a large page of a repeated kind. */
  readonly slots: number
  /** Bits that code the size, set in every entry. */
  readonly or?: bigint
  /** Holds for entries of this size, beside the kind's own match. */
  readonly match?: Match
  /** Each entry has its own output address (a contiguous hint); without it all entries of a mapping are equal. */
  readonly stepsAddress?: boolean
  /** False: the size is only decoded, never written. */
  readonly encode?: boolean
}

interface KindBase {
  readonly name: string
  /**
   * When a descriptor is of this kind: the first kind of a node that matches wins. Together they must match everything. A table that is
   * written must be told from the kinds before it by its bits beside the address.
   */
  readonly match: Match
  /** The kind's fields, without the address. */
  readonly fields: readonly Field[]
}

/** A descriptor that points to a table of the next node. */
export interface TableKind extends KindBase {
  readonly type: 'table'
  /** Bits that are always written. */
  readonly set: bigint
  /** Where the table's physical address is. */
  readonly address: readonly Piece[]
  /** The node of the table: named, or chosen by the value of a field. */
  readonly child: NodeId | { readonly field: string; readonly nodes: Readonly<Record<number, NodeId>> }
  /** False: only decoded. The engine writes the first table kind that it may. */
  readonly encode?: boolean
  /** What is left of the rights of everything below. A table takes away only what it knows. Left out: all. */
  readonly limits?: Meaning<Rights>
  /** Whether all translations below are shared by every address space. Left out: it does not say so. */
  readonly global?: Meaning<boolean>
  /** What hardware writes into it when it is walked. */
  updates?(context: unknown): Updates
}

/** A descriptor that translates. At an upper level the manuals call it a block or a section. */
export interface LeafKind extends KindBase {
  readonly type: 'leaf'
  /** Bits that are always written. */
  readonly set: bigint
  /** Where the output address is. */
  readonly address: readonly Piece[]
  /** The first that matches wins. Together they must match everything of the kind. */
  readonly sizes: readonly LeafSize[]
  /** Bits that a prot has from bit 6 on: attributes that only this format knows. At most {@link ATTRIBUTE_BITS}, the same in all kinds that are written. Default none. */
  readonly attributeBits?: number
  /** What it lets whom do, before limits and regime. Left out: everything. */
  readonly grants?: Meaning<Rights>
  /** Accesses that fault though it translates: access flags, dirty bits that software keeps, domains. */
  readonly traps?: Meaning<Traps | undefined>
  /** The memory type. Left out: the tables do not tell. */
  readonly memory?: Meaning<MemoryType>
  /** Whether every address space shares it, so that a TLB does not look at its address space id. Left out: no. */
  readonly global?: Meaning<boolean>
  /** What hardware writes into it when it is used. */
  updates?(context: unknown): Updates
}

/**
 * A descriptor that does not translate. Every node that is written has one `empty` kind, whose match is of the low 32 bits and excludes by
 * itself the kinds before it; `invalid`: nothing that a walker may meet in a sound table; `sparse`: no memory, and no fault: reads give zero,
 * and writes are dropped. Sparse entries are read; the engine leaves them as it finds them.
 */
export interface VoidKind extends KindBase {
  readonly type: 'empty' | 'invalid' | 'sparse'
  /** How a walk that meets it ends. Default `translation`. */
  readonly fault?: FaultType
  /** It ends no walk that may go on: the other half of the entry above, `next`, is tried. */
  readonly passes?: true
}

export type Kind = TableKind | LeafKind | VoidKind

/** One level of the tree, as the hardware walks it. */
export interface LevelNode {
  readonly id: NodeId
  /** The level's number in the manual. */
  readonly level: number
  /** The level's name in the manual. */
  readonly name: string
  /** The lowest input address bit of the index. */
  readonly shift: number
  /** Index bits; a root node counts all its concatenated or separate tables. */
  readonly bits: number
  /** First and end of the entries that exist, where those are not all: one that does not exist ends a walk as an empty one. Only read. */
  readonly exists?: readonly [first: number, end: number]
  readonly entryBytes: 4 | 8
  /** Bytes from one entry to the next, where it is more than an entry: an entry with two halves is two nodes with one table. Only read. */
  readonly stride?: number
  /** Where in its stride the entry is, bytes. Default 0. */
  readonly offset?: number
  /** The node of the same slots' other half. A walk goes on there when this half's way ends at an entry that `passes`. */
  readonly next?: NodeId
  /** The order of the bytes of an entry in memory. Default little-endian. Bits are numbered as in the value, whatever the order. */
  readonly byteOrder?: 'big'
  /** Bytes of a table, a power of two; it may be larger than its entries need. One below 64 takes 64 of a pool's memory. */
  readonly tableBytes: number
  /** Alignment of a table in bytes where it is more than its size: each table, of any level, then takes so many bytes of memory. */
  readonly align?: number
  /** The raw value of an empty entry. Left out in a format that only reads, where no entry of the node is empty. */
  readonly empty?: bigint
  readonly kinds: readonly Kind[]
}

/** Which input addresses an `ias` of n bits stands for: the low 2^n, the top 2^n, or both halves of a sign-extended address. */
export type Window = 'low' | 'top' | 'sign-extended'

/** The tree of a format for one set of hardware parameters. */
export interface Geometry {
  readonly nodes: readonly LevelNode[]
  /** The node of the root table. */
  readonly top: NodeId
  /** The node up to which the root may grow, above `top`; mapping beyond the root's reach then adds levels. Tables are at least 4 KiB. */
  readonly growsTo?: NodeId
  /** Separate root tables that make up the root block. Default 1. */
  readonly roots?: number
  readonly ias: number
  readonly oas: number
  readonly window: Window
  /** Bits of the address space whose top a `top` window is. Default 64. */
  readonly spaceBits?: number
  /** The input address where a `low` window of a format that only reads begins, a multiple of the smallest page. Default 0. */
  readonly base?: bigint
  /** Tables must lie below this physical address. */
  readonly tablesBelow?: bigint
  /** Bits below 2^oas of output addresses that no leaf has a place for: mapping an address with one of them is `EINVAL`. Default none. */
  readonly missingOutputBits?: bigint
  /**
   * Output addresses below it cannot be mapped, `EINVAL`: an entry of them would be the empty one, where a page's number is all that an entry
   * has. Default 0.
   */
  readonly leastOutput?: bigint
  /** How a walk ends that meets an address, of a table or of the output, beyond `oas` bits. Default `address-size`. */
  readonly beyond?: FaultType
  /** How a walk ends that meets a set bit of a field whose bits fault. Default `reserved`. */
  readonly reserved?: FaultType
}

/**
 * Whose tables: `cpu`, a CPU's own first stage, where what may be written and executed is a danger; `guest`, a second stage, which gives a
 * guest or a device its memory; `device`, a device's own first stage.
 */
export type TableUse = 'cpu' | 'guest' | 'device'

/** A table found in somebody's registers. */
export interface FoundRoot<P, D> {
  /** The register's name, lower case: `ttbr0`. */
  readonly name: string
  readonly params: P
  /** Physical address of each root table. */
  readonly roots: readonly bigint[]
  /** First and last input address that this root translates. */
  readonly first: bigint
  readonly last: bigint
  /** What decoding a leaf needs to know. */
  readonly context: D
}

/**
 * A page-table format. `C` its configuration, `R` the registers that a device needs, `P` the hardware parameters that fix the geometry,
 * `D` the decode context (memory attribute registers and the like), `H` raw hardware registers.
 */
export interface IoPageTableFmt<C extends FormatConfig = FormatConfig, R = unknown, P = unknown, D = unknown, H = unknown> {
  /** The id, as in vectors and commands: lower case with hyphens. */
  readonly FORMAT: string
  /** What it is called, too: ids of the same form. */
  readonly aliases?: readonly string[]
  readonly title: string
  /** The manual: name, revision, chapter. */
  readonly manual: string
  /** False: the format only reads. No table is made, changed or adopted; see {@link readOnly}. */
  readonly writes?: false
  /**
   * Narrows a request to what the hardware can do. What it answers has every member that there is: members of a request that it lacks are
   * refused (see `agreedConfig`). @throws `EINVAL` naming the limit
   */
  configure(request: C): Agreed<C>
  params(config: Agreed<C>): P
  geometry(params: P): Geometry
  policy(config: Agreed<C>): Policy
  /** The attribute bits of a leaf: all but the address, the kind's `set` and the size's `or`; undefined when `prot` cannot be expressed. */
  encodeLeaf(config: Agreed<C>, node: LevelNode, kind: LeafKind, prot: Prot): bigint | undefined
  /** The bits of a table descriptor beside the address and the kind's `set`. */
  encodeTable(config: Agreed<C>, node: LevelNode, kind: TableKind): bigint
  /** The permissions and attributes that a leaf grants. */
  prot(raw: bigint, kind: LeafKind, context: D): Prot
  /** The decode context of tables that `config` makes. */
  context(config: Agreed<C>): D
  /** Who accesses. Default: user and privileged. One party: both halves of all rights are equal. */
  parties?(context: D): Parties
  /** Whose tables these are. Default: a CPU's own first stage where there are two parties, else a device's own. */
  use?(context: D): TableUse
  /** What configuration registers make of a path's rights; with `state`, what those and the state of the moment leave of them. */
  regime?(context: D, state?: AccessState): (path: Rights) => Rights
  /** Which register, or state, takes away a right that the path has; undefined where it is none that has a name. */
  denies?(context: D, denied: { readonly path: Rights; readonly needed: Rights; readonly state: AccessState }): string | undefined
  /** Top bits of an input address that are not translated (TBI): the highest bit below them stands for them. Default 0. */
  tagBits?(context: D): number
  /** How hardware reports a fault. Left out: not known. */
  fault?(fault: AccessFault, context: D): ArchFault
  /** What the device's registers get, for root tables of the node `top` at these physical addresses. */
  regs(config: Agreed<C>, roots: readonly bigint[], top: NodeId): R
  /** What an operating system means by an entry that is not valid, by its name (`linux`): protected, swapped out, on its way elsewhere. */
  readonly os?: Readonly<Record<string, (raw: bigint, node: LevelNode) => string | undefined>>
  /** The translation regimes whose registers this format takes, the usual one first, and what names the registers have there. */
  readonly regimes?: Readonly<Record<string, Regime>>
  /**
   * The tables that raw registers point to. `read` is the memory, for formats whose roots stand in it (a process table, an instance block).
   * @throws `EINVAL` for values that no hardware accepts, and by those formats without `read`; `EFAULT` for memory that is not known
   */
  rootsFromRegs(registers: H, read?: ReadMemory): readonly FoundRoot<P, D>[]
  /**
   * The raw registers of hardware that was given `regs`: with it the way there and back is tested. Undefined for a configuration of which
   * the registers do not tell enough.
   */
  hardware?(config: Agreed<C>, regs: R): H | undefined
  /** What the driver writes into memory beside `regs`, where roots stand in memory: `rootsFromRegs` finds it there. */
  rootMemory?(config: Agreed<C>, regs: R): readonly MemoryPiece[]
  /** Configurations worth testing. */
  readonly configs: readonly { readonly name: string; readonly config: C }[]
}

/**
 * Any format. Formats declare their functions as methods, which TypeScript compares bivariantly: that is what lets a format of one
 * configuration type stand where any format may.
 */
export type AnyFmt = IoPageTableFmt

/** The configuration type of a format. */
export type ConfigOf<F> = F extends IoPageTableFmt<infer C, infer _R, infer _P, infer _D, infer _H> ? C : never
/** The register type of a format. */
export type RegsOf<F> = F extends IoPageTableFmt<infer _C, infer R, infer _P, infer _D, infer _H> ? R : never
/** The raw hardware register type of a format. */
export type HardwareOf<F> = F extends IoPageTableFmt<infer _C, infer _R, infer _P, infer _D, infer H> ? H : never
/** The decode context type of a format. */
export type ContextOf<F> = F extends IoPageTableFmt<infer _C, infer _R, infer _P, infer D, infer _H> ? D : never
/** The parameter type of a format. */
export type ParamsOf<F> = F extends IoPageTableFmt<infer _C, infer _R, infer P, infer _D, infer _H> ? P : never

/** Whose tables a format's are, in a decode context. */
export function useOf(format: AnyFmt, context: unknown): TableUse {
  if (format.use !== undefined) return format.use(context)
  return (format.parties?.(context).length ?? 2) === 2 ? 'cpu' : 'device'
}

/** The node of that name. @throws `Error` for a geometry that lacks it: a fault of the format. */
export function nodeOf(geometry: Geometry, id: NodeId): LevelNode {
  const node = geometry.nodes.find((n) => n.id === id)
  if (node === undefined) throw new Error(`geometry has no node ${id}`)
  return node
}

/** Where in its table an entry is, bytes. */
export function entryOffset({ entryBytes, stride = entryBytes, offset = 0 }: LevelNode, index: number): number {
  return index * stride + offset
}

/** The raw value of an empty entry. @throws `Error` for a node that has none: a fault of the format where it writes */
export function emptyOf(node: LevelNode): bigint {
  if (node.empty === undefined) throw new Error(`node ${node.id}: it has no empty value`)
  return node.empty
}

/** Bytes of input address that one entry of `node` stands for. */
export function slotBytes(node: LevelNode): number {
  return 2 ** node.shift
}
