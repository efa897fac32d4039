/**
 * AMD's IOMMU as QEMU models it, and a driver for one device. AMD I/O Virtualization Technology (IOMMU) Specification, publication 48882:
 * 2.2.2 (device table), 2.4 (commands), 3.4 (registers).
 */
import type { AmdV1Regs } from '@io-pgtable/amdv1'
import { le64, type Machine, type QtestClient } from '../machine/index.ts'
import { Edu } from './edu.ts'
import { GuestHeap } from './heap.ts'
import { type Invalidate, tlbOf } from './invalidate.ts'
import type { Fault, Iommu, Stage } from './iommu.ts'
import { EDU_BAR, EDU_DEVICE, INTERRUPTS, startQ35 } from './q35.ts'
import { CommandRing } from './ring.ts'

const UNIT = 0xfed8_0000n
/** Registers (3.4). */
const DEVICE_TABLE_BASE = UNIT
const COMMAND_BASE = UNIT + 0x08n
const EVENT_LOG_BASE = UNIT + 0x10n
const CONTROL = UNIT + 0x18n
const COMMAND_HEAD = UNIT + 0x2000n
const COMMAND_TAIL = UNIT + 0x2008n
const EVENT_LOG_TAIL = UNIT + 0x2018n
/** IommuEn, EventLogEn, CmdBufEn. */
const ENABLE = 1n | (1n << 2n) | (1n << 12n)

const GIB = 1n << 30n
const MEMORY_GIB = 512n
const DOMAIN = 7n
/** 2^8 entries: the length's code in the base registers. */
const QUEUE = 256
const LENGTH = 8n << 56n
const DEVICE_TABLE_BYTES = 0x20_0000

/** Commands (2.4). */
const CMD = { INVALIDATE_DEVTAB_ENTRY: 2n << 60n, INVALIDATE_IOMMU_PAGES: 3n << 60n } as const
const EVERYTHING = 0x7fff_ffff_ffff_f000n
const S = 1n
const PDE = 2n

export class AmdVi implements Iommu {
  readonly machine: Machine
  readonly edu: Edu
  readonly device: number = EDU_DEVICE
  readonly tables: Iommu['tables'] = { base: 0x2000_0000n, size: 0x200_0000 }
  readonly targets: Iommu['targets'] = { first: 4n * GIB, last: MEMORY_GIB * GIB - 1n }
  readonly ignoresReach = true
  readonly reserved: NonNullable<Iommu['reserved']> = [INTERRUPTS]
  readonly scratch: bigint = 0x1000_0000n
  readonly #qtest: QtestClient
  readonly #ring: CommandRing
  readonly #entry: bigint

  private constructor(machine: Machine) {
    const qtest = machine.qtest
    const heap = new GuestHeap(qtest, 0x200_0000n)
    const [devices, commands, events] = [heap.take(DEVICE_TABLE_BYTES), heap.take(), heap.take()]
    this.machine = machine
    this.#qtest = qtest
    this.edu = new Edu(qtest, EDU_BAR)
    this.#entry = devices + BigInt(this.device * 32)
    this.#ring = new CommandRing(qtest, {
      base: commands,
      entries: QUEUE,
      entryBytes: 16,
      indices: QUEUE,
      ring: (index) => void qtest.writeq(COMMAND_TAIL, index * 16),
      // the model's head wraps with the next command, not when it reaches the end
      consumed: async () => (Number(await qtest.readq(COMMAND_HEAD)) / 16) % QUEUE,
    })
    void qtest.writeq(DEVICE_TABLE_BASE, devices | BigInt(DEVICE_TABLE_BYTES / 4096 - 1))
    void qtest.writeq(COMMAND_BASE, commands | LENGTH)
    void qtest.writeq(EVENT_LOG_BASE, events | LENGTH)
    void qtest.writeq(CONTROL, ENABLE)
  }

  static async start(): Promise<AmdVi> {
    // with pt=on, QEMU's default, devices are not translated at all
    return new AmdVi(await startQ35('amd-iommu,intremap=off,pt=off', MEMORY_GIB))
  }

  /** Host page tables of the device. */
  host(): Stage<AmdV1Regs> {
    const pages = (address: bigint): void => this.#ring.push(CMD.INVALIDATE_IOMMU_PAGES | (DOMAIN << 32n), address)
    const invalidate: Invalidate = {
      all: () => pages(EVERYTHING | S | PDE),
      page: (iova, granule, walk) => pages(pageWord(iova, granule, walk)),
    }
    return {
      tlb: tlbOf(invalidate, 'gather'),
      invalidateAll: invalidate.all,
      code: () => undefined,
      point: ({ dte }) => {
        void this.#qtest.write(this.#entry, le64(dte, DOMAIN, 0n, 0n))
        this.#ring.push(CMD.INVALIDATE_DEVTAB_ENTRY | BigInt(this.device))
      },
    }
  }

  /** The model logs errors of its own structures, not accesses that tables do not allow: any record is a surprise. */
  async faults(): Promise<readonly Fault[]> {
    await this.#ring.settled()
    const tail = Number(await this.#qtest.readq(EVENT_LOG_TAIL))
    const logged = (tail - this.#taken) / 16
    this.#taken = tail
    return Array.from({ length: logged }, () => ({ code: 0, address: 0n, device: 0, write: undefined }))
  }
  #taken = 0
}

/** 2.4.3: with S the lowest zero from bit 12 on codes the size. PDE: tables may have changed too. */
function pageWord(iova: bigint, granule: number, walk: boolean): bigint {
  const size = granule > 4096 ? S | (BigInt(granule / 2 - 1) & ~0xfffn) : 0n
  return iova | size | (walk ? PDE : 0n)
}
