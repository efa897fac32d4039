/**
 * Intel's VT-d as QEMU models it, and a driver for one device. Intel Virtualization Technology for Directed I/O, Architecture Specification
 * (revision 4.1): chapter 6.5.2 (queued invalidation), 7.1 (faults), chapter 9 (structures), chapter 11 (registers).
 */
import { hex, IoPgtableError } from '@io-pgtable/core'
import type { VtdSsRegs } from '@io-pgtable/vtdss'
import type { X8664Regs } from '@io-pgtable/x86-64'
import { le64, type Machine, type QtestClient } from '../machine/index.ts'
import { Edu } from './edu.ts'
import { GuestHeap } from './heap.ts'
import { type Invalidate, tlbOf } from './invalidate.ts'
import type { Fault, Iommu, Stage } from './iommu.ts'
import { EDU_BAR, EDU_DEVICE, INTERRUPTS, startQ35 } from './q35.ts'
import { CommandRing } from './ring.ts'

/** Legacy: root and context entries. Scalable: PASID entries, whose first or second stage translates. */
export type VtdMode = 'legacy' | 'scalable, second stage' | 'scalable, first stage'

const UNIT = 0xfed9_0000n
/** Registers (11.4). */
const CAP = UNIT + 0x08n
const GCMD = UNIT + 0x18n
const RTADDR = UNIT + 0x20n
const FSTS = UNIT + 0x34n
const IQH = UNIT + 0x80n
const IQT = UNIT + 0x88n
const IQA = UNIT + 0x90n
const SET_ROOT = 0x4000_0000
const TRANSLATE = 0x8000_0000
const QUEUED = 0x0400_0000
const FSTS_ERRORS = 0x70n

const GIB = 1n << 30n
/** Below 2^39: with 39 address bits the model takes higher physical addresses for reserved bits. */
const MEMORY_GIB = 256n
const DOMAIN = 7n
const QUEUE = 256

/** Fault reasons (7.1.3, tables of fault conditions). */
const REASON = {
  beyondWidth: 0x04,
  secondWrite: 0x05,
  secondRead: 0x06,
  firstNotPresent: 0x71,
  notCanonical: 0x80,
  firstWrite: 0x85,
  firstRead: 0x86,
} as const

export class Vtd implements Iommu {
  readonly machine: Machine
  readonly mode: VtdMode
  readonly edu: Edu
  readonly device: number = EDU_DEVICE
  readonly tables: Iommu['tables'] = { base: 0x2000_0000n, size: 0x200_0000 }
  readonly targets: Iommu['targets'] = { first: 4n * GIB, last: MEMORY_GIB * GIB - 1n }
  readonly recordsWalksAlone = true
  readonly reserved: NonNullable<Iommu['reserved']> = [INTERRUPTS]
  readonly scratch: bigint = 0x1000_0000n
  readonly #qtest: QtestClient
  readonly #ring: CommandRing
  /** Where the entry of the device is: a context entry, or a PASID entry. */
  readonly #entry: bigint
  /** The first fault recording register. */
  readonly #records: bigint
  readonly #recordCount: number

