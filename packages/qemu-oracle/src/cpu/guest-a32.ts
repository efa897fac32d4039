/**
 * The AArch32 guest: a translation server in Hyp mode, whose own MMU is off. It sets the registers of the mailbox, invalidates the TLBs and
 * answers each entry: ATS1C** and ATS12NSO** with PAR; executing, loading and storing at PL1 or PL0 with the syndrome of what comes back.
 */
import * as a from './a32.ts'
import { Assembler } from './assembler.ts'
import { COUNT, ENTRIES, ENTRY_BYTES, MAILBOX_OFFSET, REGISTERS } from './mailbox.ts'

/** The registers that the mailbox holds, in its order. `ttbcr` comes first: EAE decides how a 64-bit TTBR is taken. */
export const A32_REGISTERS = [
  'ttbcr',
  'ttbr0',
  'ttbr1',
  'dacr',
  'mair0',
  'mair1',
  'vbar',
  'sctlr',
  'vttbr',
  'vtcr',
  'hcr',
  'accessCode',
] as const
export type A32Register = (typeof A32_REGISTERS)[number]

/** PRRR and NMRR are where MAIR0 and MAIR1 are with long descriptors. A number: opc1 of a 64-bit register of c2. */
const SYSTEM: Readonly<Record<Exclude<A32Register, 'accessCode'>, a.Cp15 | number>> = {
  ttbcr: a.cp15(0, 2, 0, 2),
  ttbr0: 0,
  ttbr1: 1,
  dacr: a.cp15(0, 3, 0, 0),
  mair0: a.cp15(0, 10, 2, 0),
  mair1: a.cp15(0, 10, 2, 1),
  vbar: a.cp15(0, 12, 0, 0),
  sctlr: a.cp15(0, 1, 0, 0),
  vttbr: 6,
  vtcr: a.cp15(4, 2, 1, 2),
  hcr: a.cp15(4, 1, 1, 0),
}
const HVBAR = a.cp15(4, 12, 0, 0)
const HSR = a.cp15(4, 5, 2, 0)
const IFSR = a.cp15(0, 5, 0, 1)
const TLBIALLNSNH = a.cp15(4, 8, 7, 4)
/** opc1 0, c7. */
const PAR = [0, 7] as const

/** Operations: stage 1 alone, both stages, running the code at the address, and accesses of PL1 to it. */
export const A32_OP = {
  s1PrivRead: 0,
  s1PrivWrite: 1,
  s1UserRead: 2,
  s1UserWrite: 3,
  s12PrivRead: 4,
  s12PrivWrite: 5,
  s12UserRead: 6,
  s12UserWrite: 7,
  execPriv: 8,
  execUser: 9,
  loadPriv: 10,
  storePriv: 11,
} as const

/** SPSR: Supervisor and User mode, interrupts masked. */
const SVC = 0xd3
const USR = 0xd0

/** What runs at an address that may be executed by PL1. For PL0 `hvc` is undefined, which leads to the vector `HVC_VECTOR + 1`. */
export const HVC_HERE = 1
const HVC_ACCESSED = 2
/** Immediates of the vectors of PL1, each of which only says that it was reached: 1 undefined, 3 prefetch abort. */
export const HVC_VECTOR = 0x100
const VECTORS = 8
const HYP_TRAP = 5

/** The program, for the physical address where it stands, which is that of its vectors. */
export function a32Guest(base: number): Uint8Array {
  const code = new Assembler().to('start', a.branch())
  for (let i = 1; i < VECTORS; i++) {
    code.label(`vector ${i}`)
    code.to(i === HYP_TRAP ? 'trap' : `vector ${i}`, a.branch())
  }
  code.label('start').emit(...a.mov32(0, base + MAILBOX_OFFSET), ...a.mov32(1, base), a.mcr(1, HVBAR))
  code.label('poll').emit(a.ldr(1, 0), a.cmp(1, 0)).to('poll', a.branch(a.EQ))
  for (const [i, name] of A32_REGISTERS.entries()) if (name !== 'accessCode') setRegister(code, SYSTEM[name], REGISTERS + 8 * i)
  code.emit(a.mcr(1, TLBIALLNSNH), a.DSB, a.ISB, a.ldr(3, 0, COUNT), a.addImmediate(4, 0, ENTRIES))
  answer(code)
  return code.bytes()
}

function setRegister(code: Assembler, register: a.Cp15 | number, offset: number): void {
  if (typeof register === 'number') code.emit(a.ldr(1, 0, offset), a.ldr(2, 0, offset + 4), a.mcrr(register, 1, 2, 2))
  else code.emit(a.ldr(1, 0, offset), a.mcr(1, register))
}

/** r0 the mailbox, r3 entries left, r4 the entry, r1 its address, r2 its operation. */
function answer(code: Assembler): void {
  code
    .label('loop')
    .emit(a.subs(3, 3, 1))
    .to('done', a.branch(a.LT))
  // the pc reads as the address of the second word after, where the operations begin, two words each
  code.emit(a.ldr(1, 4), a.ldr(2, 4, 8), a.addShifted(15, 15, 2, 3), a.ISB)
  for (let opc2 = 0; opc2 < 8; opc2++) code.emit(a.mcr(1, a.cp15(0, 7, 8, opc2))).to('translated', a.branch())
  for (const spsr of [SVC, USR]) code.emit(movw(2, spsr)).to('run', a.branch())
  for (const offset of [0, 8]) code.emit(movw(2, offset)).to('access', a.branch())
  code
    .label('translated')
    .emit(a.ISB, a.mrrc(PAR[0], 5, 6, PAR[1]))
    .to('store', a.branch())
  code.label('trap').emit(a.str(1, 4), a.mrc(5, HSR), a.mrc(6, IFSR))
  code
    .label('store')
    .emit(a.str(5, 4, 16), a.str(6, 4, 20), a.addImmediate(4, 4, ENTRY_BYTES))
    .to('loop', a.branch())
  code.label('done').emit(movw(1, 0), a.str(1, 0)).to('poll', a.branch())
  code.label('run').emit(a.msrElrHyp(1), a.msrSpsrHyp(2), a.ERET)
  const accessCode = REGISTERS + 8 * A32_REGISTERS.indexOf('accessCode')
  code.label('access').emit(a.ldr(5, 0, accessCode), a.addShifted(5, 5, 2, 0), a.msrElrHyp(5), movw(2, SVC), a.msrSpsrHyp(2), a.ERET)
}

function movw(rd: number, value: number): number {
  return a.mov32(rd, value)[0] ?? 0
}

/** What `accessCode` points to: a load and a store at r1, and back to Hyp mode. */
export function a32AccessCode(): Uint8Array {
  return new Assembler().emit(a.ldr(1, 1), a.hvc(HVC_ACCESSED), a.str(1, 1), a.hvc(HVC_ACCESSED)).bytes()
}

/** The vectors of PL1, which a `vbar` points to. */
export function a32Pl1Vectors(): Uint8Array {
  return new Assembler().emit(...Array.from({ length: VECTORS }, (_, i) => a.hvc(HVC_VECTOR + i))).bytes()
}

/** The instruction that {@link A32_OP}.execPriv runs into. */
export function a32Landmark(): Uint8Array {
  return new Assembler().emit(a.hvc(HVC_HERE)).bytes()
}
