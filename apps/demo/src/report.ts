/** What the demo finds out: plain data, which the terminal output and `--json` show alike. */
import type { ProtName } from '@io-pgtable/core'
import type { ReplayTotals, StreamTable } from '@io-pgtable/inspect'
import type { FlushCounts } from './flush-count.ts'
import type { GpuReport } from './gpu/gpu-report.ts'

/** Something that fails the demo: unknown memory, an invalid descriptor, a structure that cannot be followed. */
export interface Finding {
  readonly place: string
  readonly message: string
  readonly value?: bigint
}

/** One value that is not as it should be. */
export interface Difference {
  readonly where: string
  readonly column: string
  readonly expected: string
  readonly got: string
}

/** A comparison of two lists of mappings. `differences` holds the first few, `differing` counts the mappings that differ. */
export interface Comparison {
  readonly expected: number
  readonly identical: number
  readonly differing: number
  readonly differences: readonly Difference[]
}

/** Something that the demo makes sure of. */
export interface Check {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
}

/** Consecutive mappings that are alike. */
export interface Range {
  readonly first: bigint
  readonly last: bigint
  readonly paddr: bigint
  readonly pgsize: number
  readonly pgcount: number
  readonly kind: string
  readonly prot: readonly ProtName[]
  /** Fields of the leaf and of the tables above that are not zero, by name. */
  readonly fields: Readonly<Record<string, number>>
}

/** One named field of a descriptor. */
export interface FieldText {
  readonly name: string
  /** Descriptor bits, `[4:2]`. */
  readonly bits: string
  readonly value: bigint
  readonly meaning: string
}

/** One descriptor on the way to a page. */
export interface WalkStep {
  readonly level: number
  readonly node: string
  readonly table: bigint
  readonly index: number
  readonly raw: bigint
  readonly type: string
  readonly kind: string
  /** Physical address of the next table, or of the page. */
  readonly target: bigint | undefined
  readonly fields: readonly FieldText[]
}

/** A TLB callback that the driver got. */
export interface TlbEvent {
  readonly call: 'flushAll' | 'flushWalk' | 'addPages' | 'sync'
  readonly iova?: bigint
  readonly size?: number
  readonly granule?: number
  readonly count?: number
}

export interface BufferReport {
  readonly name: string
  readonly iova: bigint
  readonly paddr: bigint
  readonly size: number
  readonly prot: readonly ProtName[]
  /** The first leaf descriptor. */
  readonly descriptor: bigint
  /** The page sizes that the engine chose, largest first. */
  readonly pages: readonly { readonly pgsize: number; readonly count: number }[]
}

/** Part (a), for one format. */
export interface DriverReport {
  readonly format: string
  readonly title: string
  readonly ias: number
  readonly oas: number
  readonly pageSizes: readonly number[]
  readonly registers: Readonly<Record<string, unknown>>
  readonly buffers: readonly BufferReport[]
  readonly tableBytes: number
  readonly translation: { readonly iova: bigint; readonly paddr: bigint | undefined; readonly walk: readonly WalkStep[] }
  readonly batch: { readonly translated: number; readonly wrong: number }
  readonly conflict: {
    readonly pages: number
    readonly taken: number
    readonly error: string | undefined
    readonly mapped: number
    readonly warnings: number
  }
  readonly spanningUnmap: {
    readonly pgsize: number
    readonly half: number
    readonly granule: number
    readonly unmapped: number
    readonly events: readonly TlbEvent[]
    readonly tableBytes: { readonly before: number; readonly mapped: number; readonly unmapped: number; readonly synced: number }
  }
  readonly revoked: { readonly access: string; readonly use: string; readonly events: readonly TlbEvent[] }
  readonly leakedBytes: number
  readonly peakBytes: number
  readonly checks: readonly Check[]
}

/** What is known of a memory image. */
export interface ImageReport {
  readonly file: string
  readonly what: string
  readonly kernel: string
  readonly segments: number
  readonly knownBytes: number
}

/** A stream of the SMMU: found, walked, compared, rebuilt. */
export interface StreamReport {
  readonly sid: number
  readonly steAddress: bigint
  readonly cdAddress: bigint
  readonly asid: number
  readonly ttb: bigint
  readonly inputBits: number
  readonly outputBits: number
  readonly granule: number
  readonly mair: bigint
  readonly leaves: number
  readonly tables: number
  readonly ranges: readonly Range[]
  /** What is worth knowing and changes no translation. */
  readonly notes: readonly string[]
  readonly facts: Comparison
  readonly mappings: Comparison
  readonly rebuilt: Comparison & { readonly tables: number; readonly registers: Comparison }
}

