/** The encoder against words that an assembler (LLVM 14) made of the same instructions. */
import { describe, expect, it } from 'vitest'
import * as a32 from '../src/cpu/a32.ts'
import * as a64 from '../src/cpu/a64.ts'
import { Assembler } from '../src/cpu/assembler.ts'
import * as rv from '../src/cpu/rv.ts'

type Row = readonly [text: string, ours: number | readonly number[], bytes: string]

const A32: readonly Row[] = [
  ['mcr p15, 4, r1, c12, c0, 0', a32.mcr(1, a32.cp15(4, 12, 0, 0)), '101f8cee'],
  ['mrc p15, 4, r1, c5, c2, 0', a32.mrc(1, a32.cp15(4, 5, 2, 0)), '121f95ee'],
  ['mcrr p15, 1, r1, r2, c2', a32.mcrr(1, 1, 2, 2), '121f42ec'],
  ['mcrr p15, 6, r1, r2, c2', a32.mcrr(6, 1, 2, 2), '621f42ec'],
  ['mrrc p15, 0, r1, r2, c7', a32.mrrc(0, 1, 2, 7), '071f52ec'],
  ['ldr r1, [r0, #256]', a32.ldr(1, 0, 256), '001190e5'],
  ['str r2, [r4, #24]', a32.str(2, 4, 24), '182084e5'],
  ['movw r0, #0; movt r0, #0x4021', a32.mov32(0, 0x4021_0000), '000000e3210044e3'],
  ['movw r5, #0xabcd', a32.mov32(5, 0xabcd).slice(0, 1), 'cd5b0ae3'],
  ['add r4, r4, #32', a32.addImmediate(4, 4, 32), '204084e2'],
  ['add r4, r0, #0x200', a32.addImmediate(4, 0, 0x200), '024c80e2'],
  ['subs r3, r3, #1', a32.subs(3, 3, 1), '013053e2'],
  ['cmp r2, #8', a32.cmp(2, 8), '080052e3'],
  ['add pc, pc, r2, lsl #3', a32.addShifted(15, 15, 2, 3), '82f18fe0'],
  ['beq . + 24', a32.branch(a32.EQ)(24), '0400000a'],
  ['blt .', a32.branch(a32.LT)(0), 'feffffba'],
  ['b . - 8', a32.branch()(-8), 'fcffffea'],
  ['msr elr_hyp, r1', a32.msrElrHyp(1), '01f32ee1'],
  ['msr spsr_hyp, r5', a32.msrSpsrHyp(5), '05f36ee1'],
  ['eret', a32.ERET, '6e0060e1'],
  ['hvc #0x117', a32.hvc(0x117), '771140e1'],
  ['dsb; isb', [a32.DSB, a32.ISB], '4ff07ff56ff07ff5'],
]

const A64: readonly Row[] = [
  ['msr vbar_el2, x1', a64.msr(a64.sysReg(3, 4, 12, 0, 0), 1), '01c01cd5'],
  ['msr vtcr_el2, x7', a64.msr(a64.sysReg(3, 4, 2, 1, 2), 7), '47211cd5'],
  ['mrs x1, par_el1', a64.mrs(1, a64.sysReg(3, 0, 7, 4, 0)), '017438d5'],
  ['at s1e1r, x1', a64.msr(a64.sysReg(1, 0, 7, 8, 0), 1), '017808d5'],
  ['at s12e0w, x1', a64.msr(a64.sysReg(1, 4, 7, 8, 7), 1), 'e1780cd5'],
  ['tlbi alle1', a64.msr(a64.sysReg(1, 4, 8, 7, 4), 31), '9f870cd5'],
  ['ldr x1, [x0, #256]', a64.ldr(1, 0, 256), '018040f9'],
  ['str xzr, [x0]', a64.str(31, 0), '1f0000f9'],
  ['stp x1, x2, [x4, #16]', a64.stp(1, 2, 4, 16), '810801a9'],
  ['mov x0, #0x1000', a64.movImmediate(0, 0x1000), '000082d2'],
  ['movk x0, #0x4021, lsl #16', a64.mov32(0, 0x4021_0000).slice(1), '2004a8f2'],
  ['add x4, x4, #32', a64.addImmediate(4, 4, 32), '84800091'],
  ['subs x3, x3, #1', a64.subs(3, 3, 1), '630400f1'],
  ['add x5, x5, x2, lsl #3', a64.addShifted(5, 5, 2, 3), 'a50c028b'],
  ['br x5', a64.br(5), 'a0001fd6'],
  ['hvc #0x117', a64.hvc(0x117), 'e22200d4'],
  ['b . - 16', a64.b(-16), 'fcffff17'],
  ['b.lt . + 32', a64.bCond(a64.LT)(32), '0b010054'],
  ['cbz x1, . - 4', a64.cbz(1)(-4), 'e1ffffb4'],
  ['adr x5, . + 20', a64.adr(5)(20), 'a5000010'],
  ['dsb sy; isb; eret', [a64.DSB, a64.ISB, a64.ERET], '9f3f03d5df3f03d5e0039fd6'],
]

