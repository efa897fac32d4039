/**
 * The page-table entries of all RISC-V paged virtual-memory systems, as kinds and fields.
 * The RISC-V Instruction Set Manual, volume II: Privileged Architecture (20250508): Supervisor-Level ISA, "Sv32", "Sv39", "Sv48", "Sv57",
 * "Virtual Address Translation Process"; the extensions Svnapot, Svpbmt, Svrsw60t59b, Zicfiss; Hypervisor Extension, "Guest Physical
 * Address Translation". Sections are cited by name, since their numbers change between editions. Levels are the manual's i: pages are 0.
 */
import {
  ALWAYS,
  bitsOf,
  type FaultType,
  type Field,
  field,
  type Kind,
  type LeafKind,
  type LevelNode,
  type Match,
  ones,
  SZ_4K,
  SZ_64K,
  type TableKind,
  when,
} from '@io-pgtable/core'
import { A, N, NAPOT_64K, NAPOT_MASK, R, U, V, W, X } from './bits.ts'
import { RISCV_G_GRANTS, RISCV_GLOBAL, RISCV_GRANTS, RISCV_MEMORY, RISCV_SHADOW_GRANTS, riscvTraps, riscvUpdates } from './rights.ts'

/** What an implementation may have beyond the base: each gives a meaning to bits that are reserved without it. */
export type RiscvExtension = 'Svnapot' | 'Svpbmt' | 'Svrsw60t59b' | 'Zicfiss'

/** One paged virtual-memory system. */
export interface RiscvScheme {
  /** LEVELS: the root is level `levels` - 1. */
  readonly levels: 2 | 3 | 4 | 5
  /** PTESIZE, bytes. 4: Sv32, with PPNs of 22 bits; the 64-bit-only extensions do not apply. */
  readonly entryBytes: 4 | 8
  /** G-stage translation (Sv39x4 and so on): a root of four times the size, and only leaves with U translate. */
  readonly gStage: boolean
  readonly extensions: readonly RiscvExtension[]
}

const LEAF_NAMES = ['page', 'megapage', 'gigapage', 'terapage', 'petapage']
const PERMISSIONS = R | W | X

/** The nodes of a scheme, the root first. */
export function riscvNodes(scheme: RiscvScheme): readonly LevelNode[] {
  const indexBits = indexBitsOf(scheme)
  return Array.from({ length: scheme.levels }, (_, i) => {
    const level = scheme.levels - 1 - i
    const extra = scheme.gStage && i === 0 ? 2 : 0
    return {
      id: `L${level}`,
      level,
      name: `level ${level}`,
      shift: 12 + indexBits * level,
      bits: indexBits + extra,
      entryBytes: scheme.entryBytes,
      tableBytes: SZ_4K << extra,
      empty: 0n,
      kinds: kindsAt(scheme, level),
    }
  })
}

function indexBitsOf({ entryBytes }: RiscvScheme): number {
  return entryBytes === 8 ? 9 : 10
}

/** The highest bit of the PPN. */
function ppnTop({ entryBytes }: RiscvScheme): number {
  return entryBytes === 8 ? 53 : 31
}

function has(scheme: RiscvScheme, extension: RiscvExtension): boolean {
  return scheme.extensions.includes(extension)
}

function kindsAt(scheme: RiscvScheme, level: number): readonly Kind[] {
  const shadow = has(scheme, 'Zicfiss') && !scheme.gStage ? leavesAt(scheme, level, 'shadow stack ', when(PERMISSIONS, W)) : []
  return [
    { type: 'empty', name: 'not valid', match: when(V, 0n), fields: [] },
    ...shadow,
    invalid('writable, not readable', when(R | W, W), 'reserved'),
    level === 0 ? invalid('pointer at level 0', when(PERMISSIONS, 0n)) : pointer(scheme, level),
    // Every access counts as one of user mode there, so that nothing may use the page.
    ...(scheme.gStage ? [invalid('not a user page', when(U, 0n), 'permission')] : []),
    ...leavesAt(scheme, level),
  ]
}

function invalid(name: string, match: Match, fault: FaultType = 'translation'): Kind {
  return { type: 'invalid', name, match, fields: [], fault }
}

function pointer(scheme: RiscvScheme, level: number): TableKind {
  return {
    type: 'table',
    name: 'pointer',
    match: when(PERMISSIONS, 0n),
    set: V,
    address: [[ppnTop(scheme), 10, 12]],
    child: `L${level - 1}`,
    fields: pointerFields(scheme),
    ...(!scheme.gStage && { global: RISCV_GLOBAL }),
  }
}

/** The leaves of a level. `special`: entries with these permission bits, which are only read; otherwise all that are left. */
function leavesAt(scheme: RiscvScheme, level: number, prefix = '', special: Match | undefined = undefined): readonly Kind[] {
  const base = special ?? ALWAYS
  const napot = has(scheme, 'Svnapot') && scheme.entryBytes === 8
  const encode = special === undefined
  const set = encode ? V | R | A | (scheme.gStage ? U : 0n) : V
  const leaf = (name: string, match: Match, sizes: LeafKind['sizes'], low: number): LeafKind => {
    const fields = leafFields(scheme).filter((f) => (bitsOf(f.pieces) & match.mask) === 0n)
    const address = [[ppnTop(scheme), low, low + 2]] as const
    return { type: 'leaf', name: prefix + name, match, set, address, sizes, fields, ...meanings(scheme, special !== undefined) }
  }
  if (level > 0) {
    const low = 10 + indexBitsOf(scheme) * level
    const aligned = both(base, when(ones(low - 1, 10) | (napot ? N : 0n), 0n))
    const name = LEAF_NAMES[level] ?? ''
    const reserved = napot ? [invalid('reserved NAPOT', both(base, when(N, N)), 'reserved')] : []
    return [
      leaf(name, aligned, [{ pgsize: 2 ** (low + 2), slots: 1, encode }], low),
      ...reserved,
      invalid(`misaligned ${name}`, base, 'misaligned'),
    ]
  }
  const pages = [{ pgsize: SZ_4K, slots: 1, encode }]
  if (!napot) return [leaf('page', base, pages, 10)]
  const range = leaf('64K NAPOT page', both(base, when(N | NAPOT_MASK, NAPOT_64K)), [{ pgsize: SZ_64K, slots: 16, encode }], 14)
  const page = leaf('page', both(base, when(N, 0n)), pages, 10)
  return [{ ...range, set: set | NAPOT_64K }, page, invalid('reserved NAPOT', base, 'reserved')]
}

