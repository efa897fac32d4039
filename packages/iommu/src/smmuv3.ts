/**
 * An SMMUv3's translation, from raw registers and live memory: Arm System Memory Management Unit Architecture Specification, version 3
 * (IHI 0070), 3.3 and 3.4 (translation procedure), 3.9, chapters 4, 5 and 7. Stream world: Non-secure EL1. Faults terminate; nothing stalls.
 */
import { hex, IoPgtableError, type ReadMemory } from '@io-pgtable/core'
import { type FormatSet, type Stage, type StreamTable, smmuv3Stage1, smmuv3Stage2, streamTable } from '@io-pgtable/inspect'
import { Access, GuestMemory, type MemoryPiece, Mmu, type MmuFault, Tlb, type TlbOptions } from '@io-pgtable/mmu'
import { obey } from './smmuv3-commands.ts'
import { cd, fetchCd, fetchSte, ste, substreamOf } from './smmuv3-config.ts'
import { EVENT, type EventRecord, type FaultClass, faultEvent, streamEvent, type Transaction } from './smmuv3-events.ts'

/** Registers, as the hardware holds them. */
export interface Smmuv3State {
  readonly strtabBase: bigint
  readonly strtabBaseCfg: bigint
  /** SMMU_IDR1, whose SIDSIZE limits StreamIDs. Default: 32 bits. */
  readonly idr1?: bigint
  /** SMMU_CR0, for SMMUEN. Default: enabled. */
  readonly cr0?: bigint
  /** SMMU_GBPA, for ABORT while it is not enabled. Default: bypass. */
  readonly gbpa?: bigint
}

export interface Smmuv3Options {
  /** What the SMMU can read. */
  readonly memory: readonly MemoryPiece[]
  readonly registers: Smmuv3State
  /** The formats of tables, by their roles: `arm64-stage1`, `arm64-stage2`, and AArch32's. */
  readonly formats: FormatSet
  /** Its TLBs: one for answers of stage 1 and of both, one for stage 2. */
  readonly tlb?: TlbOptions
}

/** What becomes of a transaction. */
export type Smmuv3Answer =
  | { readonly type: 'translated'; readonly paddr: bigint; readonly rights: number; readonly size: number }
  | { readonly type: 'bypass'; readonly paddr: bigint }
  /** `event`: the record that it writes, where it does. */
  | { readonly type: 'abort'; readonly event: EventRecord | undefined }

/** The configuration that a stream, or substream, was found to have. */
interface Config {
  /** What translates, for addresses as they come; undefined: nothing does. */
  readonly mmu: Mmu | undefined
  readonly second: Mmu | undefined
  readonly ste: bigint
  /** CD.R and STE.S2R: whether faults of a stage are recorded. */
  readonly records: readonly [first: boolean, second: boolean]
  /** Stage 1 has no tables: EPD0 and EPD1. */
  readonly empty: boolean
}

/** Why there is none. */
interface Refusal {
  readonly event: EventRecord | undefined
}

const SMMUEN = 1n
const ABORT = 1n << 20n
/** TCR.HA: no access flag faults, as AFFD has it. */
const HA = 1n << 39n
/** Of VTCR_EL2: the same of stage 2. */
const VHA = 1n << 21n

export class Smmuv3 {
  readonly #memory: GuestMemory
  readonly #formats: FormatSet
  readonly #tlb: Tlb
  readonly #tlb2: Tlb
  #registers: Smmuv3State
  #table: StreamTable
  /** By StreamID, then by SubstreamID; -1 for none. Refusals are not kept. */
  readonly #configs: Map<number, Map<number, Config>> = new Map()

  /** @throws `EINVAL` for registers that no SMMU accepts, and memory that is none */
  constructor({ memory, registers, formats, tlb }: Smmuv3Options) {
    this.#memory = new GuestMemory(memory)
    this.#formats = formats
    this.#tlb = new Tlb(tlb)
    this.#tlb2 = new Tlb(tlb)
    this.#registers = registers
    this.#table = streamTable(registers)
  }

  /** Registers were written. What is cached stays, until commands say otherwise. @throws `EINVAL` as the constructor does */
  load(registers: Smmuv3State): void {
    this.#table = streamTable(registers)
    this.#registers = registers
  }

