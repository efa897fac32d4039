/** The A64 instructions that the guest code needs: Arm ARM DDI 0487, C6.2. Registers are numbers, 31 is xzr. */

/** Condition codes (C1.2.4). */
export const LT = 11

export const DSB = 0xd503_3f9f
export const ISB = 0xd503_3fdf
export const ERET = 0xd69f_03e0

/** A system register or system instruction as C5 encodes it: op0, op1, CRn, CRm, op2. */
export interface SysReg {
  readonly op0: number
  readonly op1: number
  readonly crn: number
  readonly crm: number
  readonly op2: number
}

/** The five numbers in the order of the generic name `S<op0>_<op1>_C<n>_C<m>_<op2>`. */
export function sysReg(op0: number, op1: number, crn: number, crm: number, op2: number): SysReg {
  return { op0, op1, crn, crm, op2 }
}

function system(load: number, rt: number, { op0, op1, crn, crm, op2 }: SysReg): number {
  return 0xd500_0000 | (load << 21) | (op0 << 19) | (op1 << 16) | (crn << 12) | (crm << 8) | (op2 << 5) | rt
}

/** `msr register, xt`; with op0 1 the system instruction: `at`, `tlbi`. */
export function msr(register: SysReg, rt: number): number {
  return system(0, rt, register)
}
/** `mrs xt, register`. */
export function mrs(rt: number, register: SysReg): number {
  return system(1, rt, register)
}
/** `ldr xt, [xn, #offset]`, offset a multiple of 8 up to 32760. */
export function ldr(rt: number, rn: number, offset = 0): number {
  return 0xf940_0000 | ((offset >> 3) << 10) | (rn << 5) | rt
}
/** `str xt, [xn, #offset]`. */
export function str(rt: number, rn: number, offset = 0): number {
  return 0xf900_0000 | ((offset >> 3) << 10) | (rn << 5) | rt
}
/** `stp xt, xt2, [xn, #offset]`, offset a multiple of 8 below 512. */
export function stp(rt: number, rt2: number, rn: number, offset = 0): number {
  return 0xa900_0000 | (((offset >> 3) & 127) << 15) | (rt2 << 10) | (rn << 5) | rt
}
/** `mov xd, #imm` of 16 bits. */
export function movImmediate(rd: number, imm: number): number {
  return 0xd280_0000 | (imm << 5) | rd
}
/** `movz` and `movk`: a 32-bit constant. */
export function mov32(rd: number, value: number): readonly number[] {
  return [movImmediate(rd, value & 0xffff), 0xf2a0_0000 | ((value >>> 16) << 5) | rd]
}
/** `add xd, xn, #imm`, imm 0 to 4095. */
export function addImmediate(rd: number, rn: number, imm: number): number {
  return 0x9100_0000 | (imm << 10) | (rn << 5) | rd
}
/** `subs xd, xn, #imm`, imm 0 to 4095. */
export function subs(rd: number, rn: number, imm: number): number {
  return 0xf100_0000 | (imm << 10) | (rn << 5) | rd
}
/** `add xd, xn, xm, lsl #shift`. */
export function addShifted(rd: number, rn: number, rm: number, shift: number): number {
  return 0x8b00_0000 | (rm << 16) | (shift << 10) | (rn << 5) | rd
}
/** `br xn`. */
export function br(rn: number): number {
  return 0xd61f_0000 | (rn << 5)
}
/** `hvc #imm`, imm 0 to 65535. */
export function hvc(imm: number): number {
  return 0xd400_0002 | (imm << 5)
}
/** `b label`. */
export function b(distance: number): number {
  return 0x1400_0000 | ((distance >> 2) & 0x3ff_ffff)
}
/** `b.<condition> label`. */
export function bCond(condition: number): (distance: number) => number {
  return (distance) => 0x5400_0000 | (((distance >> 2) & 0x7_ffff) << 5) | condition
}
/** `cbz xt, label`. */
export function cbz(rt: number): (distance: number) => number {
  return (distance) => 0xb400_0000 | (((distance >> 2) & 0x7_ffff) << 5) | rt
}
/** `adr xd, label`. */
export function adr(rd: number): (distance: number) => number {
  return (distance) => 0x1000_0000 | ((distance & 3) << 29) | (((distance >> 2) & 0x7_ffff) << 5) | rd
}
