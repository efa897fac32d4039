/**
 * What a format says of itself to the runner of golden vectors: its `./vectors` entry exports `vectorBindings`. Types alone, and here, so
 * that no format's published types depend on the test kit.
 */
import type { ErrorCode } from '../errors.ts'
import type { AnyFmt, ConfigOf, Geometry, Kind, LevelNode, RegsOf } from './format.ts'
import type { Agreed, FormatConfig } from './policy.ts'
import type { Prot } from './prot.ts'

/** A value of a JSON document. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [name: string]: JsonValue }

/** An object of a file, as it stands there. */
export type VectorMembers = { readonly [name: string]: JsonValue }

/** How the files call a level: by number, or by the node's name. */
export type VectorLevel = number | string

/** `config` of a vector file that was recorded from Linux's io-pgtable. */
export interface IoPgtableVectorConfig {
  readonly pgsizeBitmap: bigint
  /** Input and output address bits. */
  readonly ias: number
  readonly oas: number
  /** Names without the prefix `IO_PGTABLE_QUIRK_`; also those that the format does not know. */
  readonly quirks: readonly string[]
  readonly coherentWalk: boolean
  /** Bytes; absent where the kernel's was 4096. */
  readonly cpuPageSize?: number
}

/** `config` of a vector file that was recorded from Linux's generic_pt. */
export interface GenericPtVectorConfig {
  /** Names without the prefix `PT_FEAT_`. */
  readonly features: readonly string[]
  /** Input and output address bits. */
  readonly vaBits: number
  readonly oaBits: number
  /** Level of the root, counted from 0 at the pages; formats that derive it ignore it. */
  readonly topLevel: number
}

/** What a binding sees of a table: an `IoPageTable<F>` fits. */
export interface BoundTable<F extends AnyFmt = AnyFmt> {
  readonly config: Agreed<ConfigOf<F>>
  readonly regs: RegsOf<F>
  readonly geometry: Geometry
  /** Physical addresses of the root tables. */
  readonly roots: readonly bigint[]
}

interface Binding<F extends AnyFmt> {
  /** The id in `format` of the vector files. */
  readonly format: string
  readonly fmt: F
  /**
   * What `registers` of a file holds beside what the runner knows by itself: numbers as JSON numbers, addresses and masks as hex strings
   * (`0x1f`). The runner adds the agreed page sizes and address bits, the root's level, entries and bytes, and for generic_pt the aperture.
   */
  registers(table: BoundTable<F>): { readonly [name: string]: JsonValue }
  /** The number or name that the files give the level of a node. */
  level(node: LevelNode): VectorLevel
  /** The bits of a table descriptor in `node` that the files leave out since they depend on where the next table is. */
  tableAddressMask(config: Agreed<ConfigOf<F>>, node: LevelNode): bigint
  /** Where the table memory of a test lies; a multiple of 2 MiB. Default 0x8000_0000. High addresses test more. */
  tableMemory?(config: Agreed<ConfigOf<F>>): bigint
  /** Our code for an error name of the files, where Linux's errno of that name means something else here than it usually does. */
  readonly errors?: Readonly<Record<string, ErrorCode>>
}

/** The binding of a format that Linux's io-pgtable has: `map` and `unmap` of pages. */
export interface IoPgtableVectorBinding<F extends AnyFmt = AnyFmt> extends Binding<F> {
  readonly family: 'io-pgtable'
  /** The request that a file's config stands for. */
  config(config: IoPgtableVectorConfig): ConfigOf<F>
  /** The error with which the kernel's driver alone refuses a configuration that the hardware has: the library is then not asked. */
  driverRefuses?(config: IoPgtableVectorConfig): string | undefined
}

/** The binding of a format that Linux's generic_pt has: `mapRange` and `unmapRange`. */
export interface GenericPtVectorBinding<F extends AnyFmt = AnyFmt> extends Binding<F> {
  readonly family: 'generic_pt'
  /** The request that a file's config stands for. */
  config(config: GenericPtVectorConfig): ConfigOf<F>
  /** The error with which the kernel's driver alone refuses a configuration that the hardware has: the library is then not asked. */
  driverRefuses?(config: GenericPtVectorConfig): string | undefined
}

/** A table that can be asked: one of ours, or recorded tables of a format that only reads. */
export interface ReadVectorTable<F extends AnyFmt = AnyFmt> extends BoundTable<F> {
  iovaToPhys(iova: bigint): bigint | undefined
  walk(iova: bigint): readonly VectorEntry[]
}

/** The calls of a table that operations of a binding's own may make: an `IoPageTable<F>` fits. */
export interface VectorTable<F extends AnyFmt = AnyFmt> extends ReadVectorTable<F> {
  readonly tableBytes: number
  mapPages(iova: bigint, paddr: bigint, pgsize: number, pgcount: number, prot: Prot): VectorMapResult
  mapRange(iova: bigint, paddr: bigint, size: number, prot: Prot): VectorMapResult
  unmapPages(iova: bigint, pgsize: number, pgcount: number): number
  unmapRange(iova: bigint, size: number): number
  cut(iova: bigint): boolean
  protect(iova: bigint, size: number, prot: Prot): number
  trim(range?: { readonly first: bigint; readonly last: bigint }): number
}

