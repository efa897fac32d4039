/**
 * From a VT-d unit's registers to the tables of every stream: Intel Virtualization Technology for Directed I/O, Architecture Specification
 * (revision 4.1), 3.4 (root and context tables of legacy mode), 9.1 root entry, 9.3 context entry, and the registers of chapter 11.
 * Nothing read is trusted.
 */
import { extract, type HardwareOf, hex, type Piece, type ReadMemory } from '@io-pgtable/core'
import type { vtdSs } from '@io-pgtable/vtdss'
import type { Finding } from './report.ts'
import { structures } from './structures.ts'

/** The registers that say where the root table is and what the unit can do, as the hardware holds them. */
export interface VtdRegisters {
  readonly rtaddr: bigint
  readonly cap: bigint
  readonly gsts: bigint
}

/** What a present context entry does with untranslated requests (TT, 9.3). */
export type VtdTranslation = 'second stage' | 'second stage, device TLB' | 'pass-through' | 'reserved'

/** A stream, which VT-d calls a source: a present context entry whose requests the second stage translates. */
export interface VtdStream {
  /** The requester's ID: bus, device and function. */
  readonly sid: number
  readonly contextAddress: bigint
  /** 16 bytes as a number, bit 0 the first word's. */
  readonly context: bigint
  readonly tt: number
  readonly domain: number
  readonly registers: HardwareOf<typeof vtdSs>
}

export interface VtdScan {
  readonly root: bigint
  /** Present root entries, and present context entries by what they do. */
  readonly buses: number
  readonly entries: Readonly<Record<VtdTranslation, number>>
  readonly streams: readonly VtdStream[]
  readonly findings: readonly Finding[]
}

/** Root table and context tables: a page of 256 entries each, by bus and by device and function. */
const ENTRIES = 256
const ENTRY_BYTES = 16

const PRESENT: readonly Piece[] = [[0, 0, 0]]
const POINTER: readonly Piece[] = [[63, 12, 12]]
/** Context entry, 9.3. */
const TT: readonly Piece[] = [[3, 2, 0]]
const AW: readonly Piece[] = [[66, 64, 0]]
const DID: readonly Piece[] = [[87, 72, 0]]
/** RTADDR_REG.TTM: 0 is legacy mode. GSTS_REG.TES: translation is on. CAP_REG.SAGAW: by the code of AW, which a unit supports. */
const TTM: readonly Piece[] = [[11, 10, 0]]
const TES: readonly Piece[] = [[31, 31, 0]]
const SAGAW: readonly Piece[] = [[12, 8, 0]]

const TRANSLATIONS = ['second stage', 'second stage, device TLB', 'pass-through', 'reserved'] as const

/** Finds every stream by reading the whole root table. What cannot be read or followed is a finding. */
export function scanRootTable(registers: VtdRegisters, read: ReadMemory): VtdScan {
  const scanner = new Scanner(registers, read)
  scanner.scan()
  return scanner
}

class Scanner implements VtdScan {
  readonly root: bigint
  buses = 0
  readonly entries: Record<VtdTranslation, number> = { 'second stage': 0, 'second stage, device TLB': 0, 'pass-through': 0, reserved: 0 }
  readonly streams: VtdStream[] = []
  readonly findings: Finding[] = []
  readonly #registers: VtdRegisters
  readonly #read: ReadMemory

  constructor(registers: VtdRegisters, read: ReadMemory) {
    this.root = extract(registers.rtaddr, POINTER)
    this.#registers = registers
    this.#read = read
  }

  scan(): void {
    const { rtaddr, gsts } = this.#registers
    if (extract(gsts, TES) === 0n) this.#finding('GSTS', 'translation is off (TES)', gsts)
    const mode = extract(rtaddr, TTM)
    if (mode !== 0n) this.#finding('RTADDR', `translation table mode ${mode} is not read by this demo, which reads legacy mode`, rtaddr)
    else for (const { index, raw } of this.#table(this.root, 'root table')) this.#bus(index, extract(raw, POINTER))
  }

  #bus(bus: number, table: bigint): void {
    this.buses++
    for (const { index, raw, address } of this.#table(table, `context table of bus ${bus}`)) {
      const sid = bus * ENTRIES + index
      const tt = Number(extract(raw, TT))
      const translation = TRANSLATIONS[tt] ?? 'reserved'
      this.entries[translation]++
      if (translation === 'reserved') this.#finding(`stream ${sid}`, 'a reserved translation type (TT)', raw)
      else if (translation !== 'pass-through') this.#stream(sid, address, raw, tt)
    }
  }

  #stream(sid: number, contextAddress: bigint, context: bigint, tt: number): void {
    const aw = extract(context, AW)
    if (((extract(this.#registers.cap, SAGAW) >> aw) & 1n) === 0n)
      this.#finding(`stream ${sid}`, `address width ${aw} (AW) is none that the unit supports (CAP.SAGAW)`, context)
    else {
      const registers = { ssptptr: extract(context, POINTER), aw: Number(aw) }
      this.streams.push({ sid, contextAddress, context, tt, domain: Number(extract(context, DID)), registers })
    }
  }

  /** The present entries of a table. */
  *#table(base: bigint, what: string) {
    const unknown = (index: number) => this.#finding(what, `entries ${index} to ${ENTRIES - 1} lie in unknown memory`, base)
    for (const entry of structures(this.#read, base, ENTRY_BYTES, ENTRIES, unknown)) if (extract(entry.raw, PRESENT) === 1n) yield entry
  }

  #finding(place: string, message: string, value: bigint): void {
    this.findings.push({ place, message, value })
  }
}

/** The two 64-bit words of a context entry. */
export function contextWords(context: bigint): string[] {
  return [hex(BigInt.asUintN(64, context)), hex(context >> 64n)]
}
