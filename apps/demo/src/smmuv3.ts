/**
 * From an SMMUv3's registers to the tables of every stream: Arm System Memory Management Unit Architecture Specification, SMMU
 * architecture version 3 (IHI 0070), 3.3.1 (stream table lookup), chapter 5 (data structures) and the registers of chapter 6.
 * Nothing read is trusted.
 */
import type { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { extract, type HardwareOf, hex, IoPgtableError, type Piece, type ReadMemory } from '@io-pgtable/core'
import type { Finding } from './report.ts'
import { type Structure, structures, wideNumber } from './structures.ts'

/** The registers that say where the stream table is, as the hardware holds them. */
export interface SmmuRegisters {
  readonly strtabBase: bigint
  readonly strtabBaseCfg: bigint
  /** SMMU_IDR1, whose SIDSIZE limits StreamIDs. Without it 32 bits. */
  readonly idr1?: bigint
}

/** SMMU_STRTAB_BASE and SMMU_STRTAB_BASE_CFG, decoded. */
export interface StreamTable {
  readonly base: bigint
  readonly format: 'linear' | '2-level'
  /** StreamID bits that index a second-level array; 0 for a linear table. */
  readonly split: number
  /** StreamID bits that the table covers. */
  readonly sidBits: number
}

/** What a valid STE does with its stream's transactions (STE.Config, 5.2). */
export type StreamConfig = 'abort' | 'bypass' | 'stage 1' | 'stage 2' | 'stages 1 and 2'

/** A stream that stage 1 translates: its STE and its context descriptor. */
export interface Stream {
  readonly sid: number
  readonly steAddress: bigint
  /** 64 bytes as a number, bit 0 the first word's. */
  readonly ste: bigint
  readonly cdAddress: bigint
  readonly cd: bigint
  readonly fields: ContextDescriptor
  /** What a CPU's registers would hold to walk the same tables. */
  readonly registers: HardwareOf<typeof arm64LpaeS1>
}

export interface Scan {
  readonly table: StreamTable
  /** Entries looked at, valid ones by what they do, and invalid ones. */
  readonly entries: number
  readonly configs: Readonly<Record<StreamConfig | 'invalid', number>>
  readonly streams: readonly Stream[]
  readonly findings: readonly Finding[]
}

/** Of an STE, and of a context descriptor. */
const STE_BYTES = 64
const L1STD_BYTES = 8
/** Entries that a scan looks at before it calls a table absurd: 64 MiB of STEs. */
const MAX_ENTRIES = 2 ** 20

const ADDRESS: readonly Piece[] = [[51, 6, 6]]
/** Level 1 Stream Table Descriptor, 5.1. */
const SPAN: readonly Piece[] = [[4, 0, 0]]

/** Stream Table Entry, 5.2. */
const STE: Readonly<Record<'V' | 'Config' | 'S1ContextPtr' | 'S1CDMax', readonly Piece[]>> = {
  V: [[0, 0, 0]],
  Config: [[3, 1, 0]],
  S1ContextPtr: ADDRESS,
  S1CDMax: [[63, 59, 0]],
}

const CONFIGS: Readonly<Record<number, StreamConfig>> = { 0: 'abort', 4: 'bypass', 5: 'stage 1', 6: 'stage 2', 7: 'stages 1 and 2' }

/** Context Descriptor, 5.4: the fields that this demo shows or depends on. */
const CD: Readonly<Record<CdField, readonly Piece[]>> = {
  T0SZ: [[5, 0, 0]],
  TG0: [[7, 6, 0]],
  IR0: [[9, 8, 0]],
  OR0: [[11, 10, 0]],
  SH0: [[13, 12, 0]],
  EPD0: [[14, 14, 0]],
  TG1: [[23, 22, 0]],
  EPD1: [[30, 30, 0]],
  V: [[31, 31, 0]],
  IPS: [[34, 32, 0]],
  AA64: [[41, 41, 0]],
  ASID: [[63, 48, 0]],
  TTB0: [[115, 68, 4]],
  TTB1: [[179, 132, 4]],
  DS: [[186, 186, 0]],
  MAIR: [[255, 192, 0]],
}

type CdField =
  | 'T0SZ'
  | 'TG0'
  | 'IR0'
  | 'OR0'
  | 'SH0'
  | 'EPD0'
  | 'TG1'
  | 'EPD1'
  | 'V'
  | 'IPS'
  | 'AA64'
  | 'ASID'
  | 'TTB0'
  | 'TTB1'
  | 'DS'
  | 'MAIR'

/** A context descriptor's fields. Addresses are addresses, everything else is the raw value. */
export type ContextDescriptor = Readonly<Record<CdField, bigint>>

/**
 * The context descriptor's translation controls in the places that they have in TCR_EL1 (Arm ARM, D24.2): T0SZ, EPD0, IRGN0, ORGN0,
 * SH0, TG0, the same for TTB1, IPS, TBI0, TBI1, HA, HD, DS.
 */
const TCR: readonly Piece[] = [
  [5, 0, 0],
  [14, 14, 7],
  [13, 8, 8],
  [7, 6, 14],
  [21, 16, 16],
  [30, 30, 23],
  [29, 24, 24],
  [23, 22, 30],
  [34, 32, 32],
  [39, 38, 37],
  [43, 43, 39],
  [42, 42, 40],
  [186, 186, 59],
]

/**
 * Decodes SMMU_STRTAB_BASE and SMMU_STRTAB_BASE_CFG.
 * @throws `EINVAL` for reserved values of FMT and SPLIT, and for more StreamID bits than any SMMU has.
 */
export function streamTable({ strtabBase, strtabBaseCfg, idr1 }: SmmuRegisters): StreamTable {
  const log2size = Number(strtabBaseCfg & 0x3fn)
  const fmt = Number((strtabBaseCfg >> 16n) & 3n)
  const split = Number((strtabBaseCfg >> 6n) & 0x1fn)
  if (fmt > 1) throw refused(`FMT ${fmt} is reserved; 0 is linear, 1 is 2-level`, strtabBaseCfg)
  if (fmt === 1 && ![6, 8, 10].includes(split)) throw refused(`SPLIT ${split} is reserved; 6, 8 and 10 are not`, strtabBaseCfg)
  if (log2size > 32) throw refused(`LOG2SIZE ${log2size} is more than the 32 bits of a StreamID`, strtabBaseCfg)
  const sidBits = Math.min(log2size, idr1 === undefined ? 32 : Number(idr1 & 0x3fn))
  const bytes = fmt === 1 ? L1STD_BYTES * 2 ** Math.max(0, sidBits - split) : STE_BYTES * 2 ** sidBits
  // The base is aligned to the table, at least to 64 bytes: lower bits are taken as zero
  const base = extract(strtabBase, ADDRESS) & -BigInt(bytes)
  return { base, format: fmt === 1 ? '2-level' : 'linear', split: fmt === 1 ? split : 0, sidBits }
}

/** Finds every stream by reading the whole stream table. What cannot be read or followed is a finding. @throws `EINVAL` as {@link streamTable} */
export function scanStreams(registers: SmmuRegisters, read: ReadMemory): Scan {
  const scanner = new Scanner(streamTable(registers), read)
  scanner.scan()
  return scanner
}

class Scanner implements Scan {
  readonly table: StreamTable
  entries = 0
  readonly configs: Record<StreamConfig | 'invalid', number> = {
    abort: 0,
    bypass: 0,
    'stage 1': 0,
    'stage 2': 0,
    'stages 1 and 2': 0,
    invalid: 0,
  }
  readonly streams: Stream[] = []
  readonly findings: Finding[] = []
  readonly #read: ReadMemory

  constructor(table: StreamTable, read: ReadMemory) {
    this.table = table
    this.#read = read
  }

  scan(): void {
    const { base, format, sidBits } = this.table
    if (format === 'linear') this.#entries(base, 0, 2 ** sidBits)
    else this.#level1()
  }

  /** 3.3.1.2: StreamID bits above SPLIT index descriptors, whose Span says how many STEs follow. */
  #level1(): void {
    const { base, split, sidBits } = this.table
    for (const { index, raw } of this.#structures(base, L1STD_BYTES, 2 ** Math.max(0, sidBits - split), 'level 1 stream table')) {
      const span = Number(extract(raw, SPAN))
      if (span === 0) continue
      const count = 2 ** (span - 1)
      const array = extract(raw, ADDRESS) & -BigInt(count * STE_BYTES)
      if (span <= split + 1) this.#entries(array, index * 2 ** split, Math.min(count, 2 ** sidBits))
      else this.#finding(`level 1 stream table descriptor ${index}`, `Span ${span} is more than SPLIT + 1 (${split + 1})`, raw)
    }
  }

  #entries(array: bigint, firstSid: number, count: number): void {
    for (const { index, raw, address } of this.#structures(array, STE_BYTES, count, 'stream table')) {
      this.entries++
      const sid = firstSid + index
      // Config 0b0xx: abort (5.2)
      const config = extract(raw, STE.V) === 0n ? 'invalid' : (CONFIGS[Number(extract(raw, STE.Config))] ?? 'abort')
      this.configs[config]++
      if (config === 'stage 1') this.#stage1(sid, address, raw)
      else if (config === 'stage 2' || config === 'stages 1 and 2')
        this.#finding(`stream ${sid}`, `${config} is not read by this demo`, raw)
    }
  }

  /** Follows an STE to its context descriptor. */
  #stage1(sid: number, steAddress: bigint, ste: bigint): void {
    const place = `stream ${sid}`
    const cdAddress = extract(ste, STE.S1ContextPtr)
    const bytes = this.#read(cdAddress, STE_BYTES)
    const cd = bytes?.byteLength === STE_BYTES ? wideNumber(bytes) : undefined
    const substreams = extract(ste, STE.S1CDMax)
    if (substreams !== 0n) this.#finding(place, `a table of 2^${substreams} context descriptors is not read by this demo`, ste)
    else if (cd === undefined) this.#finding(place, 'the context descriptor lies in unknown memory', cdAddress)
    else {
      const fields = Object.fromEntries(Object.entries(CD).map(([name, pieces]) => [name, extract(cd, pieces)])) as ContextDescriptor
      if (fields.V === 0n) this.#finding(place, 'the context descriptor is not valid (CD.V)', cd)
      else if (fields.AA64 === 0n) this.#finding(place, 'AArch32 tables are not read by this demo (CD.AA64)', cd)
      else if (isBeyond(fields))
        this.#finding(place, 'a table is beyond the 48 bits that IPS, DS and the granule allow (CD.TTB0, CD.TTB1)', cd)
      else this.streams.push({ sid, steAddress, ste, cdAddress, cd, fields, registers: cpuRegisters(cd, fields) })
    }
  }

  /** Reads an array of structures; the first unknown byte ends it with a finding. */
  *#structures(base: bigint, bytes: number, count: number, what: string): Generator<Structure> {
    if (count > MAX_ENTRIES - this.entries) {
      this.#finding(what, `${count} entries at ${hex(base)} are more than this demo scans`, BigInt(count))
      return
    }
    yield* structures(this.#read, base, bytes, count, (known) =>
      this.#finding(what, `entries ${known} to ${count - 1} lie in unknown memory`, base + BigInt(known * bytes)),
    )
  }

  #finding(place: string, message: string, value: bigint): void {
    this.findings.push({ place, message, value })
  }
}

