/** Oopses of arm64, ARMv7 and RISC-V kernels: they begin alike, and tell apart by their registers. */
import { decodeArm64Fault } from '../../fault/arm64.ts'
import { decodeArmv7Fault } from '../../fault/armv7.ts'
import { decodeRiscvTrap } from '../../fault/riscv-cpu.ts'
import type { Facts } from '../facts.ts'
import { type LoggedWalk, missingOf, plainReport, type Reading, type Source } from '../source.ts'
import { LOONGARCH_CODES } from './loongarch.ts'

const HEX = '[0-9a-f]{1,16}'
const entry = (name: string): RegExp => new RegExp(`(?<![\\w])\\*?${name}=(?<${name}_h>${HEX})\\b`, 'g')

export const OOPS: Source = {
  id: 'oops',
  starts: ['nable to handle', 'nhandled'],
  hints: [
    'address',
    'fault',
    'esr',
    'fsc',
    'pgtable',
    'pgd',
    'p4d',
    'pud',
    'pmd',
    'pte',
    'oops',
    'control:',
    'cause',
    'end trace',
    'wnr',
    'estat',
    'badv',
  ],
  opens:
    /(?:Unable to handle (?:kernel|user)[^0-9]{0,60}?\baddress (?:0x)?|[Uu]nhandled (?:level \d )?[\w ()-]{1,60} at (?:0x)?|Unhandled (?:prefetch abort|fault)[^0-9]{0,60}\(0x[0-9a-f]{1,3}\) at (?:0x)?)(?<iova_h>[0-9a-f]{8,16})\b/,
  facts: [
    /\bESR = 0x(?<esr_h>[0-9a-f]{1,16})\b/g,
    /\besr:? 0x(?<esr_h>[0-9a-f]{1,16})\b/g,
    /\bInternal error: [^\n]{0,60}?\b(?<oops_h>[0-9a-f]{1,16}) \[#\d+\]/g,
    /\bUnhandled (?:prefetch abort|fault)[^0-9]{0,60}\(0x(?<oops_h>[0-9a-f]{1,3})\) at/g,
    /\[#\d+\][\w ]* (?<isArm_s>ARM|THUMB2)\b/g,
    /\bEC = 0x(?<ec_h>[0-9a-f]{1,2})\b/g,
    /\bFSC = 0x(?<fsc_h>[0-9a-f]{1,2})\b/g,
    /\bWnR = (?<wnr_d>[01])\b/g,
    /\b(?<space_s>swapper|user) pgtable: (?<page_d>\d{1,3})k pages, (?<va_d>\d{2})-bit VAs, pgdp ?= ?(?:0x)?(?<pgdp_h>[0-9a-f]{8,16})\b/g,
    /\bpgtable: (?<page_d>\d{1,3})K pagesize, (?<va_d>\d{2})-bit VAs, pgdp=0x(?<pgdp_h>[0-9a-f]{8,16})\b/g,
    /\[(?<at_h>[0-9a-f]{8,16})\] \*?pgd=/g,
    ...['pgd', 'p4d', 'pud', 'pmd', 'pte', 'ppte'].map(entry),
    /\bControl: (?<sctlr_h>[0-9a-f]{8})\b/g,
    /\bTable: (?<ttbr0_h>[0-9a-f]{8,16})\b/g,
    /\bDAC: (?<dacr_h>[0-9a-f]{8})\b/g,
    /\bbadaddr: (?<stval_h>[0-9a-f]{8,16})\b/g,
    /\bcause: (?<scause_h>[0-9a-f]{8,16})\b/g,
    /\bESTAT: (?<estat_h>[0-9a-f]{8,16})\b/g,
    /\bBADV: (?<badv_h>[0-9a-f]{8,16})\b/g,
  ],
  lines: 120,
  ends: /---\[ end trace/,
  read(facts) {
    const spoilt = spoiltOf(facts)
    if (spoilt !== undefined) return { kind: 'oops', missing: [spoilt] }
    if (facts.has('estat')) return loongarch(facts)
    if (facts.has('scause') || facts.has('stval')) return riscv(facts)
    if (facts.has('isArm') || facts.has('ttbr0') || facts.has('ppte') || isArmOops(facts)) return armv7(facts)
    if (facts.has('esr') || facts.has('oops') || facts.has('fsc') || facts.has('space')) return arm64(facts)
    const { iova, missing } = addressOf(facts)
    return { kind: 'oops', ...(iova !== undefined && { iova }), missing: ['ESR, FSR or cause', ...missing] }
  },
}

/** Facts that only one architecture prints. */
const MARKS: readonly (readonly string[])[] = [
  ['esr', 'ec', 'fsc', 'space'],
  ['isArm', 'ttbr0', 'dacr', 'ppte'],
  ['scause', 'stval'],
  ['estat', 'badv'],
]

/** Lines of two reports are in one: they contradict each other, or are of two architectures. */
function spoiltOf(facts: Facts): string | undefined {
  if (facts.conflicts.length > 0) return `${facts.conflicts.join(', ')} (the log contradicts itself)`
  const architectures = MARKS.filter((names) => names.some((name) => facts.has(name)))
  return architectures.length > 1 ? 'one report (lines of several architectures are mixed)' : undefined
}

/** A syndrome of AArch64 has an exception class: it is larger than what an FSR can be, but for Linux's bit 31. */
function isArmOops(facts: Facts): boolean {
  const oops = facts.number('oops')
  return oops !== undefined && !facts.has('esr') && (oops & 0x7fff_ffffn) < 0x4000n
}

/** The address stands twice: in the first line and before the entries. */
function addressOf(facts: Facts): { readonly iova: bigint | undefined; readonly missing: readonly string[] } {
  const [iova, at] = [facts.number('iova'), facts.number('at')]
  // kernels print the entries of the page of a tagged address without its tag
  const untagged = (value: bigint): bigint => BigInt.asUintN(56, value)
  if (iova !== undefined && at !== undefined && untagged(iova) !== untagged(at))
    return { iova: undefined, missing: ['the address (the log contradicts itself)'] }
  return { iova, missing: iova === undefined ? ['the address'] : [] }
}

function reading(
  kind: string,
  facts: Facts,
  missing: readonly string[],
  decode: (iova: bigint | undefined) => Reading['report'],
  walk: LoggedWalk | string | undefined,
): Reading {
  const { iova, missing: ofAddress } = addressOf(facts)
  const all = [...missing, ...ofAddress]
  const report = all.length === 0 ? decode(iova) : undefined
  return {
    kind,
    ...(iova !== undefined && { iova }),
    ...(report !== undefined && { report }),
    missing: [...all, ...(typeof walk === 'string' ? [walk] : [])],
    ...(typeof walk === 'object' && { walk }),
  }
}

function arm64(facts: Facts): Reading {
  const esr = facts.number('esr') ?? (facts.conflicts.includes('esr') ? undefined : facts.number('oops'))
  const missing = esr === undefined ? missingOf(facts, { esr: 'ESR' }) : contradictions(facts, esr)
  return reading(
    'arm64',
    facts,
    missing,
    (iova) => decodeArm64Fault(iova === undefined ? [esr ?? 0n] : [esr ?? 0n, iova]),
    arm64Walk(facts),
  )
}

/** The lines below a syndrome decode it again: they are of the same report when they agree. */
function contradictions(facts: Facts, esr: bigint): readonly string[] {
  const oops = facts.number('oops')
  const expected: readonly (readonly [string, bigint])[] = [
    ['ec', (esr >> 26n) & 63n],
    ['fsc', esr & 63n],
    ['oops', esr],
  ]
  const wrong = expected.filter(
    ([name, value]) => facts.has(name) && facts.number(name) !== value && !(name === 'oops' && oops === undefined),
  )
  return wrong.length === 0 && !facts.conflicts.includes('esr') ? [] : ['ESR (the log contradicts itself)']
}

const NAMES = ['pgd', 'p4d', 'pud', 'pmd', 'pte'] as const

/**
 * Entries from the root on. A kernel of fewer levels prints the uppermost one under all names above it: they are the same entry, so that they
 * have to be equal. @returns a text where they are not, or where the top is missing
 */
export function foldedEntries(facts: Facts, levels: number): LoggedWalk['entries'] | string {
  const folded = NAMES.slice(0, NAMES.length - levels + 1)
  if (NAMES.some((name) => facts.conflicts.includes(name))) return 'the entries (the log contradicts itself)'
  const tops = [...new Set(folded.map((name) => facts.number(name)).filter((value) => value !== undefined))]
  if (tops.length > 1) return 'the entries (names of one level have different values)'
  if (NAMES.every((name) => !facts.has(name))) return 'the entries of the walk'
  return [tops[0], ...NAMES.slice(NAMES.length - levels + 1).map((name) => facts.number(name))]
}

export function namesOf(levels: number): readonly string[] {
  return NAMES.slice(NAMES.length - levels)
}

const TG0: Readonly<Record<number, bigint>> = { 4: 0n, 16: 2n, 64: 1n }
const TG1: Readonly<Record<number, bigint>> = { 4: 2n, 16: 1n, 64: 3n }

/** TCR as the header of the walk tells it; what it does not tell (IPS, DS) is the largest that goes with it. */
function arm64Walk(facts: Facts): LoggedWalk | string | undefined {
  if (!facts.has('pgd') && !facts.has('pgdp')) return undefined
  const lacking = missingOf(facts, { pgdp: 'the line "pgtable: …, pgdp="', page: 'the page size', va: 'the bits of virtual addresses' })
  if (lacking.length > 0) return lacking[0]
  const [page, va, pgdp] = [Number(facts.number('page')), Number(facts.number('va')), facts.number('pgdp') ?? 0n]
  const tg = facts.text('space') === 'user' ? TG0[page] : TG1[page]
  if (tg === undefined || va < 16 || va > 52) return `the line "pgtable:" (${page}k pages, ${va} bits)`
  const shift = Math.log2(page * 1024)
  const levels = Math.ceil((va - shift) / (shift - 3))
  const entries = foldedEntries(facts, levels)
  if (typeof entries === 'string') return entries
  const [isUser, lpa2] = [facts.text('space') === 'user', va > 48 && page !== 64]
  const half = BigInt(64 - va) | (tg << 14n)
  const ips = va > 48 ? 6n : 5n
  // the other half's walks are disabled
  const tcr = (isUser ? half | (1n << 23n) : (half << 16n) | (1n << 7n)) | (ips << 32n) | (lpa2 ? 1n << 59n : 0n)
  return { role: 'arm64-stage1', registers: { [isUser ? 'ttbr0' : 'ttbr1']: pgdp, tcr, mair: 0n }, entries, names: namesOf(levels) }
}

function armv7(facts: Facts): Reading {
  const missing = missingOf(facts, { oops: 'FSR' })
  return reading(
    'armv7',
    facts,
    missing,
    (iova) => decodeArmv7Fault(iova === undefined ? [facts.number('oops') ?? 0n] : [facts.number('oops') ?? 0n, iova]),
    armv7Walk(facts),
  )
}

const EAE = 1n << 31n

function armv7Walk(facts: Facts): LoggedWalk | string | undefined {
  if (!facts.has('pgd')) return undefined
  const lacking = missingOf(facts, { ttbr0: 'the line "Control: … Table: …"' })
  if (lacking.length > 0) return lacking[0]
  const [pgd, ttbr0, sctlr, dacr] = ['pgd', 'ttbr0', 'sctlr', 'dacr'].map((name) => facts.number(name))
  const oops = facts.number('oops') ?? 0n
  if ((oops & 0x200n) !== 0n) {
    const registers = { ttbr0: (ttbr0 ?? 0n) & ~0x1fn, ttbcr: EAE, mair0: 0n, mair1: 0n }
    return { role: 'arm32-stage1', registers, entries: [pgd, facts.number('pmd'), facts.number('pte')], names: ['pgd', 'pmd', 'pte'] }
  }
  const registers = { ttbr0, ttbcr: 0n, ...(sctlr !== undefined && { sctlr }), ...(dacr !== undefined && { dacr }) }
  const iova = facts.number('iova') ?? 0n
  // *pte is Linux's own entry, *ppte the hardware's
  const page = facts.number('ppte') ?? (facts.number('pte') === 0n ? 0n : undefined)
  return { role: 'arm-short', registers, entries: [pgd === undefined ? undefined : ofPair(pgd, iova), page], names: ['pgd', 'ppte'] }
}

/** Linux keeps two entries of level 1 together, for 2M, and prints the first. */
function ofPair(first: bigint, iova: bigint): bigint {
  const isSecond = ((iova >> 20n) & 1n) === 1n
  if (!isSecond || (first & 3n) === 0n) return first
  return (first & 3n) === 1n ? first + 0x400n : first + 0x10_0000n
}

function riscv(facts: Facts): Reading {
  const missing = missingOf(facts, { scause: 'cause' })
  return reading(
    'riscv-cpu',
    facts,
    missing,
    (iova) => decodeRiscvTrap([facts.number('scause') ?? 0n, facts.number('stval') ?? iova ?? 0n]),
    riscvWalk(facts),
  )
}

const MODES: Readonly<Record<number, bigint>> = { 39: 8n, 48: 9n, 57: 10n }

function riscvWalk(facts: Facts): LoggedWalk | string | undefined {
  if (!facts.has('pgd') && !facts.has('pgdp')) return undefined
  const lacking = missingOf(facts, { pgdp: 'the line "pgtable: …, pgdp="', va: 'the bits of virtual addresses' })
  if (lacking.length > 0) return lacking[0]
  const [va, pgdp] = [Number(facts.number('va')), facts.number('pgdp') ?? 0n]
  const mode = MODES[va]
  const levels = va === 32 ? 2 : (va - 12) / 9
  const entries = mode === undefined && va !== 32 ? `the line "pgtable:" (${va} bits)` : foldedEntries(facts, levels)
  if (typeof entries === 'string') return entries
  const satp = mode === undefined ? (1n << 31n) | (pgdp >> 12n) : (mode << 60n) | (pgdp >> 12n)
  return { role: va === 32 ? 'riscv32-stage1' : 'riscv-stage1', registers: { satp }, entries, names: namesOf(levels) }
}

function loongarch(facts: Facts): Reading {
  const code = Number(((facts.number('estat') ?? 0n) >> 16n) & 63n)
  const { name, meaning, access, type } = LOONGARCH_CODES[code] ?? { name: `exception code ${code}`, meaning: 'not of a translation' }
  const badv = facts.number('badv')
  const missing = badv === undefined || badv === facts.number('iova') ? [] : ['the address (BADV is another)']
  return reading(
    'loongarch',
    facts,
    missing,
    (iova) =>
      plainReport({
        kind: 'loongarch',
        manual: 'LoongArch Reference Manual, volume 1, 7.4.6 ESTAT',
        name,
        explanation: meaning,
        facts: { code },
        access: { ...(iova !== undefined && { iova }), ...(access !== undefined && { type: access }) },
        fault: type === undefined ? {} : { type, stage: 1 },
      }),
    undefined,
  )
}
