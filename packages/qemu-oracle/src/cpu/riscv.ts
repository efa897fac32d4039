/** RISC-V CPUs of QEMU: a guest in M-mode that loads, stores and runs with the privilege of S and U, and the monitor's `gva2gpa` for addresses where there is no memory. */
import { type AnyFmt, fieldValue, type Geometry, type IoPageTable, Prot } from '@io-pgtable/core'
import { Machine } from '../machine/index.ts'
import { MSTATUS, RV_OP, RV_REGISTERS, rvGuest, rvLandmark, SOFTWARE_INTERRUPT } from './guest-rv.ts'
import { GuestServer } from './guest-server.ts'
import { guestPhysical } from './gva2gpa.ts'
import { RUN } from './lpae.ts'
import { type GuestRequest, type GuestResult, MAILBOX_OFFSET } from './mailbox.ts'
import type { PhysicalRange } from './mappings.ts'
import { type Access, type Answer, isRun, isUser, isWrite, type Question } from './question.ts'
import { type Ask, type Flip, fieldBits, type Rules, type Scramble } from './rules.ts'
import { ECALL } from './rv.ts'
import { CODE_OFFSET, PLACE_BYTES, taggedAddress, tagOf } from './tags.ts'

/** RAM begins here, and the guest stands there. */
const RAM = 0x8000_0000
const MB = 0x10_0000n

/** What RV64 and RV32 of `-M virt` have. RV32 takes 10 GiB of RAM at most. */
const MACHINES = {
  64: { target: 'riscv64', gigabytes: 32n },
  32: { target: 'riscv32', gigabytes: 10n },
} as const

/** `menvcfg` and `hgatp` are RV64's alone. With `hgatp` accesses are those of a guest, whose own translation is off. */
export type RvRegisters = Partial<Readonly<Record<(typeof RV_REGISTERS)[number], bigint>>>
/** menvcfg.PBMTE: Svpbmt. */
export const PBMTE: bigint = 1n << 62n

export class RiscV {
  readonly machine: Machine
  readonly #server: GuestServer
  readonly #bits: 32 | 64

  private constructor(machine: Machine, bits: 32 | 64) {
    this.machine = machine
    this.#bits = bits
    this.#server = new GuestServer(machine, BigInt(RAM + MAILBOX_OFFSET))
  }

