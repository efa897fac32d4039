/**
 * SMMUv3 of QEMU's `virt` machine, and a driver for one stream of it. Arm System Memory Management Unit Architecture Specification, SMMU
 * architecture version 3 (IHI 0070): chapter 4 (commands), 5.2 (STE), 5.4 (CD), 6.3 (registers), 7.3 (events).
 */
import type { ArmLpaeS1Regs } from '@io-pgtable/arm64-lpae-s1'
import type { ArmLpaeS2Regs } from '@io-pgtable/arm64-lpae-s2'
import { hex, IoPgtableError } from '@io-pgtable/core'
import { le32, le64, Machine, type QtestClient, word64 } from '../machine/index.ts'
import { Edu, enableEdu } from './edu.ts'
import { GuestHeap } from './heap.ts'
import { type Invalidate, type TlbStyle, tlbOf } from './invalidate.ts'
import type { Cause, Fault, Iommu, Stage } from './iommu.ts'
import { CommandRing } from './ring.ts'

/** The machine's memory map. */
const SMMU = 0x0905_0000n
const ECAM = 0x3f00_0000n
const BAR = 0x1000_0000n
const RAM = 0x4000_0000n
const PARK = RAM + 0x20_0000n
const GIB = 1n << 30n
const MEMORY_GIB = 1280n
const EDU_SLOT = 2

/** Registers (6.3). */
const CR0 = SMMU + 0x20n
const STRTAB_BASE = SMMU + 0x80n
const STRTAB_BASE_CFG = SMMU + 0x88n
const CMDQ_BASE = SMMU + 0x90n
const CMDQ_PROD = SMMU + 0x98n
const CMDQ_CONS = SMMU + 0x9cn
const EVENTQ_BASE = SMMU + 0xa0n
const EVENTQ_PROD = SMMU + 0x100a8n
const EVENTQ_CONS = SMMU + 0x100acn
const SMMUEN = 1
const EVENTQEN = 4
const CMDQEN = 8

const QUEUE_LOG2 = 8
const QUEUE = 1 << QUEUE_LOG2

/** Commands (4.1.1). */
const CMD = { CFGI_ALL: 0x04n, TLBI_NH_ASID: 0x11n, TLBI_NH_VA: 0x12n, TLBI_S12_VMALL: 0x28n, TLBI_S2_IPA: 0x2an, SYNC: 0x46n } as const
const LEAF = 1n
const ASID = 1n
const VMID = 1n

/** SMMU_IDR5.OAS of the model. */
const ADDRESS_BITS = 44

/** Events (7.3). */
const F_TRANSLATION = 0x10
const F_PERMISSION = 0x13

/** `wfi; b .-4`: the CPU has nothing to do. */
const PARKED = le32(0xd503_207f, 0x17ff_ffff)

export class SmmuV3 implements Iommu {
  readonly machine: Machine
  readonly edu: Edu
  readonly device: number = EDU_SLOT << 3
  readonly tables: Iommu['tables'] = { base: RAM + 0x2000_0000n, size: 0x400_0000 }
  readonly targets: Iommu['targets'] = { first: RAM + 3n * GIB, last: RAM + MEMORY_GIB * GIB - 1n }
  readonly scratch: bigint = RAM + 0x1000_0000n
  readonly #qtest: QtestClient
  readonly #ring: CommandRing
  readonly #ste: bigint
  readonly #cd: bigint
  readonly #events: bigint
  /** The index of the next event. */
  #taken = 0

