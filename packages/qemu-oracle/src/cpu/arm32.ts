/** An ARMv7 CPU of QEMU with the guest in Hyp mode in it: short descriptors, long ones, and stage 2 below long ones. */
import { Machine } from '../machine/index.ts'
import { parAnswer32, tripAnswer32 } from './arm-par.ts'
import { ARM_GUEST, ARM_RAM, opsOf } from './arm64.ts'
import { A32_OP, A32_REGISTERS, type A32Register, a32Guest } from './guest-a32.ts'
import { GuestServer } from './guest-server.ts'
import { MAILBOX_OFFSET } from './mailbox.ts'
import { type Answer, isTranslation, type Question } from './question.ts'
import type { Ask } from './rules.ts'

/** SCTLR: the bits that are RES1, and M, TRE, AFE. */
const SCTLR = 0x00c5_0078n
export const SCTLR_BITS = { M: 0x1n, TRE: 0x1000_0000n, AFE: 0x2000_0000n } as const
/** Every domain is a client: its permissions are checked; or a manager: they are not. */
export const DACR = { clients: 0x5555_5555n, managers: 0xffff_ffffn } as const
const EAE = 1n << 31n
/** HCR: stage 2. */
const HCR_VM = 1n

export type A32Registers = Partial<Readonly<Record<A32Register, bigint>>>

const TRIPS = {
  'priv run': A32_OP.execPriv,
  'user run': A32_OP.execUser,
  'priv load': A32_OP.loadPriv,
  'priv store': A32_OP.storePriv,
} as const
const STAGE1 = {
  'priv read': A32_OP.s1PrivRead,
  'priv write': A32_OP.s1PrivWrite,
  'user read': A32_OP.s1UserRead,
  'user write': A32_OP.s1UserWrite,
  ...TRIPS,
} as const
const BOTH = {
  'priv read': A32_OP.s12PrivRead,
  'priv write': A32_OP.s12PrivWrite,
  'user read': A32_OP.s12UserRead,
  'user write': A32_OP.s12UserWrite,
  ...TRIPS,
} as const

export class Arm32 {
  readonly machine: Machine
  readonly #server: GuestServer

  private constructor(machine: Machine) {
    this.machine = machine
    this.#server = new GuestServer(machine, BigInt(ARM_GUEST + MAILBOX_OFFSET))
  }

  static async start(): Promise<Arm32> {
    const args = (file: (name: string) => string): readonly string[] => [
      ...['-M', 'virt,virtualization=on,highmem=on,memory-backend=ram', '-cpu', 'cortex-a15', ...ARM_RAM],
      ...['-device', `loader,file=${file('guest')},addr=0x${ARM_GUEST.toString(16)},cpu-num=0,force-raw=on`],
    ]
    return new Arm32(await Machine.start({ target: 'arm', args, files: { guest: a32Guest(ARM_GUEST) }, monitor: true }))
  }

  /** Stage 1 alone. `sctlr`: bits beside M. Addresses are the low 32 bits. */
  stage1({ sctlr = 0n, ...registers }: A32Registers): Ask {
    const all = { dacr: DACR.clients, ...registers, sctlr: SCTLR | SCTLR_BITS.M | sctlr }
    return (questions) => this.#ask(all, questions, STAGE1)
  }

  /** Both stages. The model cannot answer what stage 2 refuses: such accesses are to be done. */
  stages(registers: A32Registers): Ask {
    const all = { dacr: DACR.clients, ...registers, sctlr: SCTLR | SCTLR_BITS.M, hcr: HCR_VM }
    return (questions) => this.#ask(all, questions, BOTH)
  }

  stop(): Promise<void> {
    return this.machine.stop()
  }

  async #ask(registers: A32Registers, questions: readonly Question[], ops: typeof STAGE1 | typeof BOTH): Promise<readonly Answer[]> {
    const values = A32_REGISTERS.map((name) => registers[name] ?? 0n)
    const lpae = ((registers.ttbcr ?? 0n) & EAE) !== 0n
    const results = await this.#server.run(values, opsOf(questions, ops))
    return results.map(({ first }, i) => {
      const access = questions[i]?.access
      return access !== undefined && isTranslation(access) ? parAnswer32(first, lpae) : tripAnswer32(first)
    })
  }
}
