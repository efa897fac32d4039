/**
 * Protection faults of AMD GPUs, by the generation of the graphics IP: VM_CONTEXT1_PROTECTION_FAULT_STATUS (GFX6 to 8),
 * VM_L2_PROTECTION_FAULT_STATUS (GFX9 and later), as the Linux documentation of amdgpu and the register headers describe them.
 */
import { type FaultType, type Field, field, IoPgtableError } from '@io-pgtable/core'
import { bit, checkedWord, type FaultReport, fieldsOf, reservedText, small } from './report.ts'

export const AMDGPU_GENERATIONS = ['gfx6', 'gfx7', 'gfx8', 'gfx9', 'gfx10', 'gfx11', 'gfx12'] as const
type Generation = (typeof AMDGPU_GENERATIONS)[number]

const OLD: readonly Field[] = [
  field('PROTECTIONS', 7, 0, 'which checks failed'),
  field('MEMORY_CLIENT_ID', 20, 12, 'the client'),
  field('MEMORY_CLIENT_RW', 24, 24, 'the access', { values: { 0: 'read', 1: 'write' } }),
  field('VMID', 28, 25, 'the address space'),
]
const PERMISSIONS = ['the entry is not valid', 'no right to read', 'no right to write', 'no right to execute']
const NEW: readonly Field[] = [
  field('MORE_FAULTS', 0, 0, 'more faults have followed'),
  field('WALKER_ERROR', 3, 1, 'an error of the walk'),
  field('PERMISSION_FAULTS', 7, 4, 'bit 0: not valid; 1: no read; 2: no write; 3: no execute'),
  field('MAPPING_ERROR', 8, 8, 'an error of the mapping'),
  field('CID', 17, 9, 'the client'),
  field('RW', 18, 18, 'the access', { values: { 0: 'read', 1: 'write' } }),
  field('ATOMIC', 19, 19, 'an atomic access'),
  field('VMID', 23, 20, 'the address space'),
  field('VF', 24, 24, 'of a virtual function'),
  field('VFID', 28, 25, 'which virtual function'),
]

/** Clients of the hub of graphics: the lists end where the documents do. */
const GFX9 = ['CB', 'DB', 'IA', 'WD', 'CPF', 'CPC', 'CPG', 'RLC', 'TCP', 'SQC (inst)', 'SQC (data)', 'SQG', 'PA']
const GFX10 = 'CB/DB,,GE1,GE2,CPF,CPC,CPG,RLC,TCP,SQC (inst),SQC (data),SQG,,SDMA0,SDMA1,GCR,SDMA2,SDMA3'.split(',')
const CLIENTS: Readonly<Record<string, readonly string[]>> = {
  gfx9: GFX9,
  gfx10: GFX10,
  gfx11: GFX10.slice(0, 16),
  gfx12: GFX10.slice(0, 16),
}

/** Decodes the status, and the address where it is known: in bytes. The default generation is GFX9. @throws `EINVAL` */
export function decodeAmdgpuFault([status = 0n, address]: readonly bigint[], generation = 'gfx9'): FaultReport {
  const raw = checkedWord('fault amdgpu', status, 32)
  const own = generationOf(generation)
  const isOld = own === 'gfx6' || own === 'gfx7' || own === 'gfx8'
  const told = fieldsOf(raw, isOld ? OLD : NEW)
  const { explanation, ...fault } = isOld ? oldFault(raw) : newFault(raw, own)
  return {
    kind: 'amdgpu',
    manual: isOld ? 'AMD GPU registers, VM_CONTEXT1_PROTECTION_FAULT_STATUS' : 'AMD GPU registers, VM_L2_PROTECTION_FAULT_STATUS',
    ...fault,
    explanation: told.reserved === 0n ? explanation : `${explanation}; ${reservedText(told.reserved)}`,
    access: { ...(address !== undefined && { iova: address }), type: bit(raw, isOld ? 24 : 18) ? 'write' : 'read' },
    ...told,
  }
}

function generationOf(text: string): Generation {
  const name = text.toLowerCase()
  const found = AMDGPU_GENERATIONS.find((each) => each === name)
  if (found === undefined)
    throw new IoPgtableError('EINVAL', 'fault amdgpu', `generation ${text}: ${AMDGPU_GENERATIONS.join(', ')} expected`)
  return found
}

type Own = Pick<FaultReport, 'name' | 'explanation' | 'facts' | 'fault'>

function oldFault(raw: bigint): Own {
  const protections = small(raw, 7, 0)
  return {
    name: 'VM_CONTEXT1_PROTECTION_FAULT',
    explanation: `protections 0x${protections.toString(16)}: the tables do not let the access through`,
    facts: { vmid: small(raw, 28, 25), client: small(raw, 20, 12), write: bit(raw, 24), protections },
    fault: { stage: 1 },
  }
}

function newFault(raw: bigint, generation: Generation): Own {
  const permission = small(raw, 7, 4)
  const client = small(raw, 17, 9)
  const clientName = CLIENTS[generation]?.[client]
  const lacking = PERMISSIONS.filter((_, at) => (permission >> at) & 1)
  const walker = small(raw, 3, 1)
  const type: FaultType | undefined =
    permission & 1 ? 'translation' : permission !== 0 ? 'permission' : walker !== 0 ? 'walk-abort' : undefined
  return {
    name: 'VM_L2_PROTECTION_FAULT',
    explanation: [
      lacking.join(', ') || 'no permission fault',
      ...(walker === 0 ? [] : [`walker error ${walker}`]),
      ...(bit(raw, 8) ? ['mapping error'] : []),
      ...(bit(raw, 0) ? ['more faults have followed'] : []),
      `client ${clientName ?? client} of the hub of graphics, VMID ${small(raw, 23, 20)}`,
    ].join('; '),
    facts: {
      vmid: small(raw, 23, 20),
      client,
      ...(clientName && { clientName }),
      permission,
      write: bit(raw, 18),
      atomic: bit(raw, 19),
      more: bit(raw, 0),
    },
    fault: { ...(type !== undefined && { type }), stage: 1 },
  }
}
