/**
 * The x86-64 guest: 64 KiB of firmware that goes from reset to 64-bit mode with 4 or 5 levels, and a server there that loads, stores and runs
 * at addresses as supervisor and as user, under the tables of the mailbox. Every byte is here, with its instruction beside it; the encoding
 * is that of the Intel SDM, volume 2.
 */
import { COUNT, ENTRIES, ENTRY_BYTES, REGISTERS } from './mailbox.ts'

/** The firmware's last byte is the last below 4 GiB. Its first page is the server, which the tables under test map to itself. */
export const X86_ROM = 0xffff_0000
const ROM_BYTES = 0x1_0000
/** RAM that the tables under test map to itself, for the supervisor alone: descriptor tables, task state, stack. */
export const X86_DATA = { base: 0x10_0000, bytes: 0x3000 } as const
/** Code of user mode. */
export const X86_USER_CODE = 0x10_4000
/** The mailbox, mapped to itself. */
export const X86_MAILBOX = { base: 0x20_0000, bytes: 0x20_0000 } as const

const GDT = X86_DATA.base
const TSS = X86_DATA.base + 0x200
const POINTERS = X86_DATA.base + 0xf00
const IDT = X86_DATA.base + 0x1000
const STACK_TOP = X86_DATA.base + 0x3000
const BOOT16 = 0x1000
const BOOT32 = 0x1100
const BOOT_GDT = 0x1180
/** Tables of the firmware: 4 GiB mapped to themselves in 1-GByte pages. */
const PML4 = 0x2000
const PDPT = 0x3000
const PML5 = 0x4000

const SELECTOR = { code32: 0x08, data: 0x10, code: 0x18, userData: 0x23, userCode: 0x2b, task: 0x30 } as const
const DESCRIPTORS: readonly bigint[] = [
  0n,
  0x00cf_9a00_0000_ffffn,
  0x00cf_9200_0000_ffffn,
  0x00af_9a00_0000_ffffn,
  0x00cf_f200_0000_ffffn,
  0x00af_fa00_0000_ffffn,
]

/** The registers that the mailbox holds, in its order. `leave`: not zero ends `park`. */
export const X86_REGISTERS = ['cr3', 'leave'] as const
/** Operations: what the two privileges do; `park` stays under the tables, where the monitor may ask. */
export const X86_OP = { load: 0, store: 1, run: 2, userLoad: 3, userStore: 4, userRun: 5, park: 6 } as const
const OP_BYTES = 32
/** What comes back: nothing, or a page fault with its error code, or a general protection fault. */
export const X86_FAULT = { page: 0x100, protection: 0x200 } as const

const VECTOR = { protection: 13, page: 14, done: 0x80 } as const

/** Bytes with labels, for one instruction after the other. */
class Bytes {
  readonly #bytes: number[] = []
  readonly #labels = new Map<string, number>()
  readonly #jumps: { readonly at: number; readonly label: string }[] = []

