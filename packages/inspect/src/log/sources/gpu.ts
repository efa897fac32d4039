/** Records of GPUs and their MMUs: Mali, DART, amdgpu, NVIDIA. */
import { decodeAmdgpuFault } from '../../fault/amdgpu.ts'
import { decodeDartFault } from '../../fault/dart.ts'
import { decodeMaliFault } from '../../fault/mali.ts'
import { decodeNvidiaFault } from '../../fault/nvidia.ts'
import type { Facts } from '../facts.ts'
import type { Source } from '../source.ts'
import { whole } from './iommu.ts'

const number = (facts: Facts, name: string): bigint => facts.number(name) ?? 0n

const MALI: Source = {
  id: 'mali',
  starts: ['Page fault in AS'],
  hints: ['page fault in as', 'fault status', 'exception type', 'access type', 'source id'],
  opens: /\bUnhandled Page fault in AS(?<as_d>\d{1,2}) at VA 0x(?<va_h>[0-9a-f]{1,16})\b/,
  facts: [
    /\braw fault status: 0x(?<status_h>[0-9a-f]{1,8})\b/g,
    /\bexception type 0x(?<exception_h>[0-9a-f]{1,2})\b/gi,
    /\baccess type 0x(?<access_h>[0-9a-f])\b/g,
    /\bsource id 0x(?<source_h>[0-9a-f]{1,4})\b/g,
  ],
  lines: 10,
  complete: ['status', 'exception', 'access', 'source'],
  read(facts) {
    const status = number(facts, 'status')
    const checks: readonly (readonly [string, bigint])[] = [
      ['exception', status & 0xffn],
      ['access', (status >> 8n) & 3n],
      ['source', status >> 16n],
    ]
    // the driver decodes the status again: lines of another report do not agree
    if (checks.some(([name, value]) => facts.has(name) && facts.number(name) !== value)) facts.refuse('status')
    return whole('mali', facts, { status: 'the fault status', va: 'the address' }, facts.number('va'), () => {
      const report = decodeMaliFault([status, number(facts, 'va')])
      return { ...report, facts: { ...report.facts, as: Number(number(facts, 'as')) } }
    })
  },
}

const DART: Source = {
  id: 'dart',
  starts: ['fault: status:0x'],
  hints: ['status:0x'],
  opens: /\bfault: status:0x(?<status_h>[0-9a-f]{1,8}) stream:(?<stream_d>\d{1,3})\b/,
  facts: [/\bcode:0x(?<code_h>[0-9a-f]{1,8}) \((?<what_s>[^)]{0,60})\)/g, /\) at 0x(?<va_h>[0-9a-f]{1,16})\b/g],
  lines: 1,
  complete: ['status', 'va', 'code'],
  read(facts) {
    return whole('dart', facts, { status: 'the status', va: 'the address', code: 'the code' }, facts.number('va'), () =>
      decodeDartFault([number(facts, 'status'), number(facts, 'va')], dartLayout(facts)),
    )
  },
}

/** The stream stands at another place in each layout, and the same word at another bit. */
function dartLayout(facts: Facts): string | undefined {
  const [status, stream, code] = [number(facts, 'status'), number(facts, 'stream'), number(facts, 'code')]
  const what = facts.text('what') ?? ''
  const bits: readonly (readonly [word: string, t8020: bigint, t8110: bigint])[] = [
    ['NO PTE', 4n, 8n],
    ['NO PMD', 2n, 4n],
    ['WRITE', 8n, 16n],
    ['READ', 16n, 32n],
  ]
  const found = bits.find(([word]) => what.toUpperCase().includes(word))
  if (found !== undefined && code === found[1]) return 't8020'
  if (found !== undefined && code === found[2]) return 't8110'
  const [old, own] = [((status >> 24n) & 15n) === stream, ((status >> 20n) & 0xffn) === stream]
  return old === own ? undefined : old ? 't8020' : 't8110'
}