  private constructor(machine: Machine, mode: VtdMode, cap: bigint) {
    const qtest = machine.qtest
    const heap = new GuestHeap(qtest, 0x200_0000n)
    const [root, context, queue] = [heap.take(), heap.take(), heap.take(QUEUE * 32)]
    // 6.5.2: scalable mode with first-stage tables wants descriptors of 256 bits here; with 128 bits an IQA without DW
    const wide = mode === 'scalable, first stage'
    this.machine = machine
    this.mode = mode
    this.#qtest = qtest
    this.edu = new Edu(qtest, EDU_BAR)
    this.#records = UNIT + ((cap >> 24n) & 0x3ffn) * 16n
    this.#recordCount = Number((cap >> 40n) & 0xffn) + 1
    const entryBytes = wide ? 32 : 16
    this.#ring = new CommandRing(qtest, {
      base: queue,
      entries: QUEUE,
      entryBytes,
      indices: QUEUE,
      ring: (index) => void qtest.writeq(IQT, index * entryBytes),
      consumed: () => this.#consumed(entryBytes),
    })
    this.#entry = mode === 'legacy' ? context + BigInt(this.device * 16) : this.#pasid(heap, context)
    void qtest.writeq(root, context | 1n)
    void qtest.writeq(RTADDR, root | (mode === 'legacy' ? 0n : 1n << 10n))
    void qtest.writel(GCMD, SET_ROOT)
    // QS: 2^QS pages; 256 entries of 16 bytes are one page, of 32 bytes two
    void qtest.writeq(IQA, queue | (wide ? (1n << 11n) | 1n : 0n))
    void qtest.writeq(IQT, 0)
    void qtest.writel(GCMD, TRANSLATE | QUEUED)
  }

  static async start(mode: VtdMode, addressBits: 39 | 48): Promise<Vtd> {
    const scalable = mode === 'legacy' ? '' : ',x-scalable-mode=on'
    const first = mode === 'scalable, first stage' ? ',x-flts=on' : ''
    const iommu = `intel-iommu,intremap=off,aw-bits=${addressBits}${scalable}${first}`
    const machine = await startQ35(iommu, MEMORY_GIB, ',kernel-irqchip=split')
    return new Vtd(machine, mode, await machine.qtest.readq(CAP))
  }

  /** Second-stage tables, by a context entry or a PASID entry. */
  secondStage(): Stage<VtdSsRegs> {
    const legacy = this.mode === 'legacy'
    return {
      ...this.#invalidation({
        // 6.5.2.3: the IOTLB, by domain, and by page
        all: () => this.#ring.push(2n | (2n << 4n) | (DOMAIN << 16n)),
        page: (iova, granule, walk) => this.#ring.push(2n | (3n << 4n) | (DOMAIN << 16n), pageWord(iova, granule, walk)),
      }),
      code: (cause, write) => (cause === 'beyond' ? REASON.beyondWidth : write ? REASON.secondWrite : REASON.secondRead),
      point: ({ ssptptr, aw }) => {
        // 9.3: P, SSPTPTR; AW, DID. 9.6: P, AW, PGTT second stage, SSPTPTR; DID
        if (legacy) this.#write(ssptptr | 1n, BigInt(aw) | (DOMAIN << 8n))
        else this.#write(1n | (BigInt(aw) << 2n) | (2n << 6n) | ssptptr, DOMAIN)
      },
    }
  }

  /** First-stage tables, by a PASID entry. */
  firstStage(): Stage<X8664Regs> {
    return {
      ...this.#invalidation({
        // 6.5.2.4: the IOTLB by PASID, all of it, and by page
        all: () => this.#ring.push(6n | (2n << 4n) | (DOMAIN << 16n)),
        page: (iova, granule, walk) => this.#ring.push(6n | (3n << 4n) | (DOMAIN << 16n), pageWord(iova, granule, walk)),
      }),
      code: (cause, write) => {
        if (cause === 'unmapped') return REASON.firstNotPresent
        return cause === 'beyond' ? REASON.notCanonical : write ? REASON.firstWrite : REASON.firstRead
      },
      // 9.6: P, AW, PGTT first stage; DID; FSPTPTR, FSPM (0: four levels)
      point: ({ cr3, levels }) => this.#write(1n | (2n << 2n) | (1n << 6n), DOMAIN, cr3 | (levels === 5 ? 1n << 2n : 0n)),
    }
  }

  async faults(): Promise<readonly Fault[]> {
    await this.#ring.settled()
    const faults: Fault[] = []
    for (let i = 0; i < this.#recordCount; i++) {
      const at = this.#records + BigInt(16 * i)
      const high = await this.#qtest.readq(at + 8n)
      if (high >> 63n === 0n) continue
      const address = await this.#qtest.readq(at)
      faults.push({ code: Number((high >> 32n) & 0xffn), address, device: Number(high & 0xffffn), write: ((high >> 62n) & 1n) === 0n })
      // F is cleared by writing 1
      void this.#qtest.writel(at + 12n, 0x8000_0000)
    }
    if (faults.length > 0) void this.#qtest.writel(FSTS, 0xff)
    return faults
  }

  #invalidation(invalidate: Invalidate): Pick<Stage<unknown>, 'tlb' | 'invalidateAll'> {
    return { tlb: tlbOf(invalidate, 'gather'), invalidateAll: () => invalidate.all() }
  }

  /** A scalable context entry, a PASID directory and a PASID table (9.4 to 9.6); requests without PASID use entry 0. */
  #pasid(heap: GuestHeap, context: bigint): bigint {
    const [directory, table] = [heap.take(), heap.take()]
    void this.#qtest.writeq(context + BigInt(this.device * 32), directory | 1n)
    void this.#qtest.writeq(directory, table | 1n)
    return table
  }

  /** The device's entry; then the unit forgets context entries and PASID entries. */
  #write(...words: readonly bigint[]): void {
    const size = this.mode === 'legacy' ? 2 : 8
    void this.#qtest.write(this.#entry, le64(...words, ...Array<bigint>(size - words.length).fill(0n)))
    this.#ring.push(1n | (1n << 4n))
    if (this.mode !== 'legacy') this.#ring.push(7n | (3n << 4n))
  }

  async #consumed(entryBytes: number): Promise<number> {
    const status = await this.#qtest.readl(FSTS)
    if ((status & FSTS_ERRORS) !== 0n)
      throw new IoPgtableError('EFAULT', 'FSTS', `an invalidation fails: ${hex(status)}`, { value: status })
    return Number(await this.#qtest.readq(IQH)) / entryBytes
  }
}

/** ADDR, IH (only leaves have changed), AM: the range's size as a power of two of pages. */
function pageWord(iova: bigint, granule: number, walk: boolean): bigint {
  return iova | (walk ? 0n : 1n << 6n) | BigInt(Math.log2(granule / 4096))
}