/** TTB0, TTB1, MAIR and the controls, as TTBR0_EL1, TTBR1_EL1, MAIR_EL1 and TCR_EL1 would hold them. */
function cpuRegisters(cd: bigint, fields: ContextDescriptor): HardwareOf<typeof arm64LpaeS1> {
  return {
    tcr: extract(cd, TCR),
    mair: fields.MAIR,
    ...(fields.EPD0 === 0n ? { ttbr0: ttbr(fields.TTB0, isWide(fields, fields.TG0 === 1n)) } : {}),
    ...(fields.EPD1 === 0n ? { ttbr1: ttbr(fields.TTB1, isWide(fields, fields.TG1 === 3n)) } : {}),
  }
}

/** Whether table addresses have 52 bits: with 64K granules as the output addresses do, with the others where DS is set (FEAT_LPA2). */
function isWide({ IPS, DS }: ContextDescriptor, granule64K: boolean): boolean {
  return granule64K ? IPS === 6n : DS === 1n
}

/** A 52-bit table address has its bits 51:48 in TTBR bits 5:2; a context descriptor holds them in place. */
function ttbr(address: bigint, wide: boolean): bigint {
  return wide ? (address & 0xffff_ffff_ffc0n) | ((address >> 48n) << 2n) : address
}

/** Illegal (5.4, TTB0 and TTB1): a table of a half in use is beyond 48 bits, and that half's addresses are not wide. */
function isBeyond(fields: ContextDescriptor): boolean {
  const beyond = (address: bigint, off: bigint, granule64K: boolean) => off === 0n && address >> 48n !== 0n && !isWide(fields, granule64K)
  return beyond(fields.TTB0, fields.EPD0, fields.TG0 === 1n) || beyond(fields.TTB1, fields.EPD1, fields.TG1 === 3n)
}

function refused(message: string, value: bigint): IoPgtableError {
  return new IoPgtableError('EINVAL', 'STRTAB_BASE_CFG', `${message}, got ${hex(value)}`, { value })
}
