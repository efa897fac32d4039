/**
 * The AArch64 guest: a translation server at EL2. It sets the registers of the mailbox, invalidates the TLBs and answers each entry: AT
 * instructions with PAR_EL1; executing, loading and storing at a lower exception level with the syndrome of the exception that comes back.
 */
import * as a from './a64.ts'
import { Assembler } from './assembler.ts'
import { COUNT, ENTRIES, ENTRY_BYTES, MAILBOX_OFFSET, REGISTERS } from './mailbox.ts'

/** The registers that the mailbox holds, in its order. `accessCode`: where the two accesses below are mapped for EL1. */
export const A64_REGISTERS = ['ttbr0', 'ttbr1', 'tcr', 'mair', 'sctlr', 'vttbr', 'vtcr', 'hcr', 'vbar', 'accessCode'] as const
export type A64Register = (typeof A64_REGISTERS)[number]

const SYSTEM: Readonly<Record<Exclude<A64Register, 'accessCode'>, a.SysReg>> = {
  ttbr0: a.sysReg(3, 0, 2, 0, 0),
  ttbr1: a.sysReg(3, 0, 2, 0, 1),
  tcr: a.sysReg(3, 0, 2, 0, 2),
  mair: a.sysReg(3, 0, 10, 2, 0),
  sctlr: a.sysReg(3, 0, 1, 0, 0),
  vttbr: a.sysReg(3, 4, 2, 1, 0),
  vtcr: a.sysReg(3, 4, 2, 1, 2),
  hcr: a.sysReg(3, 4, 1, 1, 0),
  vbar: a.sysReg(3, 0, 12, 0, 0),
}
const VBAR_EL2 = a.sysReg(3, 4, 12, 0, 0)
const ELR_EL2 = a.sysReg(3, 4, 4, 0, 1)
const SPSR_EL2 = a.sysReg(3, 4, 4, 0, 0)
const ESR_EL2 = a.sysReg(3, 4, 5, 2, 0)
const ESR_EL1 = a.sysReg(3, 0, 5, 2, 0)
const PAR_EL1 = a.sysReg(3, 0, 7, 4, 0)
const TLBI_ALLE1 = a.sysReg(1, 4, 8, 7, 4)

/** Operations: stage 1 alone, both stages, running the code at the address, and accesses of EL1 to it. */
export const A64_OP = {
  s1e1r: 0,
  s1e1w: 1,
  s1e0r: 2,
  s1e0w: 3,
  s12e1r: 4,
  s12e1w: 5,
  s12e0r: 6,
  s12e0w: 7,
  execEl1: 8,
  execEl0: 9,
  loadEl1: 10,
  storeEl1: 11,
} as const

const AT: readonly a.SysReg[] = [0, 1, 2, 3]
  .map((op2) => a.sysReg(1, 0, 7, 8, op2))
  .concat([4, 5, 6, 7].map((op2) => a.sysReg(1, 4, 7, 8, op2)))

/** SPSR: EL1 with its own stack pointer, and EL0; interrupts masked. */
const EL1 = 0x3c5
const EL0 = 0x3c0

/** What runs at an address that may be executed: its immediate is what comes back. */
export const HVC_HERE = 1
const HVC_ACCESSED = 2
/** Immediates of the vectors of EL1, each of which only says that it was reached. */
export const HVC_VECTOR = 0x100
const VECTORS = 16
const VECTOR_BYTES = 0x80
const EL2_VECTORS = 0x800
const LOWER_EL_SYNC = 0x400

/** The program, for the physical address where it stands. */
export function a64Guest(base: number): Uint8Array {
  const code = new Assembler()
  code.emit(...a.mov32(0, base + MAILBOX_OFFSET), ...a.mov32(1, base + EL2_VECTORS), a.msr(VBAR_EL2, 1))
  code.label('poll').emit(a.ldr(1, 0)).to('poll', a.cbz(1))
  for (const [i, name] of A64_REGISTERS.entries())
    if (name !== 'accessCode') code.emit(a.ldr(1, 0, REGISTERS + 8 * i), a.msr(SYSTEM[name], 1))
  code.emit(a.DSB, a.ISB, a.msr(TLBI_ALLE1, 31), a.DSB, a.ISB, a.ldr(3, 0, COUNT), a.addImmediate(4, 0, ENTRIES))
  answer(code)
  // the other vectors of EL2 are never taken
  code.align(EL2_VECTORS).emit(...Array<number>(LOWER_EL_SYNC / 4).fill(0))
  // the syndrome of what ended an excursion to EL1 or EL0, and what that changed in x1
  code.emit(a.str(1, 4), a.mrs(1, ESR_EL2), a.mrs(2, ESR_EL1)).to('store', a.b)
  return code.bytes()
}

/** x0 the mailbox, x3 entries left, x4 the entry, x1 its address, x2 its operation. */
function answer(code: Assembler): void {
  code
    .label('loop')
    .emit(a.subs(3, 3, 1))
    .to('done', a.bCond(a.LT))
  code
    .emit(a.ldr(1, 4), a.ldr(2, 4, 8))
    .to('operations', a.adr(5))
    .emit(a.addShifted(5, 5, 2, 3), a.br(5))
  // two words each: the number of the operation is an offset
  code.label('operations')
  for (const at of AT) code.emit(a.msr(at, 1)).to('translated', a.b)
  for (const spsr of [EL1, EL0]) code.emit(a.movImmediate(2, spsr)).to('run', a.b)
  for (const offset of [0, 8]) code.emit(a.movImmediate(2, offset)).to('access', a.b)
  code.label('translated').emit(a.ISB, a.mrs(1, PAR_EL1), a.movImmediate(2, 0))
  code
    .label('store')
    .emit(a.stp(1, 2, 4, 16), a.addImmediate(4, 4, ENTRY_BYTES))
    .to('loop', a.b)
  code.label('done').emit(a.str(31, 0)).to('poll', a.b)
  code.label('run').emit(a.msr(ELR_EL2, 1), a.msr(SPSR_EL2, 2), a.ERET)
  const accessCode = REGISTERS + 8 * A64_REGISTERS.indexOf('accessCode')
  code.label('access').emit(a.ldr(5, 0, accessCode), a.addShifted(5, 5, 2, 0), a.msr(ELR_EL2, 5))
  code.emit(a.movImmediate(2, EL1), a.msr(SPSR_EL2, 2), a.ERET)
}

/** What `accessCode` points to: a load and a store at x1, and back to EL2. */
export function a64AccessCode(): Uint8Array {
  return new Assembler().emit(a.ldr(1, 1), a.hvc(HVC_ACCESSED), a.str(1, 1), a.hvc(HVC_ACCESSED)).bytes()
}

/** The vectors of EL1, which a `vbar` points to: 2 KiB. */
export function a64El1Vectors(): Uint8Array {
  const code = new Assembler()
  for (let i = 0; i < VECTORS; i++) code.emit(a.hvc(HVC_VECTOR + i)).emit(...Array<number>(VECTOR_BYTES / 4 - 1).fill(0))
  return code.bytes()
}

/** The instruction that {@link A64_OP}.execEl1 runs into. */
export function a64Landmark(): Uint8Array {
  return new Assembler().emit(a.hvc(HVC_HERE)).bytes()
}
