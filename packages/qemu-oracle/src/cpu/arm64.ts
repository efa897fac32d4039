/** AArch64 CPUs of QEMU with the guest at EL2 in them. */
import { Machine } from '../machine/index.ts'
import { parAnswer64, tripAnswer64 } from './arm-par.ts'
import { A64_OP, A64_REGISTERS, type A64Register, a64Guest } from './guest-a64.ts'
import { GuestServer } from './guest-server.ts'
import { type GuestRequest, type GuestResult, MAILBOX_OFFSET } from './mailbox.ts'
import { type Access, type Answer, isTranslation, type Question } from './question.ts'
import type { Ask } from './rules.ts'

/** RAM begins at 1 GiB; the first pages of it hold the device tree. */
export const ARM_GUEST = 0x4020_0000
/** Vectors of EL1, or the code of accesses; and what mappings may point to that is to be executed, read and written. */
export const ARM_VECTORS = 0x4100_0000n
export const ARM_TARGETS = { first: 0x6000_0000n, last: 0xbfff_ffffn } as const

/** Where tables go: as high as output addresses and RAM reach, for the address bits of table descriptors and TTBR. */
export function armTables(oas: number): { readonly base: bigint; readonly size: number } {
  return { base: oas >= 40 ? 0x40_0000_0000n : oas >= 36 ? 0x8_0000_0000n : 0x4800_0000n, size: 0x0c00_0000 }
}

/** What no run on these models shows. */
export const ARM_LIMITS: readonly string[] = [
  'tables lie below 2^39, where there is RAM: higher bits of table addresses, in descriptors and registers, are zero',
  'the contiguous hint is accepted and ignored; cacheability and shareability of walks do nothing',
]

/** RAM that is not committed: 400 GiB. More than that, with devices above it, is beyond the 40 bits of an ARMv7 CPU. */
export const ARM_RAM: readonly string[] = ['-m', '400G', '-object', 'memory-backend-ram,id=ram,size=400G,reserve=off']

/** SCTLR_EL1: the bits that are RES1, and M. */
const SCTLR_OFF = 0x30d0_0800n
const SCTLR_ON = SCTLR_OFF | 1n
/** HCR_EL2: EL1 is AArch64; stage 2; stage 1 off, and its memory Write-Back. */
const HCR = { RW: 1n << 31n, VM: 1n << 0n, DC: 1n << 12n } as const

/** TCR_EL1.EPD0 and EPD1: no walks of that half. */
export const TCR_EPD = { epd0: 0x80n, epd1: 0x80_0000n } as const
/** TCR_EL1.HA and HD: the walker sets access and dirty flags (FEAT_HAFDBS). */
export const TCR_HA_HD: bigint = 3n << 39n
/** HCR_EL2.FWB: FEAT_S2FWB is in force. */
export const HCR_FWB: bigint = 1n << 46n

export type A64Registers = Partial<Readonly<Record<A64Register, bigint>>>

/** A machine with the guest in it. */
export class Arm64 {
  readonly machine: Machine
  readonly #server: GuestServer

  private constructor(machine: Machine) {
    this.machine = machine
    this.#server = new GuestServer(machine, BigInt(ARM_GUEST + MAILBOX_OFFSET))
  }

  /** @param cpu QEMU's name: `max` has FEAT_LPA2, FEAT_LVA, FEAT_LPA and FEAT_XNX, `cortex-a57` none of them */
  static async start(cpu: string): Promise<Arm64> {
    const args = (file: (name: string) => string): readonly string[] => [
      ...['-M', 'virt,virtualization=on,memory-backend=ram', '-cpu', cpu, ...ARM_RAM],
      ...['-device', `loader,file=${file('guest')},addr=0x${ARM_GUEST.toString(16)},cpu-num=0,force-raw=on`],
    ]
    return new Arm64(await Machine.start({ target: 'aarch64', args, files: { guest: a64Guest(ARM_GUEST) }, monitor: true }))
  }

  run(registers: A64Registers, requests: readonly GuestRequest[]): Promise<readonly GuestResult[]> {
    const values = A64_REGISTERS.map((name) => registers[name] ?? 0n)
    return this.#server.run(values, requests)
  }

  /** Stage 1 alone. */
  stage1(registers: A64Registers): Ask {
    return (questions) => this.#ask({ sctlr: SCTLR_ON, hcr: HCR.RW, ...registers }, questions, STAGE1)
  }

  /** Stage 2 alone: stage 1 is off, and its memory Write-Back. The model cannot answer an AT that stage 2 refuses: those are to be done. */
  stage2(registers: A64Registers): Ask {
    const all = { sctlr: SCTLR_OFF, ...registers, hcr: HCR.RW | HCR.VM | HCR.DC | (registers.hcr ?? 0n) }
    return (questions) => this.#ask(all, questions, STAGE2)
  }

  async #ask(registers: A64Registers, questions: readonly Question[], ops: Ops): Promise<readonly Answer[]> {
    const results = await this.run(registers, opsOf(questions, ops))
    return results.map(({ first, second }, i) => {
      const access = questions[i]?.access
      return access !== undefined && isTranslation(access) ? parAnswer64(first) : tripAnswer64(first, second)
    })
  }

  stop(): Promise<void> {
    return this.machine.stop()
  }
}

type Ops = Readonly<Partial<Record<Access, number>>>

const TRIPS: Ops = {
  'priv run': A64_OP.execEl1,
  'user run': A64_OP.execEl0,
  'priv load': A64_OP.loadEl1,
  'priv store': A64_OP.storeEl1,
}
const STAGE1: Ops = {
  'priv read': A64_OP.s1e1r,
  'priv write': A64_OP.s1e1w,
  'user read': A64_OP.s1e0r,
  'user write': A64_OP.s1e0w,
  ...TRIPS,
}
const STAGE2: Ops = {
  'priv read': A64_OP.s12e1r,
  'priv write': A64_OP.s12e1w,
  'user read': A64_OP.s12e0r,
  'user write': A64_OP.s12e0w,
  ...TRIPS,
}

/** The operation of each question. */
export function opsOf(questions: readonly Question[], ops: Ops): readonly GuestRequest[] {
  return questions.map(({ iova, access }) => {
    const op = ops[access]
    if (op === undefined) throw new Error(`no operation for ${access}`)
    return { address: iova, op }
  })
}