  emit(...bytes: readonly number[]): this {
    this.#bytes.push(...bytes)
    return this
  }
  /** Bytes that end in the distance to a label, 32 bits. */
  to(label: string, ...opcode: readonly number[]): this {
    this.emit(...opcode, 0, 0, 0, 0)
    this.#jumps.push({ at: this.#bytes.length, label })
    return this
  }
  label(name: string): this {
    this.#labels.set(name, this.#bytes.length)
    return this
  }
  align(bytes: number): this {
    while (this.#bytes.length % bytes !== 0) this.#bytes.push(NOP)
    return this
  }
  at(label: string): number {
    const at = this.#labels.get(label)
    if (at === undefined) throw new Error(`no label ${label}`)
    return at
  }
  take(): Uint8Array {
    const bytes = Uint8Array.from(this.#bytes)
    for (const { at, label } of this.#jumps) new DataView(bytes.buffer).setInt32(at - 4, this.at(label) - at, true)
    return bytes
  }
}

const NOP = 0x90

function le(value: number): readonly number[] {
  return [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24]
}

/** The server, in 64-bit mode. rbx the mailbox, r13 entries left, r12 the entry, rsi its address, r14 what came of it, r15 the value. */
function server(bootRoot: number): Bytes {
  const code = new Bytes()
  code.emit(0xbb, ...le(X86_MAILBOX.base)) // mov ebx, mailbox
  // the descriptor tables are there when the first request is
  code.label('wait').emit(0x48, 0x83, 0x3b, 0x00).to('wait', 0x0f, 0x84) // cmp qword [rbx], 0; je wait
  code.emit(0x0f, 0x01, 0x14, 0x25, ...le(POINTERS)) // lgdt [pointers]
  code.emit(0x0f, 0x01, 0x1c, 0x25, ...le(POINTERS + 16)) // lidt [pointers + 16]
  code.emit(0xb8, ...le(SELECTOR.task), 0x0f, 0x00, 0xd8) // mov eax, task; ltr ax
  code.label('poll').emit(0x48, 0x83, 0x3b, 0x00).to('poll', 0x0f, 0x84) // cmp qword [rbx], 0; je poll
  code.emit(0x48, 0x8b, 0x43, REGISTERS, 0x0f, 0x22, 0xd8) // mov rax, [rbx + registers]; mov cr3, rax
  code.emit(0x4c, 0x8b, 0x6b, COUNT) // mov r13, [rbx + count]
  code.emit(0x4c, 0x8d, 0xa3, ...le(ENTRIES)) // lea r12, [rbx + entries]
  code.label('loop').emit(0xbc, ...le(STACK_TOP)) // mov esp, stack
  code.emit(0x49, 0xff, 0xcd).to('done', 0x0f, 0x88) // dec r13; js done
  code.emit(0x49, 0x8b, 0x34, 0x24, 0x49, 0x8b, 0x44, 0x24, 0x08) // mov rsi, [r12]; mov rax, [r12 + 8]
  code.emit(0x4d, 0x8b, 0x7c, 0x24, 0x18) // mov r15, [r12 + 24]
  code.to('operations', 0x48, 0x8d, 0x15) // lea rdx, [operations]
  code.emit(0x48, 0xc1, 0xe0, Math.log2(OP_BYTES), 0x48, 0x01, 0xd0, 0xff, 0xe0) // shl rax, 5; add rax, rdx; jmp rax
  operations(code)
  code
    .label('page')
    .emit(0x4c, 0x8b, 0x34, 0x24, 0x49, 0x81, 0xce, ...le(X86_FAULT.page))
    .to('store', 0xe9) // mov r14, [rsp]; or r14, page
  code
    .label('protection')
    .emit(0x41, 0xbe, ...le(X86_FAULT.protection))
    .to('store', 0xe9) // mov r14d, protection
  code.label('finished').emit(0x45, 0x31, 0xf6) // xor r14d, r14d
  code.label('store').emit(0x4d, 0x89, 0x74, 0x24, 0x10, 0x4d, 0x89, 0x7c, 0x24, 0x18) // mov [r12 + 16], r14; mov [r12 + 24], r15
  code.emit(0x49, 0x83, 0xc4, ENTRY_BYTES).to('loop', 0xe9) // add r12, 32
  code.label('done').emit(0xb8, ...le(bootRoot), 0x0f, 0x22, 0xd8) // mov eax, root; mov cr3, rax
  code.emit(0x48, 0xc7, 0x03, 0, 0, 0, 0).to('poll', 0xe9) // mov qword [rbx], 0
  return code
}

function operations(code: Bytes): void {
  code.align(OP_BYTES).label('operations')
  code.emit(0x4c, 0x8b, 0x3e).to('finished', 0xe9).align(OP_BYTES) // mov r15, [rsi]
  code.emit(0x4c, 0x89, 0x3e).to('finished', 0xe9).align(OP_BYTES) // mov [rsi], r15
  code.emit(0xff, 0xe6).align(OP_BYTES) // jmp rsi
  for (const offset of [0, 16, 32])
    code
      .emit(0xb9, ...le(offset))
      .to('user', 0xe9)
      .align(OP_BYTES) // mov ecx, offset
  code
    .label('park')
    .emit(0x48, 0x83, 0x7b, REGISTERS + 8, 0x00)
    .to('park', 0x0f, 0x84)
    .to('finished', 0xe9)
    .align(OP_BYTES) // cmp qword [rbx + leave], 0; je park
  code.label('user').emit(0x6a, SELECTOR.userData, 0x68, ...le(STACK_TOP), 0x6a, 0x02, 0x6a, SELECTOR.userCode) // push ss, rsp, rflags, cs
  code.emit(0x81, 0xc1, ...le(X86_USER_CODE), 0x51, 0x48, 0xcf) // add ecx, user code; push rcx; iretq
}

/** What user mode runs: a load, a store and a jump, 16 bytes each. */
export function x86UserCode(): Uint8Array {
  const code = new Bytes()
  code.emit(0x4c, 0x8b, 0x3e, 0xcd, VECTOR.done).align(16) // mov r15, [rsi]; int 0x80
  code.emit(0x4c, 0x89, 0x3e, 0xcd, VECTOR.done).align(16) // mov [rsi], r15; int 0x80
  return code.emit(0xff, 0xe6).take() // jmp rsi
}

/** What is run: `int 0x80`. */
export const X86_LANDMARK = 0x80cdn

/** The firmware. */
export function x86Firmware(levels: 4 | 5): Uint8Array {
  const rom = new Uint8Array(ROM_BYTES).fill(0xf4)
  const words = new DataView(rom.buffer)
  const root = X86_ROM + (levels === 5 ? PML5 : PML4)
  rom.set(server(root).take(), 0)
  const boot16 = new Bytes()
    .emit(0xfa, 0x2e, 0x66, 0x0f, 0x01, 0x16, BOOT_GDT & 255, BOOT_GDT >> 8) // cli; lgdt cs:[pointer]
    .emit(0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0) // mov eax, cr0; or al, PE; mov cr0, eax
    .emit(0x66, 0xea, ...le(X86_ROM + BOOT32), SELECTOR.code32, 0x00) // jmp code32:boot32
  rom.set(boot16.take(), BOOT16)
  const boot32 = new Bytes()
    .emit(0x66, 0xb8, SELECTOR.data, 0x00, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0) // mov ax, data; mov ds, es, ss
    .emit(0xb8, ...le(levels === 5 ? 0x1020 : 0x20), 0x0f, 0x22, 0xe0) // mov eax, PAE (and LA57); mov cr4, eax
    .emit(0xb8, ...le(root), 0x0f, 0x22, 0xd8) // mov eax, root; mov cr3, eax
    .emit(0xb9, ...le(0xc000_0080), 0x0f, 0x32, 0x0d, ...le(0x900), 0x0f, 0x30) // mov ecx, EFER; rdmsr; or eax, LME | NXE; wrmsr
    .emit(0xb8, ...le(0x8001_0011), 0x0f, 0x22, 0xc0) // mov eax, PG | WP | ET | PE; mov cr0, eax
    .emit(0xea, ...le(X86_ROM), SELECTOR.code, 0x00) // jmp code:server
  rom.set(boot32.take(), BOOT32)
  // limit and address, then the descriptors themselves
  words.setUint16(BOOT_GDT, DESCRIPTORS.length * 8 - 1, true)
  words.setUint32(BOOT_GDT + 2, X86_ROM + BOOT_GDT + 8, true)
  for (const [i, descriptor] of DESCRIPTORS.entries()) words.setBigUint64(BOOT_GDT + 8 + 8 * i, descriptor, true)
  for (let i = 0; i < 4; i++) words.setBigUint64(PDPT + 8 * i, (BigInt(i) << 30n) | 0xe3n, true)
  words.setBigUint64(PML4, BigInt(X86_ROM + PDPT) | 0x23n, true)
  words.setBigUint64(PML5, BigInt(X86_ROM + PML4) | 0x23n, true)
  // at reset: jmp boot16
  rom.set([0xe9, (BOOT16 - 0xfff3) & 255, ((BOOT16 - 0xfff3) >> 8) & 255], 0xfff0)
  return rom
}

/** The descriptor tables, from X86_DATA.base on, which must be in RAM before the first request. */
export function x86Data(): Uint8Array {
  const bytes = new Uint8Array(X86_DATA.bytes)
  const words = new DataView(bytes.buffer)
  const at = (address: number): number => address - X86_DATA.base
  for (const [i, descriptor] of DESCRIPTORS.entries()) words.setBigUint64(at(GDT) + 8 * i, descriptor, true)
  const task = 0x0000_8900_0000_0067n | (BigInt(TSS & 0xff_ffff) << 16n) | (BigInt(TSS >>> 24) << 56n)
  words.setBigUint64(at(GDT) + SELECTOR.task, task, true)
  words.setBigUint64(at(TSS) + 4, BigInt(STACK_TOP), true)
  words.setUint16(at(TSS) + 102, 104, true)
  const code = server(0)
  for (const [name, vector] of [
    ['protection', VECTOR.protection],
    ['page', VECTOR.page],
    ['finished', VECTOR.done],
  ] as const)
    words.setBigUint64(at(IDT) + 16 * vector, gate(X86_ROM + code.at(name)), true)
  for (const [i, [address, limit]] of [
    [GDT, 0x3f],
    [IDT, 16 * (VECTOR.done + 1) - 1],
  ].entries()) {
    words.setUint16(at(POINTERS) + 16 * i, limit ?? 0, true)
    words.setUint32(at(POINTERS) + 16 * i + 2, address ?? 0, true)
  }
  return bytes
}

/** The low half of an interrupt gate that user mode may call; the handler lies below 4 GiB. */
function gate(handler: number): bigint {
  const address = BigInt(handler)
  return (address & 0xffffn) | (BigInt(SELECTOR.code) << 16n) | (0xee00n << 32n) | ((address >> 16n) << 48n)
}
