/** Page faults of x86 (SDM volume 3A, 4.7) and EPT violations (SDM volume 3C, 28.2.1, exit qualification). */
import { type FaultType, type Field, field } from '@io-pgtable/core'
import { bit, checkedWord, type FaultAccess, type FaultReport, fieldsOf, reservedText } from './report.ts'

const ERROR = { section: '4.7' }
const ERROR_FIELDS: readonly Field[] = [
  field('P', 0, 0, 'all entries were present', {
    ...ERROR,
    values: { 0: 'an entry is not present', 1: 'a right is missing, or a reserved bit is set' },
  }),
  field('W/R', 1, 1, 'write', { ...ERROR, values: { 0: 'read', 1: 'write' } }),
  field('U/S', 2, 2, 'user', { ...ERROR, values: { 0: 'supervisor', 1: 'user' } }),
  field('RSVD', 3, 3, 'a reserved bit is set in an entry', ERROR),
  field('I/D', 4, 4, 'instruction fetch', ERROR),
  field('PK', 5, 5, 'a protection key forbids it', ERROR),
  field('SS', 6, 6, 'shadow-stack access', ERROR),
  field('HLAT', 7, 7, 'in the walk that the hypervisor manages', ERROR),
  field('SGX', 15, 15, 'by the access control of SGX', ERROR),
  field('RMP', 31, 31, 'by the reverse map table (SEV-SNP)', { section: 'APM 15.36' }),
]
/** Of the codes that a format's `fault` gives: the rest it cannot know. */
const COMPARED = 0x1f

/** Decodes a page-fault error code, and CR2 where it is known. @throws `EINVAL` */
export function decodeX86Fault([error = 0n, cr2]: readonly bigint[]): FaultReport {
  const raw = checkedWord('fault x86', error, 32)
  const told = fieldsOf(raw, ERROR_FIELDS)
  const [present, reserved, byKey] = [bit(raw, 0), bit(raw, 3), bit(raw, 5)]
  const type: FaultType = reserved ? 'reserved' : present ? 'permission' : 'translation'
  const access: FaultAccess = { type: bit(raw, 4) ? 'execute' : bit(raw, 1) ? 'write' : 'read', privileged: !bit(raw, 2) }
  return {
    kind: 'x86',
    manual: 'Intel SDM, volume 3A, 4.7 Page-Fault Exceptions',
    name: '#PF',
    explanation: [errorText(raw, access), ...(told.reserved === 0n ? [] : [reservedText(told.reserved)])].join('; '),
    facts: { present, write: bit(raw, 1), user: bit(raw, 2), reserved, fetch: bit(raw, 4) },
    access: { ...(cr2 !== undefined && { iova: cr2 }), ...access },
    fault: { type, stage: 1 },
    ...(!byKey && { codes: { vector: 14, error: Number(raw) & COMPARED } }),
    ...told,
  }
}

function errorText(raw: bigint, { type, privileged }: FaultAccess): string {
  const what = `a ${privileged ? 'supervisor' : 'user'} ${type === 'execute' ? 'instruction fetch' : type}`
  if (bit(raw, 3)) return `${what}: a reserved bit is set in an entry on the way`
  if (!bit(raw, 0)) return `${what}: an entry on the way is not present`
  if (bit(raw, 5)) return `${what}: the protection key of the page forbids it`
  const by =
    type === 'write' ? 'R/W is 0 at some level' : type === 'execute' ? 'XD is 1 at some level, or SMEP' : 'U/S is 0 at some level, or SMAP'
  return `${what} to a present page without the right: ${by}${!privileged && type === 'write' ? ', or U/S' : ''}`
}

const QUALIFICATION = { section: '28.2.1' }
const EPT_FIELDS: readonly Field[] = [
  field('Read', 0, 0, 'a data read', QUALIFICATION),
  field('Write', 1, 1, 'a data write', QUALIFICATION),
  field('Fetch', 2, 2, 'an instruction fetch', QUALIFICATION),
  field('Readable', 3, 3, 'R of all entries', QUALIFICATION),
  field('Writable', 4, 4, 'W of all entries', QUALIFICATION),
  field('Executable', 5, 5, 'X of all entries (of supervisors, with mode-based control)', QUALIFICATION),
  field('UserExecutable', 6, 6, 'X of users, with mode-based control', QUALIFICATION),
  field('LinearValid', 7, 7, 'the guest linear address is valid', QUALIFICATION),
  field('OfTranslation', 8, 8, 'the access itself', {
    ...QUALIFICATION,
    values: { 0: 'an access to a paging structure of the guest', 1: 'the translation of a linear address' },
  }),
  field('UserLinear', 9, 9, 'a user linear address', QUALIFICATION),
  field('WritableLinear', 10, 10, 'the guest tables allow writes', QUALIFICATION),
  field('ExecuteDisable', 11, 11, 'the guest tables forbid execution', QUALIFICATION),
  field('NmiUnblocking', 12, 12, 'NMI unblocking due to IRET', QUALIFICATION),
  field('ShadowStack', 13, 13, 'a shadow-stack access', QUALIFICATION),
  field('SupervisorShadowStack', 14, 14, 'supervisor shadow-stack control', QUALIFICATION),
  field('GuestPaging', 15, 15, 'by guest-paging verification', QUALIFICATION),
  field('Asynchronous', 16, 16, 'asynchronous to the instruction', QUALIFICATION),
]

/** Decodes an exit qualification, and the guest physical address where it is known. @throws `EINVAL` */
export function decodeEptViolation([qualification = 0n, gpa]: readonly bigint[]): FaultReport {
  const raw = checkedWord('fault ept', qualification, 64)
  const told = fieldsOf(raw, EPT_FIELDS)
  const rights = `${bit(raw, 3) ? 'r' : '-'}${bit(raw, 4) ? 'w' : '-'}${bit(raw, 5) ? 'x' : '-'}`
  const isPresent = rights !== '---' || bit(raw, 6)
  const type = bit(raw, 2) ? ('execute' as const) : bit(raw, 1) ? ('write' as const) : bit(raw, 0) ? ('read' as const) : undefined
  const who = type === undefined ? 'an access' : type === 'execute' ? 'an instruction fetch' : `a ${type}`
  const where = bit(raw, 7) && !bit(raw, 8) ? ' of a paging structure of the guest' : ''
  return {
    kind: 'ept',
    manual: 'Intel SDM, volume 3C, 28.2.1, Exit Qualification for EPT Violations',
    name: 'EPT violation',
    explanation: [
      `${who}${where}: ${isPresent ? `the entries allow ${rights} together` : 'an entry on the way is not present'}`,
      ...(told.reserved === 0n ? [] : [reservedText(told.reserved)]),
    ].join('; '),
    facts: { rights },
    access: { ...(gpa !== undefined && { iova: gpa }), ...(type !== undefined && { type }) },
    fault: { type: isPresent ? 'permission' : 'translation', stage: 2 },
    ...told,
  }
}
