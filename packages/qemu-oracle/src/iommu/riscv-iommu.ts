/**
 * The RISC-V IOMMU as QEMU models it on PCI, and a driver for one device. RISC-V IOMMU Architecture Specification 1.0.1: chapter 3 (data
 * structures), 4.1 (commands), 4.2 (fault queue), chapter 6 (registers).
 */
import { hex, IoPgtableError } from '@io-pgtable/core'
import type { Riscv64Regs } from '@io-pgtable/riscv64'
import type { Riscv64GRegs } from '@io-pgtable/riscv64-g'
import { le32, le64, Machine, type QtestClient, word64 } from '../machine/index.ts'
import { Edu, enableEdu } from './edu.ts'
import { GuestHeap } from './heap.ts'
import { type Invalidate, tlbOf } from './invalidate.ts'
import type { Fault, Iommu, Stage } from './iommu.ts'
import { CommandRing } from './ring.ts'

const ECAM = 0x3000_0000n
const RAM = 0x8000_0000n
const GIB = 1n << 30n
const MEMORY_GIB = 1280n
const IOMMU_SLOT = 1
const EDU_SLOT = 2
const EDU_BAR = 0x4000_0000n
const UNIT = 0x4020_0000n

/** Registers (6). */
const CAPABILITIES = UNIT
const DDTP = UNIT + 16n
const CQB = UNIT + 24n
const CQH = UNIT + 32n
const CQT = UNIT + 36n
const FQB = UNIT + 40n
const FQH = UNIT + 48n
const FQT = UNIT + 52n
const CQCSR = UNIT + 72n
const FQCSR = UNIT + 76n
/** cmd_ill, cmd_to, cqmf of cqcsr. */
const CQCSR_ERRORS = 0x700n
const MSI_FLAT = 1n << 22n
const ONE_LEVEL = 2n

const QUEUE_LOG2 = 8n
const QUEUE = 256
const FAULTS_LOG2 = 7n
const FAULTS = 128

const PSCID = 3n
const GSCID = 5n

/** Commands (4.1): opcode and function. */
const CMD = { VMA: 1n, GVMA: 1n | (1n << 7n), IOFENCE: 2n, INVAL_DDT: 3n } as const
const AV = 1n << 10n
const PSCV = 1n << 32n
const GV = 1n << 33n
const DV = 1n << 33n

/** Causes (4.2): page faults, and those of the G-stage. */
const CAUSE = { read: 13, write: 15, guestRead: 21, guestWrite: 23 } as const

/** `wfi; j .-4` */
const PARKED = le32(0x1050_0073, 0xffdf_f06f)

export class RiscvIommu implements Iommu {
  readonly machine: Machine
  readonly edu: Edu
  readonly device: number = EDU_SLOT << 3
  readonly tables: Iommu['tables'] = { base: RAM + 0x2000_0000n, size: 0x200_0000 }
  readonly targets: Iommu['targets'] = { first: RAM + 2n * GIB, last: RAM + MEMORY_GIB * GIB - 1n }
  readonly recordsWalksAlone = true
  readonly scratch: bigint = RAM + 0x1000_0000n
  readonly #qtest: QtestClient
  readonly #ring: CommandRing
  readonly #context: bigint
  readonly #contextBytes: number
  readonly #faults: bigint
  #taken = 0

