/** The A32 instructions that the guest code needs: Arm ARM ARMv7-A, DDI 0406C, A8.8 and B9.3. Registers are numbers; r15 is the pc. */

/** Condition codes (A8.3). */
export const EQ = 0
export const LT = 11
export const AL = 14

export const DSB = 0xf57f_f04f
export const ISB = 0xf57f_f06f
export const ERET = 0xe160_006e

/** A system register of coprocessor 15 as `mcr` and `mrc` name it. */
export interface Cp15 {
  readonly opc1: number
  readonly crn: number
  readonly crm: number
  readonly opc2: number
}

/** The four numbers in the order of the assembler's syntax: `mcr p15, opc1, Rt, CRn, CRm, opc2`. */
export function cp15(opc1: number, crn: number, crm: number, opc2: number): Cp15 {
  return { opc1, crn, crm, opc2 }
}

function coprocessor(load: number, rt: number, { opc1, crn, crm, opc2 }: Cp15): number {
  return 0xee00_0f10 | (opc1 << 21) | (load << 20) | (crn << 16) | (rt << 12) | (opc2 << 5) | crm
}

/** `mcr p15`: writes the system register. */
export function mcr(rt: number, register: Cp15): number {
  return coprocessor(0, rt, register)
}
/** `mrc p15`: reads the system register. */
export function mrc(rt: number, register: Cp15): number {
  return coprocessor(1, rt, register)
}
/** `mcrr p15, opc1, Rt, Rt2, CRm`: writes a 64-bit system register. */
export function mcrr(opc1: number, rt: number, rt2: number, crm: number): number {
  return 0xec40_0f00 | (rt2 << 16) | (rt << 12) | (opc1 << 4) | crm
}
/** `mrrc p15, opc1, Rt, Rt2, CRm`: reads a 64-bit system register. */
export function mrrc(opc1: number, rt: number, rt2: number, crm: number): number {
  return 0xec50_0f00 | (rt2 << 16) | (rt << 12) | (opc1 << 4) | crm
}
/** `ldr rt, [rn, #offset]`, offset 0 to 4095. */
export function ldr(rt: number, rn: number, offset = 0): number {
  return 0xe590_0000 | (rn << 16) | (rt << 12) | offset
}
/** `str rt, [rn, #offset]`, offset 0 to 4095. */
export function str(rt: number, rn: number, offset = 0): number {
  return 0xe580_0000 | (rn << 16) | (rt << 12) | offset
}
/** `movw` and `movt`: a 32-bit constant. */
export function mov32(rd: number, value: number): readonly number[] {
  const half = (opcode: number, imm: number): number => opcode | ((imm >> 12) << 16) | (rd << 12) | (imm & 0xfff)
  return [half(0xe300_0000, value & 0xffff), half(0xe340_0000, value >>> 16)]
}
/** `add rd, rn, #imm`: 8 bits at an even place. */
export function addImmediate(rd: number, rn: number, imm: number): number {
  return 0xe280_0000 | (rn << 16) | (rd << 12) | modified(imm)
}
/** A modified immediate constant (A5.2.4): 8 bits, rotated right by twice a number of 4 bits. */
function modified(imm: number): number {
  for (let rotation = 0; rotation < 16; rotation++) {
    const bits = ((imm << (2 * rotation)) | (imm >>> (32 - 2 * rotation))) >>> 0
    if (bits < 256) return (rotation << 8) | bits
  }
  throw new RangeError(`no modified immediate: ${imm}`)
}
/** `subs rd, rn, #imm`, imm 0 to 255. */
export function subs(rd: number, rn: number, imm: number): number {
  return 0xe250_0000 | (rn << 16) | (rd << 12) | imm
}
/** `cmp rn, #imm`, imm 0 to 255. */
export function cmp(rn: number, imm: number): number {
  return 0xe350_0000 | (rn << 16) | imm
}
/** `add rd, rn, rm, lsl #shift`. */
export function addShifted(rd: number, rn: number, rm: number, shift: number): number {
  return 0xe080_0000 | (rn << 16) | (rd << 12) | (shift << 7) | rm
}
/** `b` or `b<condition>`; the pc reads as the instruction's address plus 8. */
export function branch(condition: number = AL): (distance: number) => number {
  return (distance) => (condition << 28) | 0x0a00_0000 | (((distance - 8) >> 2) & 0xff_ffff)
}
/** `msr elr_hyp, rn` (B9.3.10, banked register). */
export function msrElrHyp(rn: number): number {
  return 0xe12e_f300 | rn
}
/** `msr spsr_hyp, rn`. */
export function msrSpsrHyp(rn: number): number {
  return 0xe16e_f300 | rn
}
/** `hvc #imm`, imm 0 to 65535. */
export function hvc(imm: number): number {
  return 0xe140_0070 | ((imm >> 4) << 8) | (imm & 15)
}