const RV: readonly Row[] = [
  ['addi a0, a1, -5', rv.addi(10, 11, -5), '1385b5ff'],
  ['slli t0, t1, 3', rv.slli(5, 6, 3), '93123300'],
  ['lui a0, 0x82010', rv.lui(10, 0x8_2010), '37050182'],
  ['auipc t1, 0', rv.auipc(6), '17030000'],
  ['add a0, a1, a2', rv.add(10, 11, 12), '3385c500'],
  ['lw a0, 16(a1)', rv.load(32, 10, 11, 16), '03a50501'],
  ['ld a0, 256(a1)', rv.load(64, 10, 11, 256), '03b50510'],
  ['sw a2, 24(a3)', rv.store(32, 12, 13, 24), '23acc600'],
  ['sd a2, -8(a3)', rv.store(64, 12, 13, -8), '23bcc6fe'],
  ['csrw satp, a0', rv.csrrw(0, rv.CSR.satp, 10), '73100518'],
  ['csrs mstatus, t0', rv.csrrs(0, rv.CSR.mstatus, 5), '73a00230'],
  ['csrc mstatus, t0', rv.csrrc(0, rv.CSR.mstatus, 5), '73b00230'],
  ['beq a0, a1, . - 16', rv.beq(10, 11)(-16), 'e308b5fe'],
  ['beqz a0, . + 40', rv.beq(10, 0)(40), '63040502'],
  ['j . - 64', rv.j(-64), '6ff01ffc'],
  ['j . + 2048', rv.j(2048), '6f001000'],
  ['jr 4(t0)', rv.jr(5, 4), '67804200'],
  ['mret; ecall; fence.i', [rv.MRET, rv.ECALL, rv.FENCE_I], '73002030730000000f100000'],
  ['sfence.vma; hfence.gvma', [rv.SFENCE_VMA, rv.HFENCE_GVMA], '7300001273000062'],
]

function bytesOf(words: number | readonly number[]): string {
  return Buffer.from(new Assembler().emit(...(typeof words === 'number' ? [words] : words)).bytes()).toString('hex')
}

describe.each([
  ['A32', A32],
  ['A64', A64],
  ['RISC-V', RV],
])('%s', (_, rows) => {
  it.each(rows)('%s', (_text, ours, bytes) => {
    expect(bytesOf(ours)).toBe(bytes)
  })
})

describe('labels', () => {
  it('resolves distances forwards and backwards', () => {
    const words = new Assembler()
      .label('a')
      .emit(1)
      .to('b', (d) => d)
      .to('a', (d) => d)
      .label('b')
      .words()
    expect(words).toEqual([1, 8, 0xffff_fff8])
  })

  it('aligns', () => {
    expect(new Assembler().emit(7).align(16).words()).toHaveLength(4)
    expect(new Assembler().emit(7, 7, 7, 7).align(16).words()).toHaveLength(4)
  })

  it('refuses a label twice, and one that is missing', () => {
    expect(() => new Assembler().label('a').label('a')).toThrow('label a is there already')
    expect(() => new Assembler().to('a', (d) => d).words()).toThrow('no label a')
  })
})
