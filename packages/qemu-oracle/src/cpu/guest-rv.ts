/**
 * The RISC-V guest, for RV32 and RV64: M-mode code that makes accesses with the privilege of S or U (mstatus.MPRV and MPP), and runs the
 * code at an address there. It answers each entry with mcause, or all ones when nothing trapped, and with the value that was loaded.
 */
import { Assembler } from './assembler.ts'
import { COUNT, ENTRIES, ENTRY_BYTES, MAILBOX_OFFSET, REGISTERS } from './mailbox.ts'
import * as r from './rv.ts'

/** The registers that the mailbox holds, in its order; RV32 takes the first alone. `menvcfg` enables Svpbmt. */
export const RV_REGISTERS = ['satp', 'menvcfg', 'hgatp'] as const

/**
 * Operations; the entry's first place has the bits of mstatus to set, the second the value to store. `park` stays in the state that it
 * makes, where the monitor may ask, until a software interrupt comes.
 */
export const RV_OP = { load: 0, store: 1, run: 2, park: 3 } as const

/** Bits of mstatus: the privilege of accesses and of what `mret` goes to, a guest's with MPV; S may access pages of U. */
export const MSTATUS = { MPV: 0x80_0000_0000n, MIE: 0x8n, MPRV: 0x2_0000n, MPP_S: 0x800n, MPP_U: 0n, SUM: 0x4_0000n } as const
/** Writing 1 here makes the software interrupt, 0 takes it back (QEMU's `virt`: the CLINT). */
export const SOFTWARE_INTERRUPT = 0x200_0000n

const [A0, A1, A2, A3, A4, T0, T1, T2, T3, T5, T6] = [10, 11, 12, 13, 14, 5, 6, 7, 28, 30, 31] as const
const PMP_ALL_RWX_NAPOT = 0x1f
const TRAP = 0x200
const MIE_MSIE = 8

/** The program, for the physical address where it stands. */
export function rvGuest(bits: 32 | 64, base: number): Uint8Array {
  const code = new Assembler()
  const load = (rd: number, rs1: number, offset: number): number => r.load(bits, rd, rs1, offset)
  const store = (rs2: number, rs1: number, offset: number): number => r.store(bits, rs2, rs1, offset)
  // the program stands on a 4 KiB boundary, so that one auipc gives the base
  code.emit(r.auipc(A0), r.addi(T0, A0, TRAP), r.csrrw(0, r.CSR.mtvec, T0), r.lui(T1, MAILBOX_OFFSET >> 12), r.add(A0, A0, T1))
  code.emit(r.addi(T0, 0, -1), r.csrrw(0, r.CSR.pmpaddr0, T0), r.addi(T0, 0, PMP_ALL_RWX_NAPOT), r.csrrw(0, r.CSR.pmpcfg0, T0))
  // MPRV, MPP, SUM, MXR: 0xe1800; and MPV, bit 39, which RV32 has elsewhere
  code.emit(r.lui(T5, 0xe2), r.addi(T5, T5, -0x800))
  if (bits === 64) code.emit(r.addi(T1, 0, 1), r.slli(T1, T1, 39), r.add(T5, T5, T1))
  code.emit(r.addi(T0, 0, MIE_MSIE), r.csrrw(0, r.CSR.mie, T0))
  code
    .label('poll')
    .emit(load(A1, A0, 0))
    .to('poll', r.beq(A1, 0))
  code.emit(load(T0, A0, REGISTERS), r.csrrw(0, r.CSR.satp, T0))
  if (bits === 64) {
    code.emit(load(T0, A0, REGISTERS + 8), r.csrrw(0, r.CSR.menvcfg, T0), load(T0, A0, REGISTERS + 16), r.csrrw(0, r.CSR.hgatp, T0))
    code.emit(r.csrrw(0, r.CSR.vsatp, 0), r.HFENCE_GVMA)
  }
  code.emit(r.SFENCE_VMA, r.FENCE_I, load(A3, A0, COUNT), r.addi(A4, A0, ENTRIES))
  code.label('loop').to('done', r.beq(A3, 0))
  code.emit(r.addi(A3, A3, -1), load(A1, A4, 0), load(A2, A4, 8), load(T0, A4, 16), load(T3, A4, 24), r.addi(T6, 0, -1))
  // from here on accesses may be those of S or U
  code.emit(r.csrrc(0, r.CSR.mstatus, T5), r.csrrs(0, r.CSR.mstatus, T0))
  code.emit(r.auipc(T1), r.slli(T2, A2, 3), r.add(T1, T1, T2), r.jr(T1, 16))
  code
    .emit(load(T3, A1, 0))
    .to('over', r.j)
    .emit(store(T3, A1, 0))
    .to('over', r.j)
  code
    .emit(r.csrrw(0, r.CSR.mepc, A1), r.MRET)
    .label('park')
    .to('park', r.j)
  code
    .label('done')
    .emit(store(0, A0, 0))
    .to('poll', r.j)
  code
    .align(TRAP)
    .label('trap')
    .emit(r.csrrs(T6, r.CSR.mcause, 0))
  code
    .label('over')
    .emit(r.csrrc(0, r.CSR.mstatus, T5), store(T6, A4, 16), store(T3, A4, 24), r.addi(A4, A4, ENTRY_BYTES))
    .to('loop', r.j)
  if (base % 4096 !== 0) throw new RangeError('the program stands on a 4 KiB boundary')
  return code.bytes()
}

/** The instruction that {@link RV_OP}.run runs into. */
export function rvLandmark(): Uint8Array {
  return new Assembler().emit(r.ECALL).bytes()
}