  /** What becomes of one access. @throws `EINVAL` for ids and accesses that do not exist, `ERANGE` for an address beyond 64 bits */
  access(of: Transaction): Smmuv3Answer {
    checkIds(of)
    const { cr0 = SMMUEN, gbpa = 0n } = this.#registers
    if ((cr0 & SMMUEN) === 0n) return (gbpa & ABORT) === 0n ? bypass(of) : { type: 'abort', event: undefined }
    const config = this.#configs.get(of.sid)?.get(of.ssid ?? -1) ?? this.#fetch(of)
    if ('event' in config) return { type: 'abort', event: config.event }
    const access = overridden(of.access, config.ste)
    if (config.empty) return this.#abort(of, config, access, 'IN', EMPTY)
    if (config.mmu === undefined) return bypass(of)
    const paddr = config.mmu.access(of.iova, access)
    if (paddr !== -1n) return { type: 'translated', paddr, rights: config.mmu.rights, size: config.mmu.size }
    const fault = config.mmu.fault()
    if (fault === undefined) return { type: 'abort', event: undefined }
    // what stage 2 says by itself is of stage 2
    const alone = config.mmu === config.second
    return this.#abort(of, config, access, fault.onWalk ? 'TTD' : 'IN', alone ? { ...fault, stage: 2, ipa: of.iova } : fault)
  }

  /** One command of the queue, two words of 64 bits. @returns 0, or CERROR_ILL (1) for one that is not known */
  command(words: readonly bigint[]): number {
    return obey(words, { tlb: this.#tlb, tlb2: this.#tlb2, forget: (first, last, ssid) => this.#forget(first, last, ssid) })
  }

  #forget(first: number, last: number, ssid: number | undefined): void {
    for (const [sid, configs] of this.#configs) {
      if (sid < first || sid > last) continue
      if (ssid === undefined) configs.clear()
      else for (const one of ssid === 0 ? [0, -1] : [ssid]) configs.delete(one)
    }
  }

  #abort(of: Transaction, { records }: Config, access: number, cause: FaultClass, fault: MmuFault): Smmuv3Answer {
    const recorded = records[fault.stage - 1] ?? true
    const privileged = (access & Access.PRIVILEGED) !== 0
    return { type: 'abort', event: recorded ? faultEvent(of, { ...fault, privileged, access: kindOf(access) }, cause) : undefined }
  }

  #fetch(of: Transaction): Config | Refusal {
    const found = fetchSte(this.#table, this.#memory.read, of)
    if ('event' in found) return found
    const { raw } = found
    const config = ste(raw, 'Config')
    // 0b0xx: all transactions are terminated, without a record
    if (config < 4) return { event: undefined }
    if ((config & 1) === 0 && of.ssid !== undefined) return { event: streamEvent(EVENT.C_BAD_SUBSTREAMID, of) }
    const second = (config & 2) === 0 ? undefined : this.#second(raw, of)
    if (second !== undefined && 'event' in second) return second
    const substream = (config & 1) === 0 ? 'bypass' : substreamOf(raw, of)
    if (typeof substream === 'object') return substream
    const records = [true, ste(raw, 'S2R') === 1] as const
    const without = { mmu: second, second, ste: raw, records, empty: false }
    return this.#keep(of, substream === 'bypass' ? without : this.#first(raw, substream, second, of))
  }

