/** Traps of a RISC-V hart: RISC-V Privileged Architecture (20250508), scause and stval; the hypervisor extension. */
import { type AccessKind, type FaultType, type Field, field } from '@io-pgtable/core'
import { checkedWord, type FaultReport, fieldsOf } from './report.ts'

const MANUAL = 'RISC-V Privileged Architecture (20250508), Supervisor Cause Register (scause)'

interface Cause {
  readonly name: string
  readonly access?: AccessKind
  readonly type?: FaultType
  readonly stage?: 1 | 2
}

const cause = (name: string, access?: AccessKind, type?: FaultType, stage?: 1 | 2): Cause => ({
  name,
  ...(access !== undefined && { access }),
  ...(type !== undefined && { type }),
  ...(stage !== undefined && { stage }),
})

/** Page faults do not tell why: the tables do. Until then they are translation faults. */
const CAUSES: Readonly<Record<number, Cause>> = {
  0: cause('instruction address misaligned', 'execute', 'misaligned'),
  1: cause('instruction access fault', 'execute', 'walk-abort'),
  2: cause('illegal instruction'),
  3: cause('breakpoint'),
  4: cause('load address misaligned', 'read', 'misaligned'),
  5: cause('load access fault', 'read', 'walk-abort'),
  6: cause('store/AMO address misaligned', 'write', 'misaligned'),
  7: cause('store/AMO access fault', 'write', 'walk-abort'),
  8: cause('environment call from U-mode or VU-mode'),
  9: cause('environment call from HS-mode'),
  10: cause('environment call from VS-mode'),
  11: cause('environment call from M-mode'),
  12: cause('instruction page fault', 'execute', 'translation', 1),
  13: cause('load page fault', 'read', 'translation', 1),
  15: cause('store/AMO page fault', 'write', 'translation', 1),
  16: cause('double trap'),
  18: cause('software check'),
  19: cause('hardware error'),
  20: cause('instruction guest-page fault', 'execute', 'translation', 2),
  21: cause('load guest-page fault', 'read', 'translation', 2),
  22: cause('virtual instruction'),
  23: cause('store/AMO guest-page fault', 'write', 'translation', 2),
}
const ACCESS_FAULTS = [1, 5, 7]

const SECTION = { section: 'scause' }
const NAMES = Object.fromEntries(Object.entries(CAUSES).map(([code, { name }]) => [code, name]))
const FIELDS: readonly Field[] = [
  field('Code', 62, 0, 'exception code', { ...SECTION, values: NAMES }),
  field('Interrupt', 63, 63, 'an interrupt', SECTION),
]

/** Decodes scause, and stval where it is known. Bit 31 of a value of 32 bits marks an interrupt of RV32. @throws `EINVAL` */
export function decodeRiscvTrap([scause = 0n, stval]: readonly bigint[]): FaultReport {
  const raw = checkedWord('fault riscv-cpu', scause, 64)
  const isInterrupt = raw >> 63n === 1n || raw >> 31n === 1n
  const code = Number(raw & 0x7fff_ffffn)
  const { name, access, type, stage } = isInterrupt
    ? cause(`interrupt ${code}`)
    : (CAUSES[code] ?? cause(`reserved or custom cause ${code}`))
  return {
    kind: 'riscv-cpu',
    manual: MANUAL,
    name,
    explanation: explanationOf(name, code, type, stage, isInterrupt),
    facts: { cause: code },
    access: { ...(stval !== undefined && access !== undefined && { iova: stval }), ...(access !== undefined && { type: access }) },
    fault: { ...(type !== undefined && { type }), ...(stage !== undefined && { stage }) },
    ...(stage !== undefined && { codes: { cause: code } }),
    ...(ACCESS_FAULTS.includes(code) && !isInterrupt && { codes: { cause: code } }),
    ...fieldsOf(raw, FIELDS),
  }
}

function explanationOf(name: string, code: number, type: FaultType | undefined, stage: 1 | 2 | undefined, isInterrupt: boolean): string {
  if (stage !== undefined) return `${name}: the cause does not tell whether an entry is not valid, lacks the right, or has A or D clear`
  if (!isInterrupt && ACCESS_FAULTS.includes(code)) return `${name}: refused by PMP or PMA, on a walk or of the access itself`
  return type === undefined ? `${name}: not of a translation` : name
}