function meanings(scheme: RiscvScheme, shadow: boolean): Pick<LeafKind, 'grants' | 'traps' | 'memory' | 'global' | 'updates'> {
  const pbmt = has(scheme, 'Svpbmt') && scheme.entryBytes === 8
  const writable = shadow ? [] : ['W']
  return {
    grants: scheme.gStage ? RISCV_G_GRANTS : shadow ? RISCV_SHADOW_GRANTS : RISCV_GRANTS,
    traps: riscvTraps(writable, pbmt),
    ...(pbmt && { memory: RISCV_MEMORY }),
    ...(!scheme.gStage && { global: RISCV_GLOBAL }),
    updates: riscvUpdates,
  }
}

function both(a: Match, b: Match): Match {
  return { mask: a.mask | b.mask, value: a.value | b.value }
}

const SV32 = 'Sv32, Addressing and Memory Protection'
const SV39 = 'Sv39, Addressing and Memory Protection'

function globalField({ gStage }: RiscvScheme, doc: string): Field {
  if (gStage) return field('G', 5, 5, 'not used; ignored by hardware', { section: 'Hypervisor, Guest Physical Address Translation' })
  return field('G', 5, 5, doc, { section: SV32 })
}

function leafFields(scheme: RiscvScheme): readonly Field[] {
  return [
    field('V', 0, 0, 'valid', { section: SV32 }),
    field('R', 1, 1, 'reads are allowed', { section: SV32 }),
    field('W', 2, 2, 'writes are allowed', { section: SV32 }),
    field('X', 3, 3, 'instruction fetches are allowed', { section: SV32 }),
    field('U', 4, 4, 'a page of user mode', { section: SV32 }),
    globalField(scheme, 'global: in all address spaces'),
    field('A', 6, 6, 'accessed', { section: SV32, values: { 0: 'an access faults, or sets it', 1: 'accessed' } }),
    field('D', 7, 7, 'dirty', { section: SV32, values: { 0: 'a write faults, or sets it', 1: 'written to' } }),
    field('RSW', 9, 8, 'for software', { section: SV32 }),
    ...(scheme.entryBytes === 8 ? leafFields64(scheme) : []),
  ]
}

function leafFields64(scheme: RiscvScheme): readonly Field[] {
  return [
    ...reserved60(scheme),
    has(scheme, 'Svpbmt')
      ? field('PBMT', 62, 61, 'page-based memory type', { section: 'Svpbmt', values: PBMT_VALUES, reservedValues: [3] })
      : field('PBMT', 62, 61, 'reserved: no Svpbmt', { section: SV39, reserved: 'faults' }),
    has(scheme, 'Svnapot')
      ? field('N', 63, 63, 'one of a naturally aligned range of equal entries', { section: 'Svnapot' })
      : field('N', 63, 63, 'reserved: no Svnapot', { section: SV39, reserved: 'faults' }),
  ]
}

const PBMT_VALUES: Readonly<Record<number, string>> = {
  0: 'PMA: as the physical memory attributes say',
  1: 'NC: non-cacheable, idempotent, weakly ordered main memory',
  2: 'IO: non-cacheable, non-idempotent, strongly ordered I/O',
  3: 'reserved: an access faults',
}

function pointerFields(scheme: RiscvScheme): readonly Field[] {
  return [
    field('V', 0, 0, 'valid', { section: SV32 }),
    field('U', 4, 4, 'reserved in pointers', { section: SV32, reserved: 'faults' }),
    globalField(scheme, 'everything below is global'),
    field('A', 6, 6, 'reserved in pointers', { section: SV32, reserved: 'faults' }),
    field('D', 7, 7, 'reserved in pointers', { section: SV32, reserved: 'faults' }),
    field('RSW', 9, 8, 'for software', { section: SV32 }),
    ...(scheme.entryBytes === 8 ? pointerFields64(scheme) : []),
  ]
}

function pointerFields64(scheme: RiscvScheme): readonly Field[] {
  return [
    ...reserved60(scheme),
    field('PBMT', 62, 61, 'reserved in pointers', { section: 'Svpbmt', reserved: 'faults' }),
    field('N', 63, 63, 'reserved in pointers', { section: 'Svnapot', reserved: 'faults' }),
  ]
}

function reserved60(scheme: RiscvScheme): readonly Field[] {
  if (!has(scheme, 'Svrsw60t59b')) return [field('Reserved', 60, 54, 'reserved: an access faults', { section: SV39, reserved: 'faults' })]
  return [
    field('Reserved', 58, 54, 'reserved: an access faults', { section: SV39, reserved: 'faults' }),
    field('RSW60T59', 60, 59, 'for software', { section: 'Svrsw60t59b' }),
  ]
}
