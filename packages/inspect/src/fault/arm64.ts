/** Syndromes of AArch64: Arm Architecture Reference Manual DDI 0487, ESR_ELx (EC, ISS of instruction and data aborts), FAR_ELx. */
import { type FaultType, type Field, field } from '@io-pgtable/core'
import { bit, checkedWord, type FaultReport, fieldsOf, small } from './report.ts'

const MANUAL = 'Arm Architecture Reference Manual DDI 0487, ESR_ELx'

/** Classes that are no abort, for their names alone. */
const CLASSES: Readonly<Record<number, string>> = {
  0: 'unknown reason',
  1: 'trapped WFI or WFE',
  7: 'trapped SVE, SIMD or floating point',
  13: 'branch target exception',
  14: 'illegal execution state',
  17: 'SVC of AArch32',
  21: 'SVC',
  22: 'HVC',
  23: 'SMC',
  24: 'trapped MSR, MRS or system instruction',
  25: 'trapped SVE',
  28: 'pointer authentication failure',
  30: 'granule protection check exception',
  32: 'instruction abort from a lower exception level',
  33: 'instruction abort at the same exception level',
  34: 'PC alignment fault',
  36: 'data abort from a lower exception level',
  37: 'data abort at the same exception level',
  38: 'SP alignment fault',
  44: 'trapped floating point exception',
  45: 'guarded control stack exception',
  47: 'SError',
  48: 'breakpoint from a lower exception level',
  49: 'breakpoint at the same exception level',
  50: 'software step from a lower exception level',
  51: 'software step at the same exception level',
  52: 'watchpoint from a lower exception level',
  53: 'watchpoint at the same exception level',
  60: 'BRK',
}

export interface Status {
  readonly name: string
  readonly type?: FaultType
  readonly level?: number
}

/** Of four codes, one a level. */
const LEVELLED: readonly (readonly [first: number, name: string, type?: FaultType])[] = [
  [0x00, 'address size fault', 'address-size'],
  [0x04, 'translation fault', 'translation'],
  [0x08, 'access flag fault', 'access-flag'],
  [0x0c, 'permission fault', 'permission'],
  [0x14, 'synchronous external abort on a walk', 'walk-abort'],
  [0x1c, 'synchronous parity or ECC error on a walk', 'walk-abort'],
  [0x24, 'granule protection fault on a walk'],
]
const OTHERS: Readonly<Record<number, Status>> = {
  16: { name: 'synchronous external abort, not on a walk' },
  17: { name: 'synchronous tag check fault' },
  18: { name: 'synchronous external abort on a walk, level -2', type: 'walk-abort', level: -2 },
  19: { name: 'synchronous external abort on a walk, level -1', type: 'walk-abort', level: -1 },
  24: { name: 'synchronous parity or ECC error, not on a walk' },
  27: { name: 'synchronous parity or ECC error on a walk, level -1', type: 'walk-abort', level: -1 },
  33: { name: 'alignment fault', type: 'misaligned' },
  34: { name: 'granule protection fault on a walk, level -2', level: -2 },
  35: { name: 'granule protection fault on a walk, level -1', level: -1 },
  40: { name: 'granule protection fault, not on a walk' },
  41: { name: 'address size fault, level -1', type: 'address-size', level: -1 },
  42: { name: 'translation fault, level -2', type: 'translation', level: -2 },
  43: { name: 'translation fault, level -1', type: 'translation', level: -1 },
  44: { name: 'address size fault, level -2', type: 'address-size', level: -2 },
  48: { name: 'TLB conflict abort' },
  49: { name: 'unsupported atomic hardware update' },
  52: { name: 'lockdown: implementation defined' },
  53: { name: 'unsupported exclusive or atomic access: implementation defined' },
}

/** What a fault status code of long descriptors says: DFSC and IFSC, and STATUS of DFSR and IFSR. */
export function longStatus(code: number): Status {
  const group = LEVELLED.find(([first]) => code >= first && code < first + 4)
  if (group === undefined) return OTHERS[code] ?? { name: `reserved status 0x${code.toString(16)}` }
  const [first, name, type] = group
  const level = code - first
  return { name: `${name}, level ${level}`, level, ...(type !== undefined && { type }) }
}

