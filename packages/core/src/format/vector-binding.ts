/**
 * What a format says of itself to the runner of golden vectors: its `./vectors` entry exports `vectorBindings`. Types alone, and here, so
 * that no format's published types depend on the test kit.
 */
import type { ErrorCode } from '../errors.ts'
import type { Agreed, AnyFmt, ConfigOf, Geometry, LevelNode, RegsOf } from './format.ts'

/** A value of a JSON document. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [name: string]: JsonValue }

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
  /** The number that the files give the level of a node. */
  level(node: LevelNode): number
  /** The bits of a table descriptor that the files leave out since they depend on where the next table is. */
  tableAddressMask(config: Agreed<ConfigOf<F>>): bigint
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

/** Ties a format to the golden vectors that answer for it. */
export type VectorBinding<F extends AnyFmt = AnyFmt> = IoPgtableVectorBinding<F> | GenericPtVectorBinding<F>
