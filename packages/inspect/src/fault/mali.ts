/** Fault status of an address space of a Mali GPU's MMU (Midgard, Bifrost, Valhall): AS_FAULTSTATUS, AS_FAULTADDRESS. */
import { type AccessKind, type FaultType, type Field, field } from '@io-pgtable/core'
import { checkedWord, type FaultReport, fieldsOf, small } from './report.ts'

interface Group {
  readonly first: number
  readonly last: number
  readonly name: string
  readonly meaning: string
  readonly type?: FaultType
}

/** Exception codes, one a level. */
const GROUPS: readonly Group[] = [
  { first: 0xc0, last: 0xc6, name: 'TRANSLATION_FAULT', meaning: 'nothing is mapped', type: 'translation' },
  { first: 0xc8, last: 0xcf, name: 'PERMISSION_FAULT', meaning: 'the entry does not allow this access', type: 'permission' },
  { first: 0xd0, last: 0xd7, name: 'TRANSTAB_BUS_FAULT', meaning: 'a table could not be read', type: 'walk-abort' },
  { first: 0xd8, last: 0xdf, name: 'ACCESS_FLAG', meaning: 'the access flag is 0', type: 'access-flag' },
  { first: 0xe0, last: 0xe3, name: 'ADDRESS_SIZE_FAULT_IN', meaning: 'the input address has too many bits', type: 'address-size' },
  { first: 0xe4, last: 0xe7, name: 'ADDRESS_SIZE_FAULT_OUT', meaning: 'the output address has too many bits', type: 'address-size' },
  {
    first: 0xe8,
    last: 0xef,
    name: 'MEMORY_ATTRIBUTE_FAULT',
    meaning: 'the memory attributes of the entry are not valid',
    type: 'misconfigured',
  },
]
const IDENTITY = 0xc7
const ACCESSES: readonly (AccessKind | undefined)[] = [undefined, 'execute', 'read', 'write']
const ACCESS_NAMES = { 0: 'atomic', 1: 'execute', 2: 'read', 3: 'write' }

const FIELDS: readonly Field[] = [
  field('EXCEPTION_TYPE', 7, 0, 'the exception'),
  field('ACCESS_TYPE', 9, 8, 'the access', { values: ACCESS_NAMES }),
  field('DECODE', 10, 10, 'who was served', { values: { 0: 'slave fault', 1: 'decoder fault' } }),
  field('SOURCE_ID', 31, 16, 'the unit of the GPU'),
]

/** Decodes FAULTSTATUS, and FAULTADDRESS where it is known. @throws `EINVAL` */
export function decodeMaliFault([status = 0n, address]: readonly bigint[]): FaultReport {
  const raw = checkedWord('fault mali', status, 32)
  const code = small(raw, 7, 0)
  const group = GROUPS.find(({ first, last }) => code >= first && code <= last)
  const level = group === undefined ? undefined : code - group.first
  const isAtomic = small(raw, 9, 8) === 0
  // an atomic access has to be allowed to write
  const type = isAtomic ? ('write' as const) : ACCESSES[small(raw, 9, 8)]
  const other = code === IDENTITY ? 'TRANSLATION_FAULT_IDENTITY' : `exception 0x${code.toString(16)}`
  const name = group === undefined ? other : `${group.name}_${level}`
  return {
    kind: 'mali',
    manual: 'Mali MMU, AS_FAULTSTATUS (as Mesa and the panfrost and panthor drivers document it)',
    name,
    explanation: [group?.meaning ?? 'no exception of the MMU that is known here', ...(isAtomic && group ? ['an atomic access'] : [])].join(
      '; ',
    ),
    facts: { source: small(raw, 31, 16), code },
    access: { ...(address !== undefined && { iova: address }), ...(group !== undefined && type !== undefined && { type }) },
    fault: { ...(group?.type !== undefined && { type: group.type, stage: 1 as const }), ...(level !== undefined && { level }) },
    ownLevels: true,
    ...fieldsOf(raw, FIELDS),
  }
}