  private constructor(machine: Machine) {
    const qtest = machine.qtest
    const heap = new GuestHeap(qtest, RAM + 0x100_0000n)
    const streams = heap.take(0x4000)
    const commands = heap.take(QUEUE * 16)
    this.machine = machine
    this.#qtest = qtest
    this.edu = new Edu(qtest, BAR)
    this.#ste = streams + BigInt(this.device * 64)
    this.#cd = heap.take()
    this.#events = heap.take(QUEUE * 32)
    this.#ring = new CommandRing(qtest, {
      base: commands,
      entries: QUEUE,
      entryBytes: 16,
      indices: 2 * QUEUE,
      ring: (index) => void qtest.writel(CMDQ_PROD, index),
      consumed: () => this.#consumed(),
    })
    void qtest.writeq(STRTAB_BASE, streams)
    void qtest.writel(STRTAB_BASE_CFG, QUEUE_LOG2)
    void qtest.writeq(CMDQ_BASE, commands | BigInt(QUEUE_LOG2))
    void qtest.writeq(EVENTQ_BASE, this.#events | BigInt(QUEUE_LOG2))
    void qtest.writel(CR0, CMDQEN | EVENTQEN | SMMUEN)
  }

  static async start(): Promise<SmmuV3> {
    const memory = `${MEMORY_GIB}G`
    const machine = await Machine.start({
      target: 'aarch64',
      files: { park: PARKED },
      args: (file) => [
        ...['-object', `memory-backend-memfd,id=ram,size=${memory},reserve=off`, '-m', memory, '-cpu', 'cortex-a57'],
        ...['-M', 'virt,iommu=smmuv3,highmem-ecam=off,memory-backend=ram'],
        ...['-device', `loader,file=${file('park')},addr=${hex(PARK)},cpu-num=0,force-raw=on`],
        ...['-device', `edu,addr=0${EDU_SLOT}.0,dma_mask=0xffffffffffffffff`],
      ],
    })
    await enableEdu(machine.qtest, ECAM + BigInt(EDU_SLOT << 15), BAR)
    return new SmmuV3(machine)
  }

  /** Stage 1 of the device's stream; TTB0, or TTB1 for tables of the top of the address space. */
  stage1(half: 'ttb0' | 'ttb1', style: TlbStyle): Stage<ArmLpaeS1Regs> {
    const invalidateAll = (): void => this.#command(CMD.TLBI_NH_ASID | (ASID << 48n))
    const page: Invalidate['page'] = (iova, _, walk) => this.#command(CMD.TLBI_NH_VA | (ASID << 48n), walk ? iova : iova | LEAF)
    return {
      tlb: tlbOf({ all: invalidateAll, page }, style),
      invalidateAll,
      code,
      point: (regs) => {
        void this.#qtest.write(this.#cd, contextDescriptor(regs, half))
        // Config: stage 1; S1CIR, S1COR, S1CSH: the descriptor's fetch is write-back, inner shareable
        this.#entry(1n | (5n << 1n) | this.#cd, (1n << 2n) | (1n << 4n) | (3n << 6n))
      },
    }
  }

  /** Stage 2 of the device's stream. */
  stage2(style: TlbStyle): Stage<ArmLpaeS2Regs> {
    const invalidateAll = (): void => this.#command(CMD.TLBI_S12_VMALL | (VMID << 32n))
    const page: Invalidate['page'] = (iova, _, walk) => this.#command(CMD.TLBI_S2_IPA | (VMID << 32n), walk ? iova : iova | LEAF)
    let bits = 0
    return {
      tlb: tlbOf({ all: invalidateAll, page }, style),
      invalidateAll,
      // of addresses that are no intermediate physical ones the model makes no record
      code: (cause) => (cause === 'beyond' && bits >= ADDRESS_BITS ? undefined : code(cause)),
      point: ({ vtcr, vttbr }) => {
        bits = 64 - vtcr.tsz
        this.#entry(1n | (6n << 1n), 0n, stage2Word(vtcr), vttbr)
      },
    }
  }

  async faults(): Promise<readonly Fault[]> {
    await this.#ring.settled()
    const end = Number(await this.#qtest.readl(EVENTQ_PROD)) & (2 * QUEUE - 1)
    const faults: Fault[] = []
    for (let at = this.#taken; at !== end; at = (at + 1) % (2 * QUEUE)) {
      const record = await this.#qtest.read(this.#events + BigInt((at % QUEUE) * 32), 32)
      const controls = word64(record, 8)
      const device = Number(word64(record, 0) >> 32n)
      // 7.3.12: RnW is bit 99 of the record
      faults.push({ code: record[0] ?? 0, device, address: word64(record, 16), write: ((controls >> 35n) & 1n) === 0n })
    }
    this.#taken = end
    void this.#qtest.writel(EVENTQ_CONS, end)
    return faults
  }

  #command(...words: readonly bigint[]): void {
    this.#ring.push(...words)
    this.#ring.push(CMD.SYNC)
  }

  /** Writes the stream table entry, and lets the SMMU forget what it knew of the old one. */
  #entry(...words: readonly bigint[]): void {
    void this.#qtest.write(this.#ste, le64(...words, ...Array<bigint>(8 - words.length).fill(0n)))
    // 4.3.5: CFGI_ALL is CFGI_STE_RANGE with a range of 31
    this.#command(CMD.CFGI_ALL, 31n)
  }

  async #consumed(): Promise<number> {
    const cons = Number(await this.#qtest.readl(CMDQ_CONS))
    const error = (cons >>> 24) & 0x7f
    if (error !== 0) throw new IoPgtableError('EFAULT', 'CMDQ_CONS', `the SMMU refuses a command: ${hex(error)}`, { value: error })
    return cons & (2 * QUEUE - 1)
  }
}

function code(cause: Cause): number {
  return cause === 'denied' ? F_PERMISSION : F_TRANSLATION
}

/** 5.4: the fields of TCR have other places there; the half that is not ours is disabled (EPD). */
function contextDescriptor({ ttbr, tcr, mair }: ArmLpaeS1Regs, half: 'ttb0' | 'ttb1'): Uint8Array {
  const { tsz, tg, irgn, orgn, sh, ips } = tcr
  const walk = BigInt(tsz | (tg << 6) | (irgn << 8) | (orgn << 10) | (sh << 12))
  const [EPD0, EPD1] = [1n << 14n, 1n << 30n]
  const halves = half === 'ttb0' ? walk | EPD1 : EPD0 | (walk << 16n)
  // V, IPS, AA64, R (faults are recorded), A (they abort), ASET
  const controls = (1n << 31n) | (BigInt(ips) << 32n) | (1n << 41n) | (1n << 45n) | (1n << 46n) | (1n << 47n) | (ASID << 48n)
  return le64(halves | controls, half === 'ttb0' ? ttbr : 0n, half === 'ttb1' ? ttbr : 0n, mair, 0n, 0n, 0n, 0n)
}

/** 5.2: S2VMID, S2T0SZ, S2SL0, S2IR0, S2OR0, S2SH0, S2TG, S2PS, S2AA64, S2R. */
function stage2Word({ tsz, sl, irgn, orgn, sh, tg, ps }: ArmLpaeS2Regs['vtcr']): bigint {
  const fields = tsz | (sl << 6) | (irgn << 8) | (orgn << 10) | (sh << 12) | (tg << 14) | (ps << 16)
  return VMID | (BigInt(fields) << 32n) | (1n << 51n) | (1n << 58n)
}