  private constructor(machine: Machine, capabilities: bigint) {
    const qtest = machine.qtest
    const heap = new GuestHeap(qtest, RAM + 0x200_0000n)
    const [contexts, commands, faults] = [heap.take(), heap.take(), heap.take()]
    this.machine = machine
    this.#qtest = qtest
    this.edu = new Edu(qtest, EDU_BAR)
    // 3.1: with flat MSI page tables a device context has 64 bytes
    this.#contextBytes = capabilities & MSI_FLAT ? 64 : 32
    this.#context = contexts + BigInt(this.device * this.#contextBytes)
    this.#faults = faults
    this.#ring = new CommandRing(qtest, {
      base: commands,
      entries: QUEUE,
      entryBytes: 16,
      indices: QUEUE,
      ring: (index) => void qtest.writel(CQT, index),
      consumed: () => this.#consumed(),
    })
    void qtest.writeq(CQB, (commands >> 2n) | (QUEUE_LOG2 - 1n))
    void qtest.writel(CQT, 0)
    void qtest.writel(CQCSR, 1)
    void qtest.writeq(FQB, (faults >> 2n) | (FAULTS_LOG2 - 1n))
    void qtest.writel(FQH, 0)
    void qtest.writel(FQCSR, 1)
    void qtest.writeq(DDTP, (contexts >> 2n) | ONE_LEVEL)
  }

  static async start(): Promise<RiscvIommu> {
    const memory = `${MEMORY_GIB}G`
    const machine = await Machine.start({
      target: 'riscv64',
      files: { park: PARKED },
      args: (file) => [
        ...[
          '-object',
          `memory-backend-memfd,id=ram,size=${memory},reserve=off`,
          '-m',
          memory,
          '-M',
          'virt,memory-backend=ram',
          '-bios',
          'none',
        ],
        ...['-device', `loader,file=${file('park')},addr=${hex(RAM)},force-raw=on`],
        ...['-device', `riscv-iommu-pci,addr=0${IOMMU_SLOT}.0`, '-device', `edu,addr=0${EDU_SLOT}.0,dma_mask=0xffffffffffffffff`],
      ],
    })
    const { qtest } = machine
    const config = ECAM + BigInt(IOMMU_SLOT << 15)
    void qtest.writel(config + 0x10n, UNIT)
    void qtest.writel(config + 0x14n, 0)
    void qtest.writew(config + 4n, 6)
    await enableEdu(qtest, ECAM + BigInt(EDU_SLOT << 15), EDU_BAR)
    return new RiscvIommu(machine, await qtest.readq(CAPABILITIES))
  }

  /** The first stage, with a Bare G-stage. */
  firstStage(): Stage<Riscv64Regs> {
    return this.#stage(
      {
        all: () => this.#command(CMD.VMA | PSCV | (PSCID << 12n)),
        page: (iova) => this.#command(CMD.VMA | PSCV | AV | (PSCID << 12n), iova >> 2n),
      },
      (write) => (write ? CAUSE.write : CAUSE.read),
      ({ satp }) => this.#write(1n, 0n, PSCID << 12n, satp),
    )
  }

  /** The G-stage, with a Bare first stage. */
  gStage(): Stage<Riscv64GRegs> {
    return this.#stage(
      {
        all: () => this.#command(CMD.GVMA | GV | (GSCID << 44n)),
        page: (iova) => this.#command(CMD.GVMA | GV | AV | (GSCID << 44n), iova >> 2n),
      },
      (write) => (write ? CAUSE.guestWrite : CAUSE.guestRead),
      ({ hgatp }) => this.#write(1n, hgatp | (GSCID << 44n), 0n, 0n),
    )
  }

  async faults(): Promise<readonly Fault[]> {
    await this.#ring.settled()
    const tail = Number(await this.#qtest.readl(FQT))
    const faults: Fault[] = []
    for (; this.#taken !== tail; this.#taken = (this.#taken + 1) % FAULTS) {
      const record = await this.#qtest.read(this.#faults + BigInt(this.#taken * 32), 32)
      const first = word64(record, 0)
      // the model's TTYP says "write" in every record; the cause tells
      faults.push({ code: Number(first & 0xfffn), address: word64(record, 16), device: Number(first >> 40n), write: undefined })
    }
    void this.#qtest.writel(FQH, tail)
    return faults
  }

  #stage<R>(invalidate: Invalidate, code: (write: boolean) => number, point: (regs: R) => void): Stage<R> {
    return { tlb: tlbOf(invalidate, 'gather'), invalidateAll: () => invalidate.all(), code: (_, write) => code(write), point }
  }

  #command(...words: readonly bigint[]): void {
    this.#ring.push(...words)
    this.#ring.push(CMD.IOFENCE)
  }

  /** A device context: tc, iohgatp, ta, fsc (3.1.3). */
  #write(...words: readonly bigint[]): void {
    const size = this.#contextBytes / 8
    void this.#qtest.write(this.#context, le64(...words, ...Array<bigint>(size - words.length).fill(0n)))
    this.#command(CMD.INVAL_DDT | DV | (BigInt(this.device) << 40n))
  }

  async #consumed(): Promise<number> {
    const status = await this.#qtest.readl(CQCSR)
    if ((status & CQCSR_ERRORS) !== 0n) throw new IoPgtableError('EFAULT', 'cqcsr', `a command fails: ${hex(status)}`, { value: status })
    return Number(await this.#qtest.readl(CQH))
  }
}
