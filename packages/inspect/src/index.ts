/** See into any table, from any memory image. See README.md. */

export { type Built, type BuiltTable, buildTables } from './build/build.ts'
export { MACHINES, toElf } from './build/elf-file.ts'
export { toJson } from './build/json-file.ts'
export { type Layout, parseLayout, type Region } from './build/layout.ts'
export { isIdentifier, type RegisterConstant, registerConstants, toAssembly, toC } from './build/source-code.ts'
export { Check, type CheckOptions, type CheckResult, checkTables } from './check/check.ts'
export { CHECK_CODES, type CheckCode, type CodeInfo } from './check/codes.ts'
export type { Verdict } from './check/leaf-check.ts'
export { type CheckPolicy, type ForbiddenRange, parsePolicy } from './check/policy.ts'
export { bitList, type ExplainedField, type ExplainOptions, type Explanation, explain, type Problem, summary } from './explain/explain.ts'
export { marks, ruler } from './explain/ruler.ts'
export { type Judgement, judgeFault } from './fault/judge.ts'
export { decodeFault, FAULT_KINDS, type FaultKind, faultKind } from './fault/kinds.ts'
export {
  busDeviceFunction,
  type Fact,
  type FaultAccess,
  type FaultReport,
  type FaultReportJson,
  type FaultVerdict,
  faultReportJson,
} from './fault/report.ts'
export { type Finding, Findings, type Severity } from './finding.ts'
export { elfSegments } from './image/elf.ts'
export { MemoryImage } from './image/image.ts'
export { limeSegments } from './image/lime.ts'
export { type ElfNote, type ElfNotes, elfNotes } from './image/notes.ts'
export { formatOf, type ImageFormat, type ImageOptions, openImage } from './image/open.ts'
export { PageMiss } from './image/page-cache.ts'
export type { Segment } from './image/segments.ts'
export { type ByteSource, blobSource, bytesSource } from './image/source.ts'
export { JsonValue, parseInteger, parseJson } from './json-text.ts'
export { type Change, type ChangeSink, type DiffOptions, type DiffResult, type DiffSide, diffTables, TableDiff } from './leaves/diff.ts'
export { DEFAULT_LIMIT, type DumpOptions, type DumpResult, dumpLeaves, LeafDump, type RunSink } from './leaves/dump.ts'
export type { RunFilter } from './leaves/filter.ts'
export { findPaddr, type HitSink, type PaddrHit, PaddrSearch } from './leaves/find.ts'
export type { WalkLimits } from './leaves/leaf-taker.ts'
export { type FaultJson, faultJson, type LeafRun, type RunJson, runJson } from './leaves/run.ts'
export { type LeafStats, type LevelStats, StatsWalk, type TableStats, tableStats } from './leaves/stats.ts'
export { type Tables, tablesAt, tablesOf } from './leaves/tables.ts'
export {
  type Position,
  positionOf,
  type Step,
  type TranslateOptions,
  type Translation,
  type TranslationFault,
  type TranslationJson,
  translate,
  translates,
  translationJson,
} from './leaves/translate.ts'
export { type TreeEntry, type TreeOptions, type TreeResult, type TreeSink, TreeWalk, walkTree } from './leaves/tree.ts'
export { type LogRecord, LogScanner, scanLog } from './log/scanner.ts'
export type { LoggedLeaf, LoggedWalk, LogRole } from './log/source.ts'
export { type LogFormats, type LoggedTables, loggedTables } from './log/sparse.ts'
export { isCpuStage1, rulesOf, stageOf } from './rights/rules.ts'
export { type AmdViRegisters, AmdViScanner, scanAmdVi } from './roots/amdvi.ts'
export { type CoreRole, type CoreRoot, coreRoots } from './roots/core-roots.ts'
export { explainStructure, STRUCTURE_OF, STRUCTURES, type StructureKind } from './roots/explain-structure.ts'
export { type RiscvIommuRegisters, RiscvIommuScanner, scanRiscvIommu } from './roots/riscv.ts'
export { type Smmuv3Registers, Smmuv3Scanner, type StreamEntry, type StreamTable, scanSmmuv3, streamTable } from './roots/smmuv3.ts'
export { stage1Of as smmuv3Stage1, stage2Of as smmuv3Stage2 } from './roots/smmuv3-context.ts'
export type { FormatSet, Stage, StageTables, Stream, StreamScan, StreamStructure, StructureArray, TableRole } from './roots/streams.ts'
export { readStructure, type Structure } from './roots/structures.ts'
export { throughTables } from './roots/through.ts'
export { type ContextEntry, scanVtd, type VtdRegisters, VtdScanner } from './roots/vtd.ts'
export {
  type MapEvent,
  parseTrace,
  type ReplayProblem,
  type ReplayTotals,
  readTrace,
  type TraceEvent,
  TraceParser,
  TraceReplay,
  type UnmapEvent,
} from './trace.ts'
