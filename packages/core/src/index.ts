/** The format trait, the engine, and what both share. See docs/ARCHITECTURE.md. */
export type { AdoptOptions, AdoptRequest } from './adopt.ts'
export type { AdoptMemory, TableList } from './adopted-memory.ts'
export { bitsOf, deposit, extract, type Match, matches, ones, type Piece } from './bits.ts'
export { checkConfig, configError } from './config.ts'
export {
  type Decoded,
  type DecodedLeaf,
  type DecodedTable,
  type DecodedVoid,
  decode,
  entrySpan,
  fieldValue,
  fieldValues,
  kindOf,
  leafSizeOf,
  meaningOf,
  slotBytes,
} from './decode.ts'
export { Device, Devres, DevresGuard } from './device.ts'
export { ReadDirty, type ReadDirtyFlags } from './dirty.ts'
export { type ErrorCode, hex, IoPgtableError } from './errors.ts'
export { NOOP_FLUSH_OPS, perPage, type TlbFlushOps } from './flush.ts'
export {
  type Agreed,
  ALWAYS,
  type AnyFmt,
  type ConfigOf,
  type ContextOf,
  type Field,
  type FormatConfig,
  type FoundRoot,
  field,
  type Geometry,
  type HardwareOf,
  type IoPageTableFmt,
  type Kind,
  type LeafKind,
  type LeafSize,
  type LevelNode,
  type NodeId,
  nodeOf,
  type ParamsOf,
  type Policy,
  type RegsOf,
  splitField,
  type TableKind,
  type VoidKind,
  type Window,
  when,
} from './format.ts'
export { type GatherOwner, IotlbGather } from './gather.ts'
export { IoPageTable } from './io-page-table.ts'
export type { Leaf, ProtectOptions } from './leaf-calls.ts'
export type { AddressRange } from './leaf-range.ts'
export type { LifetimeDebug } from './lifetime.ts'
export { Prot, type ProtName, protNames, protOf } from './prot.ts'
export type { TableToken } from './share.ts'
export * from './sizes.ts'
export { diffSnapshots, type Snapshot, type SnapshotChange, type SnapshotRun, snapshotText, type Translated } from './snapshot.ts'
export type { AttachOptions, DebugOptions, MapResult, TableOptions } from './table-options.ts'
export type * from './vector-binding.ts'
export {
  descriptorAt,
  type EntryPlace,
  inputRanges,
  LeafRuns,
  type ReadMemory,
  unknownMemory,
  type WalkVisitor,
  walkAddress,
  walkTables,
} from './walk.ts'
