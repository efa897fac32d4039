/** x86-64 CPUs of QEMU with the guest in them. */
import { type AnyFmt, type IoPageTable, Prot } from '@io-pgtable/core'
import { Machine } from '../machine/index.ts'
import { GuestServer } from './guest-server.ts'
import {
  X86_DATA,
  X86_FAULT,
  X86_LANDMARK,
  X86_MAILBOX,
  X86_OP,
  X86_REGISTERS,
  X86_USER_CODE,
  x86Data,
  x86Firmware,
  x86UserCode,
} from './guest-x86.ts'
import { guestPhysical } from './gva2gpa.ts'
import { type GuestRequest, type GuestResult, REGISTERS } from './mailbox.ts'
import type { PhysicalRange } from './mappings.ts'
import { type Access, type Answer, isRun, isUser, isWrite, type Question } from './question.ts'
import { type Ask, type Flip, fieldBits, type Rules, type Scramble } from './rules.ts'
import { CODE_OFFSET, PLACE_BYTES, taggedAddress, tagOf } from './tags.ts'

const MB = 0x10_0000n
const GB = 1024n * MB
/** RAM above 4 GiB: of 32 GiB, q35 has 2 below. */
const HIGH_RAM = { first: 4n * GB, end: 34n * GB } as const

export const X86_TABLES: { readonly base: bigint; readonly size: number } = { base: HIGH_RAM.end - 256n * MB, size: 64 * Number(MB) }
export const X86_TARGETS: PhysicalRange = { first: HIGH_RAM.first, last: X86_TABLES.base - 1n }

const LEAVE = BigInt(X86_MAILBOX.base + REGISTERS + 8 * X86_REGISTERS.indexOf('leave'))

const OPS: Readonly<Partial<Record<Access, number>>> = {
  'priv read': X86_OP.load,
  'priv store': X86_OP.store,
  'priv run': X86_OP.run,
  'user read': X86_OP.userLoad,
  'user store': X86_OP.userStore,
  'user run': X86_OP.userRun,
}
export const X86_ALL: readonly Access[] = Object.keys(OPS) as Access[]

export class X86 {
  readonly machine: Machine
  readonly #server: GuestServer

  private constructor(machine: Machine) {
    this.machine = machine
    this.#server = new GuestServer(machine, BigInt(X86_MAILBOX.base))
  }

  static async start(levels: 4 | 5): Promise<X86> {
    const args = (file: (name: string) => string): readonly string[] => [
      ...['-M', 'q35,memory-backend=ram', '-cpu', 'max', '-m', '32G', '-bios', file('firmware')],
      ...['-object', 'memory-backend-ram,id=ram,size=32G,reserve=off'],
    ]
    const machine = await Machine.start({ target: 'x86_64', args, files: { firmware: x86Firmware(levels) }, monitor: true })
    void machine.qtest.write(BigInt(X86_DATA.base), x86Data())
    void machine.qtest.write(BigInt(X86_USER_CODE), x86UserCode())
    await machine.qtest.settle()
    return new X86(machine)
  }

  /** Writes tags and code at those physical addresses that are RAM. */
  tag(paddrs: readonly bigint[]): void {
    for (const paddr of paddrs.filter((at) => at >= X86_TARGETS.first && at <= X86_TARGETS.last)) {
      void this.machine.qtest.writeq(paddr, tagOf(paddr))
      void this.machine.qtest.writeq(paddr + CODE_OFFSET, X86_LANDMARK)
    }
  }

  /** Accesses that are done, of places that have tags. */
  access(cr3: bigint): Ask {
    return async (questions) => {
      const results = await this.#server.run([cr3], questions.map(requestOf))
      return results.map((result, i) => answerOf(questions[i]?.access ?? 'priv read', result))
    }
  }

