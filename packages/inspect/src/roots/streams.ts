/**
 * What the decoders of an IOMMU's structures have in common. They name no page-table format: they say which role a table has, and what that
 * role's registers would hold; the caller says which format that is.
 */
import type { AnyFmt, ReadMemory } from '@io-pgtable/core'
import { hex, IoPgtableError } from '@io-pgtable/core'
import { type Finding, Findings, type Severity } from '../finding.ts'
import { nextKnownEntry } from '../image/image.ts'
import { type Tables, tablesAt } from '../leaves/tables.ts'
import { readStructures, type Structure, wordsOfStructure } from './structures.ts'
import { throughTables } from './through.ts'

/**
 * What tables are to the hardware. The registers of each are raw, as `rootsFromRegs` of its format takes them:
 * `arm64-stage1` ttbr0, ttbr1, tcr, mair (as EL1's) · `arm64-stage2` vttbr, vtcr, fwb · `arm32-stage1` ttbr0, ttbr1, ttbcr, mair0, mair1 ·
 * `arm32-stage2` vttbr, vtcr · `x86-first-stage` cr3, cr4 · `vtd-second-stage` ssptptr, aw · `amd-host` dte (bits 63:0) ·
 * `riscv-stage1` satp · `riscv32-stage1` satp of 32 bits · `riscv-stage2` hgatp.
 */
export type TableRole =
  | 'arm64-stage1'
  | 'arm64-stage2'
  | 'arm32-stage1'
  | 'arm32-stage2'
  | 'x86-first-stage'
  | 'vtd-second-stage'
  | 'amd-host'
  | 'riscv-stage1'
  | 'riscv32-stage1'
  | 'riscv-stage2'

/** The formats of the roles; a role without one is a finding where it is met. */
export type FormatSet = Readonly<Partial<Record<TableRole, AnyFmt>>>

/** One stage of a stream's translation, and what its registers would hold. */
export interface Stage {
  readonly stage: 1 | 2
  readonly role: TableRole
  readonly registers: Readonly<Record<string, unknown>>
}

/** A stage's tables. Those of a nested stage 1 are read through stage 2. */
export interface StageTables extends Tables {
  readonly stage: 1 | 2
}

/** A structure that led to a stream's tables: the manual's name, where it is, its 64-bit words. */
export interface StreamStructure {
  readonly name: string
  readonly address: bigint
  readonly words: readonly bigint[]
}

/** A device, or one address space of a device, as its IOMMU sees it. */
export interface Stream {
  /** StreamID, source-id (bus 15:8, device and function 7:0), DeviceID, device_id. */
  readonly sid: number
  /** SubstreamID, PASID, process_id. */
  readonly pasid?: number
  /** What is done with its transactions. `bad-stream`: there is no entry for it. */
  readonly config: 'bypass' | 'stage 1' | 'stage 2' | 'nested' | 'blocked' | 'bad-stream'
  /** Of one that is blocked, or has no entry: what hardware records, and why. */
  readonly why?: string
  readonly stages: readonly Stage[]
  readonly tables: readonly StageTables[]
  readonly structures: readonly StreamStructure[]
}

/** Structures that follow one another; `only`: one of them is looked at. */
export interface StructureArray {
  readonly base: bigint
  readonly bytes: number
  readonly count: number
  readonly only?: number | undefined
}

export interface StreamScan {
  /** In the order of their numbers. */
  readonly streams: readonly Stream[]
  readonly findings: readonly Finding[]
  /** Structures looked at. */
  readonly visited: number
}

/** Structures that a scan looks at before it calls tables absurd. */
const MAX_STRUCTURES = 2 ** 22
const MAX_STREAMS = 2 ** 17

/**
 * A scan of an IOMMU's structures: a list of things to do that may be done again from where it was, when a page of the image was missing.
 * What cannot be read or followed is a finding.
 */
export abstract class StreamScanner {
  readonly #streams: Stream[] = []
  readonly #findings: Findings = new Findings()
  readonly #todo: (() => void)[] = []
  readonly #formats: FormatSet
  /** The one stream that is looked at; undefined: all. */
  protected readonly only: number | undefined
  protected readonly read: ReadMemory
  #visited = 0

  constructor(read: ReadMemory, formats: FormatSet, only?: number) {
    this.read = read
    this.#formats = formats
    this.only = only
  }