/** What a map did: bytes from the start on, and what ended it. */
export interface VectorMapResult {
  readonly mapped: number
  readonly error?: unknown
}

/** A descriptor on the way of an address. */
export interface VectorEntry {
  readonly type: string
  readonly node: LevelNode
  readonly kind: Kind
  readonly raw: bigint
  /** First input address of its slot. */
  readonly iova: bigint
}

/**
 * An operation that the library, on purpose, does otherwise than the driver that was recorded: a file that names the feature ends before the
 * first such operation, and passes if all before it agrees.
 */
export interface VectorDifference {
  /** The operations that it may be. */
  readonly op: string | readonly string[]
  /**
   * Which of them it is, by what the table holds before it: some page of the range is mapped (`mapped`), some is not (`hole`), an end of the
   * range lies within a mapping (`part`), any (`always`), or as a function says.
   */
  readonly when: 'mapped' | 'hole' | 'part' | 'always' | ((op: VectorMembers, table: VectorTable) => boolean)
  /** What the driver does, and what is done here. */
  readonly reason: string
}

/** Functions as methods: TypeScript compares those bivariantly, so that the binding of one format stands where any may. */
export interface VectorFunctions<F extends AnyFmt> {
  operation(table: VectorTable<F>, op: VectorMembers): Readonly<Record<string, unknown>> | undefined
  fact(row: VectorMembers, config: VectorMembers, table: VectorTable<F> | undefined): bigint | { readonly leftOut: string }
}

/** An operation as the binding performs it. @returns what is compared with `result`; an `error` of it may be what was thrown */
export type VectorOperation<F extends AnyFmt = AnyFmt> = VectorFunctions<F>['operation']

/** A row of facts, its members named by the columns. @returns the row's raw value as the format makes it, or why it has no answer to it */
export type VectorFact<F extends AnyFmt = AnyFmt> = VectorFunctions<F>['fact']

/**
 * The binding of a format whose files were recorded from a driver with page-table code of its own. Files of this family may lack TLB
 * events, and have members of their format's own.
 */
export interface DriverVectorBinding<F extends AnyFmt = AnyFmt> extends Binding<F> {
  readonly family: 'driver'
  /** The request that a file's config, handed over as it is, stands for; `usual` has those members of it that most files have, read. */
  config(config: VectorMembers, usual: FormatConfig): ConfigOf<F>
  /** The error with which the driver alone refuses a configuration that the hardware has: the library is then not asked. */
  driverRefuses?(config: VectorMembers): string | undefined
  /**
   * Permissions and attributes of a mapping operation, or of a row of facts. Default: the names in `prot`, which are then those of `Prot`.
   * With it, operations may have members that the runner does not know.
   */
  prot?(op: VectorMembers, table: VectorTable<F>): Prot
  /** Bytes of our page, where the files' page sizes are mere runs of it: each page of a map is then a call of its own. */
  readonly unit?: number
  /**
   * An unmap of the driver takes the mappings that are there, each by its own size, if that is no larger than the operation's `pgsize`, or
   * than what is left of its range. Default: mappings of `pgsize`.
   */
  readonly unmapsFound?: 'pgsize' | 'range'
  /** The driver frees a table with its last mapping: what was unmapped is trimmed, root slot by root slot. */
  readonly trims?: true
  /** Our input address of an operation. Default: its `iova`. */
  iova?(op: VectorMembers): bigint
  /** Operations that the runner does not have, or that the driver composes: by name, in place of the runner's own. */
  readonly operations?: Readonly<Record<string, VectorOperation<F>>>
  /** What a `translate` has beside the address, where it has something: an aperture, say. */
  translated?(table: ReadVectorTable<F>, iova: bigint): VectorMembers
  /** Of a format that only reads: what a recorded leaf says of the `map` that made it, by the members' names there; beside the address. */
  mappedBy?(leaf: VectorEntry): VectorMembers
  /** A row of `leaves` or `tables` in the common form, `[iova, level, raw, count, step]` or `[iova, level, raw]`. */
  row?(row: readonly JsonValue[]): readonly JsonValue[]
  /** What `tableBytes` of the files counts. Default: the table's. */
  tableBytes?(table: VectorTable<F>): number
  /** Parts of dumps that are not compared, each with the driver's habit that is the reason; the README names it, too. */
  readonly leavesOut?: { readonly tables?: string; readonly tableBytes?: string }
  /** By the names in `features`. A feature that is not here is compared. */
  readonly differences?: Readonly<Record<string, VectorDifference | readonly VectorDifference[]>>
  /** The register that leads to the root, among those of a table: for facts `[root address, register, value]`. */
  rootRegister?(regs: RegsOf<F>): bigint
  /**
   * Facts that are no rows of `[level, pgsize, prot, paddr, raw, error]`, by the name of their list. Without it such rows of `tables`
   * are `[level, table address, raw]`.
   */
  readonly facts?: Readonly<Record<string, VectorFact<F>>>
  /** What a recorded walk says of the leaf that it ends in, or of where it ends; beside the address. */
  walked?(way: readonly VectorEntry[], config: Agreed<ConfigOf<F>>): VectorMembers
}

/** Ties a format to the golden vectors that answer for it. */
export type VectorBinding<F extends AnyFmt = AnyFmt> = IoPgtableVectorBinding<F> | GenericPtVectorBinding<F> | DriverVectorBinding<F>
