/** The RISC-V instructions that the guest code needs: The RISC-V Instruction Set Manual, volume I (RV32I, RV64I, Zicsr) and volume II. Registers are numbers, x0 is zero. */

export const MRET = 0x3020_0073
export const ECALL = 0x0000_0073
/** `fence.i` (Zifencei). */
export const FENCE_I = 0x0000_100f
/** `sfence.vma zero, zero`. */
export const SFENCE_VMA = 0x1200_0073
/** `hfence.gvma zero, zero`. */
export const HFENCE_GVMA = 0x6200_0073

/** Numbers of control and status registers (volume II, "CSR Listing"). */
export const CSR = {
  satp: 0x180,
  vsatp: 0x280,
  mstatus: 0x300,
  mie: 0x304,
  mtvec: 0x305,
  menvcfg: 0x30a,
  mepc: 0x341,
  mcause: 0x342,
  pmpcfg0: 0x3a0,
  pmpaddr0: 0x3b0,
  hgatp: 0x680,
} as const

function iType(opcode: number, funct3: number, rd: number, rs1: number, imm: number): number {
  return (imm << 20) | (rs1 << 15) | (funct3 << 12) | (rd << 7) | opcode
}
function sType(funct3: number, rs2: number, rs1: number, imm: number): number {
  return ((imm >> 5) << 25) | (rs2 << 20) | (rs1 << 15) | (funct3 << 12) | ((imm & 31) << 7) | 0x23
}
function bType(funct3: number, rs1: number, rs2: number, distance: number): number {
  const imm =
    (((distance >> 12) & 1) << 31) | (((distance >> 5) & 63) << 25) | (((distance >> 1) & 15) << 8) | (((distance >> 11) & 1) << 7)
  return imm | (rs2 << 20) | (rs1 << 15) | (funct3 << 12) | 0x63
}

/** `addi rd, rs1, imm`, imm -2048 to 2047. */
export function addi(rd: number, rs1: number, imm: number): number {
  return iType(0x13, 0, rd, rs1, imm)
}
/** `slli rd, rs1, shift`. */
export function slli(rd: number, rs1: number, shift: number): number {
  return iType(0x13, 1, rd, rs1, shift)
}
/** `lui rd, imm`: `imm` stands in bits 31:12. */
export function lui(rd: number, imm: number): number {
  return (imm << 12) | (rd << 7) | 0x37
}
/** `auipc rd, 0`, which reads the pc. */
export function auipc(rd: number): number {
  return (rd << 7) | 0x17
}
/** `add rd, rs1, rs2`. */
export function add(rd: number, rs1: number, rs2: number): number {
  return (rs2 << 20) | (rs1 << 15) | (rd << 7) | 0x33
}
/** `lw` or `ld rd, offset(rs1)`. */
export function load(bits: 32 | 64, rd: number, rs1: number, offset = 0): number {
  return iType(0x03, bits === 64 ? 3 : 2, rd, rs1, offset)
}
/** `sw` or `sd rs2, offset(rs1)`. */
export function store(bits: 32 | 64, rs2: number, rs1: number, offset = 0): number {
  return sType(bits === 64 ? 3 : 2, rs2, rs1, offset)
}
/** `csrrw rd, csr, rs1`. */
export function csrrw(rd: number, csr: number, rs1: number): number {
  return iType(0x73, 1, rd, rs1, csr)
}
/** `csrrs rd, csr, rs1`: sets the bits of rs1. */
export function csrrs(rd: number, csr: number, rs1: number): number {
  return iType(0x73, 2, rd, rs1, csr)
}
/** `csrrc rd, csr, rs1`: clears the bits of rs1. */
export function csrrc(rd: number, csr: number, rs1: number): number {
  return iType(0x73, 3, rd, rs1, csr)
}
/** `beq rs1, rs2, label`. */
export function beq(rs1: number, rs2: number): (distance: number) => number {
  return (distance) => bType(0, rs1, rs2, distance)
}
/** `jal zero, label`. */
export function j(distance: number): number {
  const high = (((distance >> 20) & 1) << 31) | (((distance >> 1) & 0x3ff) << 21)
  return high | (((distance >> 11) & 1) << 20) | (((distance >> 12) & 0xff) << 12) | 0x6f
}
/** `jalr zero, offset(rs1)`. */
export function jr(rs1: number, offset = 0): number {
  return iType(0x67, 0, 0, rs1, offset)
}