  /** Goes on to the end. @throws what reading throws: calling it again goes on there */
  run(): StreamScan {
    for (let task = this.#todo.at(-1); task !== undefined; task = this.#todo.at(-1)) {
      const before = this.#todo.length
      task()
      // What it leads to is done first, in its order
      this.#todo.push(
        ...this.#todo
          .splice(before - 1)
          .slice(1)
          .reverse(),
      )
    }
    const streams = this.#streams.sort((a, b) => a.sid - b.sid || (a.pasid ?? -1) - (b.pasid ?? -1))
    return { streams, findings: this.#findings.list, visited: this.#visited }
  }

  /** Something to do. It reads first: what throws a page miss has done nothing. */
  protected later(task: () => void): void {
    this.#todo.push(task)
  }

  /** Looks at the structures of an array, step by step. */
  protected each(
    place: string,
    read: ReadMemory,
    array: StructureArray,
    visit: (structure: Structure) => void,
    first: number = array.only ?? 0,
  ): void {
    const { base, bytes } = array
    const count = array.only === undefined ? array.count : Math.min(array.count, array.only + 1)
    this.later(() => {
      const { list, known } = readStructures(read, base, bytes, first, count)
      if (!this.#visit(place, base, list.length)) return
      const next = first + list.length
      for (const structure of list) visit(structure)
      if (known && next < count) this.each(place, read, array, visit, next)
      if (!known) this.#behindHole(place, read, array, visit, next, count)
    })
  }

  /** Goes on where memory is known again. */
  #behindHole(
    place: string,
    read: ReadMemory,
    array: StructureArray,
    visit: (structure: Structure) => void,
    from: number,
    count: number,
  ): void {
    const { base, bytes } = array
    const next = nextKnownEntry(read, base + BigInt(from * bytes), bytes, from, count)
    const what = next - from === 1 ? `entry ${from} is` : `entries ${from} to ${next - 1} are`
    this.finding('error', 'unknown-memory', place, `${what} not in the image, at ${hex(base + BigInt(from * bytes))}`, base)
    if (next < count) this.each(place, read, array, visit, next)
  }

  /** A stream that no entry is for. `event`: what hardware records. */
  protected absent(event: string): void {
    if (this.only !== undefined)
      this.#streams.push({ sid: this.only, config: 'bad-stream', why: event, stages: [], structures: [], tables: [] })
  }

  /** A stream of which nothing gets through. */
  protected blocked(sid: number, why: string, structures: readonly StreamStructure[]): void {
    this.#streams.push({ sid, config: 'blocked', why, stages: [], structures, tables: [] })
  }

  #visit(place: string, base: bigint, count: number): boolean {
    this.#visited += count
    if (this.#visited <= MAX_STRUCTURES && this.#streams.length < MAX_STREAMS) return true
    const message = `ended: more than ${MAX_STRUCTURES} structures, or ${MAX_STREAMS} streams`
    if (this.#findings.count('too-many') === 0) this.finding('error', 'too-many', place, message, base)
    return false
  }

  /** A stream, with the tables of its stages: those that no hardware accepts, or that no format is for, are findings. */
  protected add(stream: Omit<Stream, 'tables' | 'config'>): void {
    const { sid, pasid, stages } = stream
    const place = pasid === undefined ? `stream ${sid}` : `stream ${sid}, pasid ${pasid}`
    const tables: StageTables[] = []
    let read: ReadMemory | undefined = this.read
    for (const stage of [...stages].sort((a, b) => b.stage - a.stage)) {
      const found: readonly StageTables[] = read === undefined ? [] : this.tablesOf(place, stage, read)
      tables.unshift(...found)
      if (stage.stage === 2) read = found[0] && throughTables(found[0])
    }
    const config = stages.length > 1 ? 'nested' : stages[0] === undefined ? 'bypass' : (`stage ${stages[0].stage}` as const)
    this.#streams.push({ ...stream, config, tables })
  }

  /** The tables of one stage. */
  protected tablesOf(place: string, { role, registers, stage }: Stage, read: ReadMemory): readonly StageTables[] {
    const format = this.#formats[role]
    if (format === undefined) {
      this.finding('note', 'no-format', place, `no format is given for ${role}`)
      return []
    }
    try {
      return format.rootsFromRegs(registers, read).map((found) => ({ ...tablesAt(format, found, read), stage }))
    } catch (error) {
      if (!(error instanceof IoPgtableError)) throw error
      this.finding('error', 'bad-registers', place, error.message)
      return []
    }
  }

  protected finding(severity: Severity, code: string, place: string, message: string, value?: bigint): void {
    this.#findings.add({ severity, code, place, message, ...(value === undefined ? {} : { value }) })
  }
}

/** A structure as a stream shows it. */
export function shown(name: string, address: bigint, raw: bigint, bytes: number): StreamStructure {
  return { name, address, words: wordsOfStructure(raw, bytes) }
}
