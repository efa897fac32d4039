/** The table that a vector file, or a row of one, is run on, and a log of its TLB events. One is used at a time: they share memory. */
import {
  type Agreed,
  type AnyFmt,
  type ConfigOf,
  type FormatConfig,
  hex,
  IoPageTable,
  IoPgtableError,
  inputRanges,
  type LevelNode,
  nodeOf,
  slotBytes,
  type TableOptions,
  type VectorBinding,
  type VectorLevel,
  type VectorMembers,
} from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import type { Registers, VectorConfig } from './document.ts'
import { countOf, flagOf, hexOf } from './fields.ts'
import { scratch } from './scratch.ts'
import { type Snapshot, snapshot } from './snapshot.ts'
import { TlbLog } from './tlb-log.ts'

/** Where table memory lies when the binding does not say: below 4 GiB, for formats that can reach no further. */
const TABLE_MEMORY = 0x8000_0000n
/** Bytes of table memory for a file of operations; only what is touched is committed. */
export const FILE_MEMORY: number = 256 * 2 ** 20
/** Bytes of table memory for one row of facts or configurations. */
export const ROW_MEMORY: number = 4 * 2 ** 20

export class Subject {
  readonly binding: VectorBinding
  readonly pool: PtPool
  readonly table: IoPageTable
  readonly log: TlbLog
  /** What the empty table asked from the allocator. */
  readonly rootBytes: number

  /** @throws what the format's `configure` and the engine throw for the configuration */
  constructor(binding: VectorBinding, config: VectorConfig, memory: number) {
    const request = requestOf(binding, config)
    const agreed = binding.fmt.configure(request) as Agreed<FormatConfig>
    this.binding = binding
    this.log = new TlbLog(hasDetailedGather(config) ? (levels) => this.#fileLevels(levels) : undefined)
    this.pool = new PtPool({ base: binding.tableMemory?.(agreed) ?? TABLE_MEMORY, size: memory, memory: scratch(memory), name: 'vectors' })
    const options: TableOptions = { allocator: this.pool, tlb: this.log.callbacks(binding.family !== 'generic_pt') }
    this.table = IoPageTable.createRaw(binding.fmt, { ...request, ...options })
    this.rootBytes = this.table.tableBytes
  }

  /** How the files call the root's level. */
  get topLevel(): VectorLevel {
    return this.binding.level(this.#top)
  }

  get #top(): LevelNode {
    return nodeOf(this.table.geometry, this.table.geometry.top)
  }

  /** First input address that the table translates. */
  get firstIova(): bigint {
    return inputRanges(this.table.geometry)[0]?.first ?? 0n
  }

  /** `registers` as the file has them. */
  registers(): Registers {
    const { config, geometry } = this.table
    const pgsizeBitmap = hex(config.pgsizeBitmap)
    const own = this.binding.registers(this.table)
    if (this.binding.family !== 'generic_pt') {
      const root = { startLevel: this.topLevel, rootEntries: 2 ** this.#top.bits, rootBytes: this.rootBytes }
      return { pgsizeBitmap, ias: config.ias, oas: config.oas, ...root, ...own }
    }
    const apertureLast = hex(inputRanges(geometry)[0]?.last ?? 0n)
    const aperture = { apertureStart: hex(this.firstIova), apertureLast, topLevel: this.topLevel }
    return { pgsizeBitmap, vaBits: config.ias, oaBits: config.oas, ...aperture, ...own }
  }

  /** Bytes that one slot of a level translates; undefined when the table has no such level. */
  slotBytes(level: VectorLevel): number | undefined {
    const node = this.table.geometry.nodes.find((n) => this.binding.level(n) === level)
    return node && slotBytes(node)
  }

  /** Bits of levels, by the numbers of the files. */
  #fileLevels(levels: number): number {
    return this.table.geometry.nodes.reduce((bits, node) => bits | (((levels >> node.level) & 1) << Number(this.binding.level(node))), 0)
  }

  snapshot(range?: { readonly first: bigint; readonly last: bigint }): Snapshot {
    return snapshot(this.table, this.binding, range)
  }
}

/** Whether the hardware is told the levels of what was unmapped. */
function hasDetailedGather(config: VectorConfig): boolean {
  return config.family === 'generic_pt' && config.values.features.includes('DETAILED_GATHER')
}

/** The request that a file's configuration stands for. */
export function requestOf(binding: VectorBinding, config: VectorConfig): ConfigOf<AnyFmt> {
  if (binding.family === 'driver' && config.family === 'driver') return binding.config(config.values, usualOf(config.values))
  if (binding.family === 'io-pgtable' && config.family === 'io-pgtable') return binding.config(config.values)
  if (binding.family === 'generic_pt' && config.family === 'generic_pt') return binding.config(config.values)
  throw new IoPgtableError('EBADMSG', 'vector file', `a ${config.family} configuration, where ${binding.format} is of ${binding.family}`)
}

/** The members that most configurations have; zero where one is missing. */
function usualOf({ pgsizeBitmap, ias, oas, coherentWalk }: VectorMembers): FormatConfig {
  return {
    pgsizeBitmap: pgsizeBitmap === undefined ? 0n : hexOf(pgsizeBitmap, 'config.pgsizeBitmap'),
    ias: ias === undefined ? 0 : countOf(ias, 'config.ias'),
    oas: oas === undefined ? 0 : countOf(oas, 'config.oas'),
    ...(coherentWalk !== undefined && { coherentWalk: flagOf(coherentWalk, 'config.coherentWalk') }),
  }
}

/** The error with which only the kernel's driver refuses a configuration. */
export function driverRefuses(binding: VectorBinding, config: VectorConfig): string | undefined {
  if (binding.family === 'driver' && config.family === 'driver') return binding.driverRefuses?.(config.values)
  if (binding.family === 'io-pgtable' && config.family === 'io-pgtable') return binding.driverRefuses?.(config.values)
  if (binding.family === 'generic_pt' && config.family === 'generic_pt') return binding.driverRefuses?.(config.values)
  return undefined
}