export interface SmmuReport {
  readonly image: ImageReport
  readonly strtabBase: bigint
  readonly strtabBaseCfg: bigint
  readonly table: StreamTable
  readonly entries: Readonly<Record<string, number>>
  readonly streams: readonly StreamReport[]
  readonly expectedStreams: number
  readonly leakedBytes: number
  readonly findings: readonly Finding[]
  readonly checks: readonly Check[]
}

/** Mappings that are alike in all but their addresses. */
export interface AttributeGroup {
  readonly kind: string
  readonly domain: number | undefined
  readonly leaves: number
  readonly bytes: number
  /** In words: who may do what, and the memory type. */
  readonly access: string
  readonly memory: string
}

/** One of the two roots of a CPU. */
export interface RootReport {
  readonly name: string
  readonly root: bigint
  readonly first: bigint
  readonly last: bigint
  readonly leaves: number
  readonly tables: number
  readonly ranges: readonly Range[]
  readonly attributes: readonly AttributeGroup[]
  /** What is worth knowing and changes no translation. */
  readonly notes: readonly string[]
  readonly mappings: Comparison
}

export interface CpuReport {
  readonly image: ImageReport
  readonly registers: Readonly<Record<string, bigint>>
  readonly roots: readonly RootReport[]
  readonly findings: readonly Finding[]
  readonly checks: readonly Check[]
}

/** A stream of a VT-d unit: found, walked, compared. */
export interface VtdStreamReport {
  readonly sid: number
  readonly contextAddress: bigint
  readonly domain: number
  readonly root: bigint
  readonly levels: number
  readonly inputBits: number
  readonly leaves: number
  readonly tables: number
  readonly ranges: readonly Range[]
  /** What is worth knowing and changes no translation. */
  readonly notes: readonly string[]
  readonly facts: Comparison
  readonly mappings: Comparison
}

export interface VtdReport {
  readonly image: ImageReport
  readonly registers: Readonly<Record<string, bigint>>
  readonly root: bigint
  /** Present root entries, and present context entries by what they do. */
  readonly buses: number
  readonly entries: Readonly<Record<string, number>>
  readonly streams: readonly VtdStreamReport[]
  readonly expectedStreams: number
  readonly findings: readonly Finding[]
  readonly checks: readonly Check[]
}

/** A kernel's trace, replayed. */
export interface ReplayReport {
  readonly trace: string
  readonly image: ImageReport
  /** Streams of the image that were tried, and the one that fits. */
  readonly streams: number
  readonly sid: number
  readonly format: string
  readonly pageSizes: readonly number[]
  readonly lines: number
  /** Events of other kinds. */
  readonly skipped: number
  /** From the first event to the last. */
  readonly seconds: number
  readonly totals: ReplayTotals
  /** Most bytes that were mapped at once. */
  readonly mostBytes: number
  readonly problems: readonly { readonly line: number; readonly message: string }[]
  readonly leaves: readonly { readonly iova: bigint; readonly size: number }[]
  readonly sizes: readonly { readonly pgsize: number; readonly count: number }[]
  readonly tables: { readonly ours: number; readonly kernel: number }
  readonly peakBytes: number
  readonly flushes: FlushCounts
  /** Against the kernel's tables, walked here, and against what an independent walker found in them. */
  readonly kernel: Comparison
  readonly independent: Comparison
  readonly findings: readonly Finding[]
  readonly leakedBytes: number
  readonly checks: readonly Check[]
}

export interface DemoReport {
  readonly ok: boolean
  readonly gpu: readonly GpuReport[]
  readonly gpuChecks: readonly Check[]
  readonly driver: readonly DriverReport[]
  readonly smmuv3: SmmuReport
  readonly armv7: CpuReport
  readonly aarch64: CpuReport
  readonly vtd: VtdReport
  readonly traces: readonly ReplayReport[]
  /** Counts over all parts. */
  readonly totals: {
    readonly streams: number
    /** Leaves of the streams that are rebuilt, and those that came out the same. */
    readonly leaves: number
    readonly identical: number
    /** Mappings of all images. */
    readonly mappings: number
    readonly differences: number
    readonly findings: number
    readonly leakedBytes: number
    readonly checks: number
    readonly passed: number
  }
}

/** The report as JSON: bigints are hex strings. */
export function toJson(report: unknown): string {
  return JSON.stringify(report, (_key, value: unknown) => (typeof value === 'bigint' ? `0x${value.toString(16)}` : value), 2)
}