  /** Translations by the monitor, whose walker knows neither permissions nor reserved bits. */
  monitor(cr3: bigint): Ask {
    const { monitor, qtest } = this.machine
    const state = new RegExp(`CR3=0*${cr3.toString(16)}\\b`, 'i')
    return (questions) =>
      this.#server.during(
        [cr3, 0n],
        { address: 0n, op: X86_OP.park },
        async () => {
          while (!state.test(await monitor.human('info registers')));
          return guestPhysical(monitor, questions)
        },
        () => qtest.writeq(LEAVE, 1n),
      )
  }

  stop(): Promise<void> {
    return this.machine.stop()
  }
}

function requestOf({ iova, access }: Question): GuestRequest {
  const op = OPS[access]
  if (op === undefined) throw new Error(`no operation for ${access}`)
  const address = isRun(access) || isWrite(access) ? iova + CODE_OFFSET : iova
  return { address: BigInt.asUintN(64, address), op, arg2: X86_LANDMARK }
}

const ERROR = { present: 1, reserved: 8 } as const

function answerOf(access: Access, { first, second }: GuestResult): Answer {
  const result = Number(first)
  if (result & X86_FAULT.protection) return { fault: 'general protection' }
  if (result & X86_FAULT.page)
    return { fault: result & ERROR.reserved ? 'reserved bit' : result & ERROR.present ? 'permission' : 'translation' }
  return isRun(access) || isWrite(access) ? {} : { paddr: taggedAddress(second) }
}

/** `prot` as a leaf that is decoded grants it. */
export function x86Grants(prot: Prot, access: Access): boolean {
  if (isUser(access) && prot & Prot.PRIV) return false
  return isRun(access) ? (prot & Prot.NOEXEC) === 0 : !isWrite(access) || (prot & Prot.WRITE) !== 0
}

/** What the quirks leave of the permissions. A supervisor may use what users may: SMAP and SMEP are off. */
export function x86Rules(quirks: readonly string[]): Rules {
  const known = (quirks.includes('SUPERVISOR') ? Prot.PRIV : 0) | (quirks.includes('NX') ? Prot.NOEXEC : 0) | Prot.READ | Prot.WRITE
  return { accesses: X86_ALL, below: 0n, fault: (kind) => kind, grants: (prot, access) => x86Grants(prot & known, access) }
}

/** Leaves of the last level that anybody might have written, against our reading of them. */
export function x86Scramble<F extends AnyFmt>({ format, context }: IoPageTable<F>): Pick<Scramble, 'count' | 'align' | 'mask' | 'judge'> {
  const fields = ['P', 'R/W', 'U/S', 'PWT', 'PCD', 'A', 'D', 'PAT', 'G', 'Software', 'EA', 'R', 'IgnoredHigh', 'PK', 'XD']
  return {
    count: 800,
    align: PLACE_BYTES,
    mask: (leaf) => fieldBits(leaf, fields),
    judge: (leaf, access) => (x86Grants(format.prot(leaf.raw, leaf.kind, context), access) ? {} : { fault: 'permission' }),
  }
}

/** Each bit of a page's entry that a walk reads, wrong: of a page that everybody may write, and run where the quirk NX is. */
export function x86Flips(quirks: readonly string[]): readonly Flip[] {
  const bits = [0, 1, 2, ...Array.from({ length: 40 }, (_, i) => 12 + i), 63]
  const open = Prot.WRITE | Prot.PRIV | (quirks.includes('NX') ? Prot.NOEXEC : 0)
  return bits.map((bit) => ({
    what: bit < 12 ? (['P', 'R/W', 'U/S'][bit] ?? '') : bit === 63 ? 'XD' : `address, bit ${bit}`,
    mask: 1n << BigInt(bit),
    shows: ({ prot }) => (prot & open) === Prot.WRITE,
  }))
}

/** Of the entry above it: present, writable, user, page size, an address bit, execute disable. */
export const x86PointerFlips: readonly Flip[] = [0, 1, 2, 7, 14, 63].map((bit) => ({
  what: `table, bit ${bit}`,
  mask: 1n << BigInt(bit),
  entry: 'table',
  shows: ({ prot }) => (prot & (Prot.WRITE | Prot.PRIV | Prot.NOEXEC)) === Prot.WRITE,
}))
