/** The format trait, the engine, and what both share. See docs/ARCHITECTURE.md. */

export { ReadDirty, type ReadDirtyFlags, type VisitDirty } from './change/dirty.ts'
export type { ProtectOptions } from './change/protect.ts'
export { Device, Devres, DevresGuard } from './device/device.ts'
export type { LifetimeDebug } from './device/lifetime.ts'
export { type ErrorCode, hex, IoPgtableError } from './errors.ts'
export {
  ALWAYS,
  bitsOf,
  deposit,
  extract,
  type Field,
  field,
  type Match,
  matches,
  ones,
  type Piece,
  splitField,
  when,
} from './format/bits.ts'
export { agreedConfig, checkConfig, configError, type ReadOnlyFmt, readOnly, type Written } from './format/config.ts'
export {
  type AnyFmt,
  type ConfigOf,
  type ContextOf,
  emptyOf,
  entryOffset,
  type FoundRoot,
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
  type RegsOf,
  slotBytes,
  type TableKind,
  type TableUse,
  useOf,
  type VoidKind,
  type Window,
} from './format/format.ts'
export type { Regime } from './format/hardware.ts'
export { type MemoryPiece, memoryOf, type ReadMemory } from './format/hardware.ts'
export type { Agreed, FormatConfig, Policy } from './format/policy.ts'
export { ATTRIBUTE_BITS, attributesIn, Prot, type ProtName, protLimit, protNames, protOf, protWith } from './format/prot.ts'
export {
  ACCESS_KINDS,
  type AccessFault,
  type AccessKind,
  type AccessState,
  type ArchFault,
  type Assuming,
  assumedOf,
  FAULT_TYPES,
  type FaultType,
  forAll,
  type HardwareUpdate,
  MEANING_BITS,
  type Meaning,
  type MemoryType,
  meaning,
  neededRight,
  PARTIES,
  type Parties,
  protOfMemory,
  protOfRights,
  Right,
  type Rights,
  rightsByParty,
  stateOf,
  type Traps,
  trapAll,
  type Updates,
  type WalkFault,
} from './format/rights.ts'
export * from './format/sizes.ts'
export type * from './format/vector-binding.ts'
export type { AdoptMemory } from './memory/adopted-memory.ts'
export type { TableToken } from './memory/share.ts'
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
} from './read/decode.ts'
export { LeafRuns } from './read/leaf-runs.ts'
export { CompiledMeaning, fieldWidth } from './read/meaning.ts'
export { ReferenceTable } from './read/reference.ts'
export {
  type Access,
  AccessRules,
  type AddressVerdict,
  faultingBits,
  type PathVerdict,
} from './read/rights.ts'
export { diffSnapshots, type Snapshot, type SnapshotChange, type SnapshotRun, snapshotText, type Translated } from './read/snapshot.ts'
export {
  type AddressRange,
  descriptorAt,
  type EntryPlace,
  inputRanges,
  unknownMemory,
  type WalkVisitor,
  walkAddress,
  walkTables,
} from './read/walk.ts'
export type { MapResult } from './request/request.ts'
export type { AdoptOptions, AdoptRequest } from './table/adopt.ts'
export { IoPageTable } from './table/io-page-table.ts'
export type { AttachOptions, DebugOptions, TableOptions } from './table/table-options.ts'
export { NOOP_FLUSH_OPS, perPage, type TlbFlushOps } from './tlb/flush.ts'
export { type GatherOwner, IotlbGather, type TableList } from './tlb/gather.ts'
export type { Leaf } from './translate/leaves.ts'