  /** Where tables go, near the end of RAM, and to what mappings may point, below: of the RAM that output addresses reach. */
  memory(oas: number): { readonly tables: { readonly base: bigint; readonly size: number }; readonly targets: PhysicalRange } {
    const end = BigInt(RAM) + MACHINES[this.#bits].gigabytes * 1024n * MB
    const top = end < 1n << BigInt(oas) ? end : 1n << BigInt(oas)
    const tables = { base: top - 256n * MB, size: 64 * Number(MB) }
    return { tables, targets: { first: BigInt(RAM) + 16n * MB, last: tables.base - 1n } }
  }

  static async start(bits: 32 | 64): Promise<RiscV> {
    const { target, gigabytes } = MACHINES[bits]
    const args = (file: (name: string) => string): readonly string[] => [
      ...['-M', 'virt,memory-backend=ram', '-cpu', 'max,svade=on,svadu=off', '-m', `${gigabytes}G`, '-bios', 'none'],
      ...['-object', `memory-backend-ram,id=ram,size=${gigabytes}G,reserve=off`],
      ...['-device', `loader,file=${file('guest')},addr=0x${RAM.toString(16)},force-raw=on`],
    ]
    return new RiscV(await Machine.start({ target, args, files: { guest: rvGuest(bits, RAM) }, monitor: true }), bits)
  }

  /** Writes tags and code at those physical addresses that are targets. */
  tag(paddrs: readonly bigint[], { first, last }: PhysicalRange): void {
    for (const paddr of paddrs.filter((at) => at >= first && at <= last)) {
      void this.machine.qtest.writeq(paddr, tagOf(paddr))
      void this.machine.qtest.write(paddr + CODE_OFFSET, rvLandmark())
    }
  }

  /** Accesses that are done, of places that have tags. */
  access(registers: RvRegisters): Ask {
    return async (questions) => {
      const guest = registers.hgatp !== undefined
      const requests = questions.map((question) => requestOf(question, guest))
      const results = await this.#server.run(valuesOf(registers), requests)
      return results.map((result, i) => this.#answer(questions[i], result, guest))
    }
  }

  /** Translations that the monitor asks for: reads. */
  monitor(registers: RvRegisters): Ask {
    return async (questions) => {
      const answers: Answer[] = []
      for (const user of [false, true]) {
        const asked = questions.filter(({ access }) => isUser(access) === user)
        const found = asked.length === 0 ? [] : await this.#parked(registers, user, asked)
        for (const [i, answer] of found.entries()) answers[questions.indexOf(asked[i] ?? { iova: 0n, access: 'priv read' })] = answer
      }
      return answers
    }
  }

  stop(): Promise<void> {
    return this.machine.stop()
  }

  async #parked(registers: RvRegisters, user: boolean, questions: readonly Question[]): Promise<readonly Answer[]> {
    const { monitor } = this.machine
    const park = { address: 0n, op: RV_OP.park, arg: privilege(user) | MSTATUS.MPRV | MSTATUS.MIE }
    const body = async (): Promise<readonly Answer[]> => {
      // the guest has read its request, but needs some instructions more
      while (!/mstatus\s+[0-9a-f]*[2367abef][0-9a-f]{4}\b/.test(await monitor.human('info registers')));
      return guestPhysical(monitor, questions)
    }
    const interrupt = (level: 0 | 1): Promise<string> => this.machine.qtest.writel(SOFTWARE_INTERRUPT, level)
    const answers = await this.#server.during(valuesOf(registers), park, body, () => interrupt(1))
    await interrupt(0)
    return answers
  }

  #answer(question: Question | undefined, { first, second }: GuestResult, guest: boolean): Answer {
    const trap = BigInt.asIntN(this.#bits, first)
    const access = question?.access ?? 'priv read'
    if (isRun(access))
      return trap === (isUser(access) ? CALLS.user : guest ? CALLS.guest : CALLS.supervisor) ? {} : { fault: faultOf(access, trap) }
    if (trap !== -1n) return { fault: faultOf(access, trap) }
    return isWrite(access) ? {} : { paddr: taggedAddress(BigInt.asUintN(this.#bits, second)) }
  }
}

/** mcause of a call: where it came from. */
const CALLS = { user: 8n, supervisor: 9n, guest: 10n } as const
/** mcause of page faults; those of the G-stage are 8 more. */
const PAGE_FAULT = { fetch: 12n, load: 13n, store: 15n, guest: 8n } as const

function faultOf(access: Access, trap: bigint): string {
  const page = isRun(access) ? PAGE_FAULT.fetch : isWrite(access) ? PAGE_FAULT.store : PAGE_FAULT.load
  return trap === page || trap === page + PAGE_FAULT.guest ? 'page' : `mcause ${trap}`
}

function valuesOf(registers: RvRegisters): readonly bigint[] {
  return RV_REGISTERS.map((name) => registers[name] ?? 0n)
}

function privilege(user: boolean): bigint {
  return (user ? MSTATUS.MPP_U : MSTATUS.MPP_S) | MSTATUS.SUM
}

/** A store writes the code that stands there. */
function requestOf({ iova, access }: Question, guest: boolean): GuestRequest {
  const mode = privilege(isUser(access)) | (guest ? MSTATUS.MPV : 0n)
  if (isRun(access)) return { address: iova + CODE_OFFSET, op: RV_OP.run, arg: mode }
  if (isWrite(access)) return { address: iova + CODE_OFFSET, op: RV_OP.store, arg: mode | MSTATUS.MPRV, arg2: BigInt(ECALL) }
  return { address: iova, op: RV_OP.load, arg: mode | MSTATUS.MPRV }
}

const ACCESSES: readonly Access[] = ['priv read', 'user read', 'priv store', 'user store']
export const RV_ALL: readonly Access[] = [...ACCESSES, ...RUN]

/** Pages of user mode, or with the quirk SUPERVISOR of supervisor mode; S may access those of U (SUM), and not run them. */
export function rvRules(supervisor: boolean): Rules {
  return {
    accesses: ACCESSES,
    below: 0n,
    fault: () => 'page',
    grants: (prot, access) => granted(supervisor ? prot : prot & ~Prot.PRIV, access),
  }
}

/** The G-stage knows no privilege. */
export const RV_G_RULES: Rules = {
  ...rvRules(false),
  grants: (prot, access) => (isRun(access) ? (prot & Prot.NOEXEC) === 0 : granted(prot & ~Prot.PRIV, access)),
}

/** What a leaf that is decoded grants, whatever made it. */
export function granted(prot: Prot, access: Access): boolean {
  const user = (prot & Prot.PRIV) === 0
  if (isRun(access)) return (prot & Prot.NOEXEC) === 0 && isUser(access) === user
  return (user || !isUser(access)) && (prot & (isWrite(access) ? Prot.WRITE : Prot.READ)) !== 0
}

/**
 * What a CPU reads of entries of the last level that anybody might have written: our reading of them, and access and dirty flags that are
 * not updated. `geometry`: with the extensions that the CPU has, whatever the table uses.
 */
export function rvScramble<F extends AnyFmt>(
  { format, context }: IoPageTable<F>,
  geometry: Geometry,
  grants: Rules['grants'],
  extra: bigint,
): Pick<Scramble, 'count' | 'geometry' | 'align' | 'accesses' | 'mask' | 'judge'> {
  const low = ['V', 'R', 'W', 'X', 'U', 'G', 'A', 'D', 'RSW']
  return {
    count: 800,
    geometry,
    align: PLACE_BYTES,
    accesses: RV_ALL,
    mask: (leaf) => fieldBits(leaf, low) | extra,
    judge: (leaf, access) => {
      const flags = fieldValue(leaf.kind, leaf.raw, 'A') === 1 && (!isWrite(access) || fieldValue(leaf.kind, leaf.raw, 'D') === 1)
      return leaf.reserved === 0n && flags && grants(format.prot(leaf.raw, leaf.kind, context), access) ? {} : { fault: 'page' }
    },
  }
}

/** Each bit of a page's entry that a walk reads, wrong: G and RSW are not, nor PBMT where it is enabled. */
export function rvFlips(entryBytes: 4 | 8, pbmt: boolean): readonly Flip[] {
  const ignored = pbmt ? [5, 8, 9, 61, 62] : [5, 8, 9]
  const bits = Array.from({ length: entryBytes * 8 }, (_, bit) => bit).filter((bit) => !ignored.includes(bit))
  const what = (bit: number): string => (bit < 10 ? ('VRWXUGAD'[bit] ?? '') : bit < 54 ? `PPN, bit ${bit}` : `bit ${bit}`)
  return bits.map((bit) => ({
    what: what(bit),
    mask: 1n << BigInt(bit),
    accesses: RV_ALL,
    shows: ({ prot }) => (prot & (Prot.WRITE | Prot.NOEXEC)) === Prot.WRITE,
  }))
}

export const POINTER_FLIPS: readonly Flip[] = [0, 1, 3, 4, 6, 7, 10, 20].map((bit) => ({
  what: `pointer, bit ${bit}`,
  mask: 1n << BigInt(bit),
  entry: 'table',
  accesses: RV_ALL,
}))