const SECTION = { section: 'ESR_ELx' }
const HEAD: readonly Field[] = [
  field('EC', 31, 26, 'exception class', { ...SECTION, values: CLASSES }),
  field('IL', 25, 25, 'the instruction has 32 bits', SECTION),
]
const STATUSES = Object.fromEntries(Array.from({ length: 64 }, (_, code) => [code, longStatus(code).name]))
const ABORT: readonly Field[] = [
  ...HEAD,
  field('FSC', 5, 0, 'fault status code', { ...SECTION, values: STATUSES }),
  field('S1PTW', 7, 7, 'stage 2 fault of a walk of stage 1', SECTION),
  field('EA', 9, 9, 'external abort type', SECTION),
  field('FnV', 10, 10, 'FAR is not valid', SECTION),
  field('SET', 12, 11, 'synchronous error type', SECTION),
]
const DATA: readonly Field[] = [
  ...ABORT,
  field('WnR', 6, 6, 'write', { ...SECTION, values: { 0: 'read', 1: 'write' } }),
  field('CM', 8, 8, 'cache maintenance or address translation instruction', SECTION),
  field('VNCR', 13, 13, 'of an access through VNCR_EL2', SECTION),
  field('AR', 14, 14, 'acquire or release', SECTION),
  field('SF', 15, 15, 'a register of 64 bits', SECTION),
  field('SRT', 20, 16, 'the register', SECTION),
  field('SSE', 21, 21, 'sign-extended', SECTION),
  field('SAS', 23, 22, 'size of the access', { ...SECTION, values: { 0: 'byte', 1: 'halfword', 2: 'word', 3: 'doubleword' } }),
  field('ISV', 24, 24, 'bits 23:14 are valid', SECTION),
  field('ISS2', 55, 32, 'of newer extensions', SECTION),
]
const PLAIN: readonly Field[] = [...HEAD, field('ISS', 24, 0, 'syndrome', SECTION), field('ISS2', 55, 32, 'of newer extensions', SECTION)]

const INSTRUCTION_ABORTS = [0x20, 0x21]
const DATA_ABORTS = [0x24, 0x25]

/** Decodes ESR, and FAR where it is known. @throws `EINVAL` */
export function decodeArm64Fault([esr = 0n, far]: readonly bigint[]): FaultReport {
  const raw = checkedWord('fault arm64', esr, 64)
  const ec = small(raw, 31, 26)
  const isData = DATA_ABORTS.includes(ec)
  const isAbort = isData || INSTRUCTION_ABORTS.includes(ec)
  const className = CLASSES[ec] ?? `exception class 0x${ec.toString(16)}`
  const told = fieldsOf(raw, isData ? DATA : isAbort ? ABORT : PLAIN)
  const base = { kind: 'arm64', manual: MANUAL, ...told } as const
  if (!isAbort)
    return {
      ...base,
      name: className,
      explanation: `${className}: not of a translation`,
      facts: {},
      access: { ...(far !== undefined && { iova: far }) },
      fault: {},
    }
  return { ...base, ...abort(raw, far, isData, className) }
}

type Abort = Pick<FaultReport, 'name' | 'explanation' | 'facts' | 'access' | 'fault' | 'codes'>

function abort(raw: bigint, far: bigint | undefined, isData: boolean, className: string): Abort {
  const { name, type, level } = longStatus(small(raw, 5, 0))
  const nested = bit(raw, 7)
  const isMaintenance = isData && bit(raw, 8)
  // the address of a walk of stage 1 is not the one that was accessed
  const isLower = !bit(raw, 26)
  const notes = [
    ...(nested ? ['stage 2 refused a walk of stage 1'] : []),
    ...(isMaintenance ? ['by a cache maintenance or address translation instruction, which counts as a write'] : []),
    ...(bit(raw, 10) ? ['FnV: FAR holds no address'] : []),
  ]
  const access = isData ? (bit(raw, 6) ? 'write' : 'read') : 'execute'
  return {
    name,
    explanation: [`${className}: ${name}`, ...notes].join('; '),
    facts: { class: className },
    access: { ...(far !== undefined && !bit(raw, 10) && { iova: far }), type: access, ...(!nested && { privileged: !isLower }) },
    fault: {
      ...(type !== undefined && { type }),
      ...(level !== undefined && { level }),
      ...(type !== undefined && { stage: nested ? (2 as const) : (1 as const) }),
    },
    ...(type !== undefined && type !== 'misaligned' && { codes: { FSC: small(raw, 5, 0) } }),
  }
}
