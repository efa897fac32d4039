/** Faults of an NVIDIA GPU's MMU: fault and access types as NVIDIA's published hardware headers number them (NV_PFAULT_FAULT_TYPE, _ACCESS_TYPE). */
import { type AccessKind, type FaultType, IoPgtableError } from '@io-pgtable/core'
import { parseInteger } from '../json-text.ts'
import { type FaultReport, number } from './report.ts'

interface Type {
  readonly name: string
  readonly meaning: string
  readonly type?: FaultType
  /** The level that the walk reached. */
  readonly level?: string
}

const TYPES: readonly Type[] = [
  { name: 'PDE', meaning: 'a directory entry is not valid', type: 'translation', level: 'PDE' },
  { name: 'PDE_SIZE', meaning: 'the page size of a directory entry is not valid', type: 'misconfigured', level: 'PDE' },
  { name: 'PTE', meaning: 'the page table entry is not valid: the walk reached the last level', type: 'translation', level: 'PTE' },
  { name: 'VA_LIMIT_VIOLATION', meaning: 'the address is beyond the limit of the address space', type: 'translation' },
  { name: 'UNBOUND_INST_BLOCK', meaning: 'the channel has no instance block', type: 'bad-stream' },
  { name: 'PRIV_VIOLATION', meaning: 'a user access to a privileged page', type: 'permission', level: 'PTE' },
  { name: 'RO_VIOLATION', meaning: 'a write to a read-only page', type: 'permission', level: 'PTE' },
  { name: 'WO_VIOLATION', meaning: 'a read of a write-only page', type: 'permission', level: 'PTE' },
  { name: 'PITCH_MASK_VIOLATION', meaning: 'a violation of the pitch mask' },
  { name: 'WORK_CREATION', meaning: 'a violation in work creation' },
  { name: 'UNSUPPORTED_APERTURE', meaning: 'the aperture of an entry is not supported', type: 'misconfigured' },
  { name: 'COMPRESSION_FAILURE', meaning: 'compressed data could not be read' },
  { name: 'UNSUPPORTED_KIND', meaning: 'the kind of the page does not go with this access', type: 'misconfigured', level: 'PTE' },
  { name: 'REGION_VIOLATION', meaning: 'the address is in a region that is protected', type: 'permission' },
  { name: 'POISONED', meaning: 'the data are poisoned (before Volta: both page table entries are valid)' },
  {
    name: 'ATOMIC_VIOLATION',
    meaning: 'an atomic access to a page without the right (before Volta: poisoned)',
    type: 'permission',
    level: 'PTE',
  },
]
/** Words of other drivers for the same. */
const ALIASES: Readonly<Record<string, number>> = { BOTH_PTES_VALID: 14, INFO_TYPE_POISONED: 15 }

const ACCESSES: Readonly<Record<string, AccessKind>> = {
  READ: 'read',
  WRITE: 'write',
  ATOMIC: 'write',
  ATOMIC_STRONG: 'write',
  ATOMIC_WEAK: 'write',
  PREFETCH: 'read',
}

/** Decodes a fault type, by its word (`FAULT_PTE`, `PTE`) or number, and in any order an access type (`ACCESS_TYPE_VIRT_READ`) and an address. @throws `EINVAL` */
export function decodeNvidiaFault([word = '', ...more]: readonly string[]): FaultReport {
  const op = 'fault nvidia'
  const code = codeOf(op, word)
  const { name, meaning, type, level } = TYPES[code] as Type
  const access = more.map(accessOf).find((each) => each !== undefined)
  const addresses = more.filter((text) => accessOf(text) === undefined).map((text) => number(op, text))
  const [address] = addresses
  if (addresses.length > 1)
    throw new IoPgtableError('EINVAL', op, `${addresses.length} addresses: one expected`, { value: addresses.length })
  return {
    kind: 'nvidia',
    manual: 'NVIDIA open GPU documentation, dev_fault: NV_PFAULT_FAULT_TYPE, NV_PFAULT_ACCESS_TYPE',
    name: `FAULT_${name}`,
    explanation: meaning,
    facts: { reason: code, ...(level !== undefined && { level }) },
    access: { ...(address !== undefined && { iova: address }), ...(access && { type: access }) },
    fault: { ...(type !== undefined && { type, ...(type !== 'bad-stream' && { stage: 1 as const }) }) },
    fields: [],
    reserved: 0n,
  }
}

function codeOf(op: string, word: string): number {
  const name = word.toUpperCase().replace(/^FAULT_/, '')
  const found = TYPES.findIndex((type) => type.name === name)
  const code = found >= 0 ? found : (ALIASES[name] ?? Number(parseInteger(word) ?? -1))
  if (TYPES[code] === undefined)
    throw new IoPgtableError('EINVAL', op, `${JSON.stringify(word)}: a fault type expected, as FAULT_PTE, or 0 to ${TYPES.length - 1}`)
  return code
}

function accessOf(text: string): AccessKind | undefined {
  const [, word = ''] = /^(?:ACCESS_TYPE_)?(?:VIRT_|PHYS_)?([A-Z_]+)$/i.exec(text) ?? []
  return ACCESSES[word.toUpperCase()]
}