const AMDGPU: Source = {
  id: 'amdgpu',
  starts: ['page fault ('],
  hints: ['page fault (', 'starting at address', 'protection_fault_status', 'more_faults', 'walker_error', 'permission_faults'],
  opens: /\[(?<hub_s>(?:gfx|mm)hub[^\]]{0,16})\] (?:no-)?retry page fault \(/,
  facts: [
    /\bvmid:(?<vmid_d>\d{1,2})\b/g,
    /\bpasid:(?<pasid_d>\d{1,8})\b/g,
    /\bstarting at address 0x(?<va_h>[0-9a-f]{1,16})\b/g,
    /(?<prefix_s>GC|MM|)VM_L2_PROTECTION_FAULT_STATUS(?:_LO32)?: ?0x(?<status_h>[0-9a-f]{1,8})\b/g,
    /\bPERMISSION_FAULTS: 0x(?<permission_h>[0-9a-f])\b/g,
    /\bWALKER_ERROR: 0x(?<walker_h>[0-9a-f])\b/g,
    /\bMORE_FAULTS: 0x(?<more_h>[01])\b/g,
  ],
  lines: 14,
  complete: ['va', 'status', 'permission', 'walker', 'more'],
  read(facts) {
    const status = number(facts, 'status')
    const checks: readonly (readonly [string, bigint])[] = [
      ['permission', (status >> 4n) & 15n],
      ['walker', (status >> 1n) & 7n],
      ['more', status & 1n],
      ['vmid', (status >> 20n) & 15n],
    ]
    // the driver decodes the status again: lines of another report do not agree. A status of 0 was read too late.
    if (status !== 0n && checks.some(([name, value]) => facts.has(name) && facts.number(name) !== value)) facts.refuse('status')
    const layout = facts.text('prefix') === '' ? 'gfx9' : 'gfx10'
    return whole('amdgpu', facts, { status: 'the fault status', va: 'the address' }, facts.number('va'), () => {
      const report = decodeAmdgpuFault([status, number(facts, 'va')], layout)
      const pasid = facts.number('pasid')
      return { ...report, facts: { ...report.facts, hub: facts.text('hub') ?? '' }, ...(pasid !== undefined && { pasid: Number(pasid) }) }
    })
  },
}

const AMDGPU_OLD: Source = {
  id: 'amdgpu-old',
  starts: ['_PROTECTION_FAULT_ADDR'],
  hints: ['vm_context1_protection_fault'],
  opens: /\bVM_CONTEXT1_PROTECTION_FAULT_ADDR\s+0x(?<page_h>[0-9a-f]{1,8})\b/i,
  facts: [/\bVM_CONTEXT1_PROTECTION_FAULT_STATUS\s+0x(?<status_h>[0-9a-f]{1,8})\b/gi],
  lines: 3,
  complete: ['status'],
  read(facts) {
    const va = number(facts, 'page') << 12n
    return whole('amdgpu', facts, { status: 'the fault status' }, va, () => decodeAmdgpuFault([number(facts, 'status'), va], 'gfx8'))
  },
}

const XID: Source = {
  id: 'nvidia',
  starts: ['Xid'],
  hints: ['xid', 'faulted @', 'fault is of type', 'access_type'],
  opens: /\bXid \(?(?:PCI:)?[0-9a-f:.]{1,24}\)?: 31,/i,
  facts: [
    /\bfaulted @ 0x(?<va_s>[0-9a-f_]{1,24})\b/g,
    /\bof type (?<type_s>FAULT_[A-Z_]{1,40})\b/g,
    /\b(?<access_s>ACCESS_TYPE_[A-Z_]{1,40})\b/g,
  ],
  lines: 2,
  complete: ['va', 'type', 'access'],
  read(facts) {
    const va = BigInt(`0x${(facts.text('va') ?? '0').replaceAll('_', '') || '0'}`)
    const names = { va: 'the address', type: 'the type of the fault', access: 'the type of the access' }
    return whole('nvidia', facts, names, facts.has('va') ? va : undefined, () =>
      decodeNvidiaFault([facts.text('type') ?? '', facts.text('access') ?? '', String(BigInt.asUintN(64, va))]),
    )
  },
}

const NOUVEAU: Source = {
  id: 'nouveau',
  starts: ['] at '],
  hints: ['reason', 'engine', 'fifo'],
  opens: /\bfault [0-9a-f]{2} \[(?<access_s>[A-Z_]{1,24})\] at (?<va_h>[0-9a-f]{1,16}) engine\b/,
  facts: [/\breason (?<reason_h>[0-9a-f]{2}) \[(?<type_s>[A-Z_]{1,40})\]/g],
  lines: 1,
  complete: ['va', 'type', 'reason'],
  read(facts) {
    return whole('nvidia', facts, { type: 'the reason', reason: 'the reason' }, facts.number('va'), () =>
      decodeNvidiaFault([`0x${number(facts, 'reason').toString(16)}`, facts.text('access') ?? '', String(number(facts, 'va'))]),
    )
  },
}

export const GPU_SOURCES: readonly Source[] = [MALI, DART, AMDGPU, AMDGPU_OLD, XID, NOUVEAU]
