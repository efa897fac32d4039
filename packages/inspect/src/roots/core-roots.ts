/**
 * Roots that a core says by itself: CPU state in the notes that QEMU's dump-guest-memory writes for x86 (CR3 and CR4), and VMCOREINFO, in which
 * a Linux kernel says where its own tables are (Documentation/admin-guide/kdump/vmcoreinfo.rst). Notes of other machines have no such register.
 */
import type { ElfNote, ElfNotes } from '../image/notes.ts'

/** Whose tables: the caller says which format that is. */
export type CoreRole = 'x86-64' | 'x86-pae' | 'x86-32' | 'arm64-stage1' | 'riscv-stage1'

export interface CoreRoot {
  readonly role: CoreRole
  /** Raw, as `rootsFromRegs` of the role's format takes them. */
  readonly registers: Readonly<Record<string, bigint>>
  /** For people: `CPU 0, QEMU's note`. */
  readonly from: string
}

const X86_64 = 62
const I386 = 3
const AARCH64 = 183
const RISCV = 243

/** The roots that notes tell, each once. Empty where none does. */
export function coreRoots(notes: ElfNotes): readonly CoreRoot[] {
  const cpus = notes.notes.filter(({ name, type }) => name === 'QEMU' && type === 0)
  const own = notes.notes.filter(({ name }) => name === 'VMCOREINFO')
  const all = [...cpus.flatMap((note, cpu) => ofCpu(note, cpu, notes.machine)), ...own.flatMap((note) => ofKernel(note, notes.machine))]
  const known = new Set<string>()
  return all.filter(({ role, registers }) => {
    const key = `${role} ${Object.entries(registers).join(' ')}`
    return known.size < known.add(key).size
  })
}

const QEMU_BYTES = 440
const [CR0, CR3, CR4] = [392, 416, 424]
const [PG, PAE, LA57] = [1n << 31n, 1n << 5n, 1n << 12n]

/** QEMU's note of an x86 CPU, version 1: little-endian. Without paging it has no root. */
function ofCpu({ bytes }: ElfNote, cpu: number, machine: number): readonly CoreRoot[] {
  if (bytes.byteLength < QEMU_BYTES || (machine !== X86_64 && machine !== I386)) return []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(0, true) !== 1) return []
  const [cr0, cr3, cr4] = [CR0, CR3, CR4].map((at) => view.getBigUint64(at, true)) as [bigint, bigint, bigint]
  if ((cr0 & PG) === 0n) return []
  const role = machine === X86_64 ? 'x86-64' : (cr4 & PAE) === 0n ? 'x86-32' : 'x86-pae'
  return [{ role, registers: { cr3, cr4 }, from: `CPU ${cpu}, QEMU's note` }]
}

/** `NAME=value` lines; numbers are decimal, or hex with 0x; symbols are hex without it. */
function ofKernel({ bytes }: ElfNote, machine: number): readonly CoreRoot[] {
  const text = new TextDecoder().decode(bytes)
  const lines = new Map(text.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const))
  const info: Info = {
    number: (name) => integer(lines.get(`NUMBER(${name})`)),
    symbol: (name) => integer(`0x${lines.get(`SYMBOL(${name})`) ?? ''}`),
    page: integer(lines.get('PAGESIZE')) ?? 4096n,
  }
  const read = { [X86_64]: x86Kernel, [AARCH64]: arm64Kernel, [RISCV]: riscvKernel }[machine]
  const root = read?.(info)
  if (root === undefined) return []
  const { role, registers, assumed = '' } = root
  return [{ role, registers, from: `the kernel, VMCOREINFO${assumed}` }]
}

interface Info {
  number(name: string): bigint | undefined
  symbol(name: string): bigint | undefined
  readonly page: bigint
}

/** A number of VMCOREINFO: also negative ones, as `phys_base` may be. */
function integer(text: string | undefined): bigint | undefined {
  const [, sign, digits] = /^(-?)(0x[0-9a-f]{1,16}|\d{1,20})$/.exec(text?.trim() ?? '') ?? []
  return digits === undefined ? undefined : sign === '-' ? -BigInt(digits) : BigInt(digits)
}

type Root = (Pick<CoreRoot, 'role' | 'registers'> & { readonly assumed?: string }) | undefined

/** Where x86-64 kernels are linked to. */
const START_KERNEL_MAP = 0xffff_ffff_8000_0000n

function x86Kernel({ number, symbol }: Info): Root {
  const [root, base] = [symbol('swapper_pg_dir') ?? symbol('init_top_pgt'), number('phys_base')]
  if (root === undefined || base === undefined || root < START_KERNEL_MAP) return undefined
  const cr4 = PAE | (number('pgtable_l5_enabled') === 1n ? LA57 : 0n)
  return { role: 'x86-64', registers: { cr3: root - START_KERNEL_MAP + base, cr4 } }
}

/** TG1 by page size, at bit 30. */
const TG1: Readonly<Record<string, bigint>> = { 4096: 2n, 16384: 1n, 65536: 3n }

/** As Linux sets it since 5.10: normal, tagged, not cached, device without and with early acknowledgement. */
const LINUX_MAIR = 0x4_0044_ffffn

/** MAIR is not told: Linux's is taken. IPS is the largest that goes with the page size and the bits. */
function arm64Kernel({ number, symbol, page }: Info): Root {
  const [root, offset, t1sz, tg] = [symbol('swapper_pg_dir'), number('kimage_voffset'), number('TCR_EL1_T1SZ'), TG1[String(page)]]
  if (root === undefined || offset === undefined || t1sz === undefined || tg === undefined || t1sz > 63n) return undefined
  const is52 = t1sz < 16n
  const ds = is52 && page !== 65536n ? 1n << 59n : 0n
  const tcr = (1n << 7n) | (t1sz << 16n) | (tg << 30n) | ((is52 ? 6n : 5n) << 32n) | ds
  return {
    role: 'arm64-stage1',
    registers: { ttbr1: BigInt.asUintN(64, root - offset), tcr, mair: LINUX_MAIR },
    assumed: ', with the MAIR of Linux since 5.10',
  }
}

const MODES: Readonly<Record<string, bigint>> = { 39: 8n, 48: 9n, 57: 10n }

function riscvKernel({ number, symbol }: Info): Root {
  const [root, offset, mode] = [symbol('swapper_pg_dir'), number('va_kernel_pa_offset'), MODES[String(number('VA_BITS'))]]
  if (root === undefined || offset === undefined || mode === undefined) return undefined
  return { role: 'riscv-stage1', registers: { satp: (mode << 60n) | (BigInt.asUintN(56, root - offset) >> 12n) } }
}