  #keep(of: Transaction, config: Config | Refusal): Config | Refusal {
    if ('event' in config) return config
    let configs = this.#configs.get(of.sid)
    if (configs === undefined) this.#configs.set(of.sid, (configs = new Map()))
    configs.set(of.ssid ?? -1, config)
    return config
  }

  #second(raw: bigint, of: Transaction): Mmu | Refusal {
    const stage = smmuv3Stage2(raw)
    const bad = { event: streamEvent(EVENT.C_BAD_STE, of) }
    if (typeof stage === 'string') return bad
    const registers = ste(raw, 'S2AFFD') === 1 ? { ...stage.registers, vtcr: (stage.registers.vtcr as bigint) | VHA } : stage.registers
    return this.#mmu({ ...stage, registers }, { tlb: this.#tlb2, vmid: ste(raw, 'S2VMID') }) ?? bad
  }

  #first(raw: bigint, index: number, second: Mmu | undefined, of: Transaction): Config | Refusal {
    const records = ste(raw, 'S2R') === 1
    let lost: MmuFault | undefined
    const read: ReadMemory = (address, bytes) => {
      if (second === undefined) return this.#memory.read(address, bytes)
      const paddr = second.access(address, Access.READ)
      if (paddr !== -1n) return this.#memory.read(paddr, bytes)
      const fault = second.fault()
      lost ??= fault && { ...fault, stage: 2, ipa: address, access: kindOf(of.access), privileged: (of.access & Access.PRIVILEGED) !== 0 }
      return undefined
    }
    const found = fetchCd(raw, index, read, of)
    if (lost !== undefined) return { event: records ? faultEvent(of, lost, 'CD') : undefined }
    if ('event' in found) return found
    const stage = smmuv3Stage1(found.raw)
    const bad = { event: streamEvent(EVENT.C_BAD_CD, of) }
    if (typeof stage === 'string') return bad
    const { ttbr0, ttbr1 } = stage.registers
    const empty = ttbr0 === undefined && ttbr1 === undefined
    const space = { tlb: this.#tlb, asid: cd(found.raw, 'ASID'), vmid: ste(raw, 'S2VMID'), ...(second && { below: second }) }
    const mmu = empty ? undefined : this.#mmu(withAffd(stage, found.raw), space)
    if (mmu === undefined && !empty) return bad
    mmu?.setState({ PAN: cd(found.raw, 'PAN') === 1 })
    return { mmu, second, ste: raw, records: [cd(found.raw, 'R') === 1, records], empty }
  }

  /** Undefined where no hardware accepts the registers, or no format is given. */
  #mmu(
    { role, registers }: Stage,
    options: { readonly tlb: Tlb; readonly vmid: number; readonly asid?: number; readonly below?: Mmu },
  ): Mmu | undefined {
    const format = this.#formats[role]
    if (format === undefined) return undefined
    try {
      return new Mmu(format, { ...options, memory: this.#memory, registers })
    } catch (error) {
      if (error instanceof IoPgtableError) return undefined
      throw error
    }
  }
}

function withAffd(stage: Stage, raw: bigint): Stage {
  const { tcr } = stage.registers
  if (cd(raw, 'AFFD') === 0 || typeof tcr !== 'bigint') return stage
  return { ...stage, registers: { ...stage.registers, tcr: tcr | HA } }
}

/** Nothing is enabled: a translation fault of stage 1. */
const EMPTY: MmuFault = {
  ...{ type: 'translation', level: undefined, reason: 'EPD0 and EPD1 are set', stage: 1, iova: 0n, onWalk: false },
  ...{ access: 'read', privileged: false },
}

/** PRIVCFG and INSTCFG of the stream table entry: 2 and 3 override what the transaction says. Writes are data. */
function overridden(access: number, raw: bigint): number {
  const [privilege, instruction] = [ste(raw, 'PRIVCFG'), ste(raw, 'INSTCFG')]
  const party = privilege < 2 ? access & Access.PRIVILEGED : privilege === 3 ? Access.PRIVILEGED : 0
  const kind = access & ~Access.PRIVILEGED
  if (instruction < 2 || (kind & Access.WRITE) !== 0) return kind | party
  return (instruction === 3 ? Access.EXECUTE : Access.READ) | party
}

function kindOf(access: number): 'read' | 'write' | 'execute' {
  return (access & Access.WRITE) !== 0 ? 'write' : (access & Access.EXECUTE) !== 0 ? 'execute' : 'read'
}

function bypass({ iova }: Transaction): Smmuv3Answer {
  return { type: 'bypass', paddr: iova }
}

function checkIds({ sid, ssid, iova, access }: Transaction): void {
  const wrong = (name: string, value: number | bigint, expected: string): IoPgtableError =>
    new IoPgtableError(typeof value === 'bigint' ? 'ERANGE' : 'EINVAL', 'Smmuv3', `${name} ${hex(value)}: ${expected} expected`, { value })
  if (!Number.isInteger(sid) || sid < 0 || sid > 0xffff_ffff) throw wrong('sid', sid, '32 bits')
  if (ssid !== undefined && (!Number.isInteger(ssid) || ssid < 0 || ssid > 0xf_ffff)) throw wrong('ssid', ssid, '20 bits')
  if (typeof iova !== 'bigint' || BigInt.asUintN(64, iova) !== iova) throw wrong('iova', BigInt(iova), '64 bits')
  if (![1, 2, 3, 4].includes(access & 7) || (access & ~15) !== 0) throw wrong('access', access, 'one of Access')
}
