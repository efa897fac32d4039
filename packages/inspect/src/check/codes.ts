/** What a check can find: stable codes, how bad each is, and what it means. */
import type { Severity } from '../finding.ts'

export interface CodeInfo {
  readonly severity: Severity
  readonly what: string
}

export type CheckCode =
  | 'reserved-bits'
  | 'reserved-value'
  | 'access-flag'
  | 'domain'
  | 'misaligned-block'
  | 'illegal-kind'
  | 'table-unknown'
  | 'table-misaligned'
  | 'address-out-of-range'
  | 'cycle'
  | 'table-shared'
  | 'table-two-levels'
  | 'repeat-inconsistent'
  | 'contiguous-inconsistent'
  | 'alias-attributes'
  | 'alias-permissions'
  | 'writable-executable'
  | 'maps-tables'
  | 'forbidden'
  | 'work-limit'

/** Every code of a check. A policy may change the severities, or turn a code off. */
export const CHECK_CODES: Readonly<Record<CheckCode, CodeInfo>> = {
  'reserved-bits': { severity: 'error', what: 'bits are set that are reserved; a warning where no walk ends at them' },
  'reserved-value': { severity: 'error', what: 'a field has a reserved value, and every access faults' },
  'access-flag': { severity: 'error', what: 'the access flag is clear: every access faults, since hardware does not set it' },
  domain: { severity: 'error', what: 'the domain lets no access through' },
  'misaligned-block': { severity: 'error', what: 'the address of a block or large page is no multiple of its size' },
  'illegal-kind': { severity: 'error', what: 'a descriptor of a kind that a sound table does not have at this level' },
  'table-unknown': { severity: 'error', what: 'a table, or its end, lies in memory that the image does not know' },
  'table-misaligned': { severity: 'error', what: 'a table is not aligned as the hardware needs it' },
  'address-out-of-range': { severity: 'error', what: 'a table, or what a leaf translates to, is beyond the address bits of the hardware' },
  cycle: { severity: 'error', what: 'a table is reached below itself' },
  'table-shared': { severity: 'note', what: 'descriptors point to the same table at the same level: one note a table' },
  'table-two-levels': { severity: 'error', what: 'the same memory is a table of two levels' },
  'repeat-inconsistent': { severity: 'error', what: 'the entries of one large page are not all the same' },
  'contiguous-inconsistent': {
    severity: 'error',
    what: 'entries with a contiguous hint do not make one aligned range of equal attributes',
  },
  'alias-attributes': { severity: 'warning', what: 'the same physical memory is mapped with different memory types' },
  'alias-permissions': { severity: 'note', what: 'the same physical memory is mapped writable here and executable there' },
  'writable-executable': {
    severity: 'warning',
    what: "a mapping may be written and executed by the same party (a CPU's own first stage alone)",
  },
  'maps-tables': { severity: 'warning', what: 'the tables themselves can be written through a mapping' },
  forbidden: { severity: 'error', what: 'a mapping touches a range that the policy forbids' },
  'work-limit': { severity: 'error', what: 'the check ended before it was through' },
}

/** Whether a text is a code. */
export function isCheckCode(code: string): code is CheckCode {
  return Object.hasOwn(CHECK_CODES, code)
}
