/** Fault records of every kind: words on the left, what the manuals make of them on the right. */

import { amdV1 } from '@io-pgtable/amdv1'
import { appleDart } from '@io-pgtable/apple-dart'
import { armV7s } from '@io-pgtable/arm-v7s'
import { arm32LpaeS1 } from '@io-pgtable/arm32-lpae-s1'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { type AccessFault, type AnyFmt, Prot, type ReadMemory } from '@io-pgtable/core'
import { riscv64 } from '@io-pgtable/riscv64'
import { vtdSs } from '@io-pgtable/vtdss'
import { x8664 } from '@io-pgtable/x86-64'
import { describe, expect, test } from 'vitest'
import { judgeFault } from '../src/fault/judge.ts'
import { decodeFault, FAULT_KINDS } from '../src/fault/kinds.ts'
import { busDeviceFunction, faultReportJson, parseDevice } from '../src/fault/report.ts'
import { tablesOf } from '../src/leaves/tables.ts'
import { Subject } from './subject.ts'

interface Case {
  /** The kind, the words, and `/layout`. */
  readonly words: string
  readonly record?: object
  /** iova, type, privileged: null where the record does not tell. */
  readonly access?: readonly [iova: string | null, type: string | null, privileged: boolean | null]
  readonly fault?: readonly [type: string | null, level: number | null, stage: number | null]
  readonly explanation?: RegExp
}

const CASES: readonly Case[] = [
  // SMMUv3
  {
    words: 'smmuv3 0x0000000800000010 0x0000008000000000 0x8090040 0',
    record: { name: 'F_TRANSLATION', sid: 8, device: '00:01.0', stalled: false },
    access: ['0x8090040', 'write', false],
    fault: ['translation', null, 2],
  },
  {
    words: 'smmuv3 0x0000018000000010 0x0000020100000000 0xffffe040 0xffffe000',
    record: { sid: 0x180, device: '01:10.0', class: 'IN', reserved: '0x1000000000000000000000000' },
    access: ['0xffffe040', 'write', false],
    fault: ['translation', null, 1],
    explanation: /bit 96 set/,
  },
  {
    words: 'smmuv3 0x0000c90000000002 0 0 0',
    record: { name: 'C_BAD_STREAMID', sid: 0xc900, device: 'c9:00.0', EventNumber: 2 },
    access: [null, null, null],
    fault: ['bad-stream', null, null],
  },
  {
    words: 'smmuv3 0x0000000800000013 0x0000118800000000 0xffebd000 0x48154000',
    record: { name: 'F_PERMISSION', class: 'TTD', ttRnW: 'read', ipa: '0x48154000', TTRnW: 1 },
    access: ['0xffebd000', 'read', false],
    fault: ['permission', null, 2],
    explanation: /stage 2 refused the read of a stage 1 table/,
  },
  { words: 'smmuv3 0x0000000800000013 0x0000018000000000 0x1000 0x2000', record: { ttRnW: 'write' }, access: ['0x1000', 'write', false] },
  {
    words: 'smmuv3 0x0000001800000813 0x0000028080000042 0x1000 0x000f80001000',
    record: { sid: 0x18, pasid: 0, stalled: true, stag: 0x42, ipa: '0xf80001000' },
  },
  // eight words of 32 bits: the same
  {
    words: 'smmuv3 0x3810 8 0 0x20a 0xebba0123 0xffff 0 0',
    record: { name: 'F_TRANSLATION', sid: 8, pasid: 3 },
    access: ['0xffffebba0123', 'read', true],
    fault: ['translation', null, 1],
  },
  { words: 'smmuv3 3 0 0 0x000800000040', record: { name: 'F_STE_FETCH', fetch: '0x800000040' }, fault: ['walk-abort', null, null] },
  { words: 'smmuv3 0xb 0x20c00000000 0x5000 0x800000040', record: { fetch: '0x800000040' }, access: ['0x5000', 'execute', false] },
  { words: 'smmuv3 0x24 0 0x5fff 0', record: { name: 'E_PAGE_REQUEST' }, access: ['0x5000', null, null], fault: [null, null, null] },
  // SMMUv2
  {
    words: 'smmuv2 0x402 0x21 0xfeed0000 0x1400',
    record: { name: 'TF', sid: 0x1400, stalled: false, PLVL: 1, FORMAT: 2 },
    access: ['0xfeed0000', 'read', true],
    fault: ['translation', 1, null],
  },
  {
    words: 'smmuv2 0xc0000408 0x13 0x1000',
    record: { name: 'PF', stalled: true, multiple: true },
    access: ['0x1000', 'write', false],
    fault: ['permission', 3, null],
  },
  { words: 'smmuv2 0x404 0x42 0x1000', access: ['0x1000', 'execute', false], fault: ['access-flag', 2, null] },
  { words: 'smmuv2 0 0 0', record: { name: 'no fault' }, fault: [null, null, null] },
  // VT-d
  {
    words: 'vtd 0xc0000000 0x8000000300000010',
    record: { reason: 3, sid: 0x10, device: '00:02.0' },
    access: ['0xc0000000', 'write', null],
    fault: ['bad-config', null, null],
    explanation: /context entry is programmed in an invalid way/,
  },
  {
    words: 'vtd 0x100000 0xc000007100000300',
    record: { reason: 0x71, device: '03:00.0' },
    access: ['0x100000', 'read', null],
    fault: ['translation', null, 1],
    explanation: /first-stage paging entry is not present/,
  },
  { words: 'vtd 0xffebd000 0xc000000c00000008', record: { reason: 12, device: '00:01.0' }, fault: ['reserved', null, 2] },
  { words: 'vtd 0x1000 0xc0001271e0000010', record: { pasid: 0x12 }, access: ['0x1000', 'execute', true] },
  { words: 'vtd 0x0005000000000000 0x8000002200000010', record: { index: 5 }, access: [null, null, null], fault: [null, null, null] },
  { words: 'vtd 0 0', explanation: /F is 0/ },
  { words: 'vtd 0 0x80000034ffff0000', explanation: /does not define/ },
  // AMD-Vi
  {
    words: 'amdvi 0x2020000900000010 0xffff2420',
    record: { name: 'IO_PAGE_FAULT', device: '00:02.0', domain: 9, flags: 0x20, RW: 1, PR: 0 },
    access: ['0xffff2420', 'write', null],
    fault: ['translation', null, null],
  },
  {
    words: 'amdvi 0x10 0x20500009 0x1000 0x2',
    record: { domain: 9, PR: 1, PE: 1 },
    access: ['0x200001000', 'read', null],
    fault: ['permission', null, null],
  },
  {
    words: 'amdvi 0x2091000500020010 0x1000',
    record: { pasid: 0x20005 },
    access: ['0x1000', 'read', true],
    fault: ['reserved', null, null],
  },
  {
    words: 'amdvi 0x1020000000002b00 0x2000',
    record: { name: 'ILLEGAL_DEV_TABLE_ENTRY', device: '2b:00.0' },
    fault: ['bad-config', null, null],
  },
  { words: 'amdvi 0x5000000000000000 0x4000', record: { name: 'ILLEGAL_COMMAND_ERROR' }, access: [null, null, null] },
  // RISC-V IOMMU, by both names
  {
    words: 'riscv-iommu 0x00002a0b0000500d 0 0x40001000 0',
    record: { cause: 13, sid: 0x2a, device: '00:05.2', pasid: 5 },
    access: ['0x40001000', 'read', true],
    fault: ['translation', null, 1],
  },
  {
    words: 'riscv 0x0000010c00000017 0 0x1234 0x80002003',
    record: { ipa: '0x80002000' },
    access: ['0x1234', 'write', null],
    fault: ['translation', null, 2],
  },
  {
    words: 'riscv-iommu 0x0000010000000102 0 0x1234 0',
    record: { cause: 258 },
    access: [null, null, null],
    fault: ['bad-stream', null, null],
  },
  // arm64
  {
    words: 'arm64 0x9600004f 0xffff0000f5c3fff8',
    record: { name: 'permission fault, level 3', EC: 0x25, FSC: 0xf, WnR: 1 },
    access: ['0xffff0000f5c3fff8', 'write', true],
    fault: ['permission', 3, 1],
  },
  { words: 'arm64 0x96000046 0x19600000', fault: ['translation', 2, 1] },
  { words: 'arm64 0x8600000f', access: [null, 'execute', true], fault: ['permission', 3, 1] },
  { words: 'arm64 0x82000006 0x400000', access: ['0x400000', 'execute', false], fault: ['translation', 2, 1] },
  { words: 'arm64 0x96000061 0xffff00015ad7c001', record: { name: 'alignment fault' }, fault: ['misaligned', null, 1] },
  { words: 'arm64 0x9200000b 0x1000', access: ['0x1000', 'read', false], fault: ['access-flag', 3, 1] },
  { words: 'arm64 0x9600002b 0x1000', fault: ['translation', -1, 1] },
  {
    words: 'arm64 0x93800087 0x1000',
    access: ['0x1000', 'read', null],
    fault: ['translation', 3, 2],
    explanation: /stage 2 refused a walk/,
  },
  { words: 'arm64 0x96000410 0x1000', access: [null, 'read', true], fault: [null, null, null], explanation: /FnV/ },
  { words: 'arm64 0x86000000 0x840000000', access: ['0x840000000', 'execute', true], fault: ['address-size', 0, 1] },
  { words: 'arm64 0xf2000800', record: { name: 'BRK' }, access: [null, null, null], fault: [null, null, null] },
  // ARMv7
  { words: 'armv7 0x817 0x20', record: { domain: 1, FS: 7 }, access: ['0x20', 'write', null], fault: ['translation', 2, 1] },
  { words: 'armv7 0x5 0', access: ['0x0', 'read', null], fault: ['translation', 1, 1] },
  { words: 'armv7 0x8000000d 0xc0000000', access: ['0xc0000000', 'execute', null], fault: ['permission', 1, 1] },
  { words: 'armv7 0x9', fault: ['domain', 1, 1] },
  { words: 'armv7 0x406', record: { FS: 0x16 }, fault: [null, null, null], explanation: /asynchronous external abort/ },
  { words: 'armv7 0xa07 0xbef2f97c', record: { STATUS: 7 }, access: ['0xbef2f97c', 'write', null], fault: ['translation', 3, 1] },
  // x86
  {
    words: 'x86 0x3',
    record: { name: '#PF', present: true, write: true, user: false, reserved: false, fetch: false },
    access: [null, 'write', true],
    fault: ['permission', null, 1],
    explanation: /R\/W is 0/,
  },
  { words: 'x86 0xf 0x7fe4c4f58000', record: { RSVD: 1 }, access: ['0x7fe4c4f58000', 'write', false], fault: ['reserved', null, 1] },
  { words: 'x86 0x10 0x0', access: ['0x0', 'execute', true], fault: ['translation', null, 1] },
  { words: 'x86 0x25 0x1000', fault: ['permission', null, 1], explanation: /protection key/ },
  // RISC-V harts
  {
    words: 'riscv-cpu 15 0x6b6b6b6b6b6b711b',
    record: { cause: 15 },
    access: ['0x6b6b6b6b6b6b711b', 'write', null],
    fault: ['translation', null, 1],
  },
  { words: 'riscv-cpu 0xc 0x5000', access: ['0x5000', 'execute', null] },
  { words: 'riscv-cpu 21 0x5000', fault: ['translation', null, 2] },
  { words: 'riscv-cpu 0x8000000000000005', record: { name: 'interrupt 5' }, access: [null, null, null], fault: [null, null, null] },
  { words: 'riscv-cpu 2 0x1234', access: [null, null, null] },
  // EPT
  { words: 'ept 0x182 0x40000000', record: { rights: '---' }, access: ['0x40000000', 'write', null], fault: ['translation', null, 2] },
  { words: 'ept 0x18a 0x1000', record: { rights: 'r--' }, access: ['0x1000', 'write', null], fault: ['permission', null, 2] },
  { words: 'ept 0x81', explanation: /of a paging structure of the guest/ },
  // Mali
  {
    words: 'mali 0x360002c3 0xc3be100',
    record: { source: 0x3600, name: 'TRANSLATION_FAULT_3' },
    access: ['0xc3be100', 'read', null],
    fault: ['translation', 3, 1],
  },
  { words: 'mali 0x3c8', record: { name: 'PERMISSION_FAULT_0' }, access: [null, 'write', null], fault: ['permission', 0, 1] },
  { words: 'mali 0x1d9', access: [null, 'execute', null], fault: ['access-flag', 1, 1] },
  { words: 'mali 0x2e5', fault: ['address-size', 1, 1] },
  { words: 'mali 0x258', record: { name: 'exception 0x58' }, access: [null, null, null], fault: [null, null, null] },
  // DART
  {
    words: 'dart 0x900c0008 0x9f9c0000',
    record: { code: 8, stream: 0, name: 'NO_PTE', layout: 't8110' },
    access: ['0x9f9c0000', null, null],
    fault: ['translation', null, 1],
  },
  {
    words: 'dart 0x80000008',
    record: { name: 'WRITE_FAULT', layout: 't8020' },
    access: [null, 'write', null],
    explanation: /a T8110 would say NO_PTE/,
  },
  { words: 'dart 0x80000008 0x4000 /T8110', record: { name: 'NO_PTE' }, access: ['0x4000', null, null] },
  {
    words: 'dart 0x83000010 /t8020',
    record: { stream: 3, name: 'READ_FAULT' },
    access: [null, 'read', null],
    fault: ['permission', null, 1],
  },
  { words: 'dart 0x81300020 /t8110', record: { stream: 0x13, name: 'READ_FAULT' } },
  // amdgpu
  {
    words: 'amdgpu 0x301031 0xae8570611000',
    record: { vmid: 3, permission: 3, client: 8, clientName: 'TCP', write: false, more: true },
    access: ['0xae8570611000', 'read', null],
    fault: ['translation', null, 1],
  },
  { words: 'amdgpu 0x00141a40 /gfx11', record: { client: 13, clientName: 'SDMA0', vmid: 1, write: true }, fault: ['permission', null, 1] },
  {
    words: 'amdgpu 0x08088002 0 /gfx8',
    record: { vmid: 4, client: 136, protections: 2 },
    access: ['0x0', 'read', null],
    fault: [null, null, 1],
  },
  // NVIDIA
  {
    words: 'nvidia FAULT_PTE',
    record: { name: 'FAULT_PTE', reason: 2, level: 'PTE' },
    access: [null, null, null],
    fault: ['translation', null, 1],
  },
  { words: 'nvidia FAULT_PTE ACCESS_TYPE_VIRT_READ 0x0_0abe0000', record: { level: 'PTE' }, access: ['0xabe0000', 'read', null] },
  { words: 'nvidia 6 0x1000', record: { name: 'FAULT_RO_VIOLATION' }, access: ['0x1000', null, null], fault: ['permission', null, 1] },
  { words: 'nvidia PDE 0x1000 VIRT_WRITE', record: { level: 'PDE' }, access: ['0x1000', 'write', null] },
]

function decodeLine(line: string): ReturnType<typeof faultReportJson> {
  const [kind = '', ...rest] = line.split(' ')
  const layout = rest.find((word) => word.startsWith('/'))?.slice(1)
  return faultReportJson(
    decodeFault(
      kind,
      rest.filter((word) => !word.startsWith('/')),
      layout,
    ),
  )
}

describe('records', () => {
  test.each(CASES.map((each) => [each.words, each] as const))('%s', (words, { record, access, fault, explanation }) => {
    const found = decodeLine(words)
    if (record !== undefined) expect(found.record).toMatchObject(record)
    if (access !== undefined) expect(Object.values(found.access)).toEqual(access)
    if (fault !== undefined) expect(Object.values(found.fault)).toEqual(fault)
    if (explanation !== undefined) expect(found.explanation).toMatch(explanation)
  })

  test('every kind has cases, and says which words it wants', () => {
    for (const { kind, words } of FAULT_KINDS) {
      expect(CASES.some((each) => each.words.startsWith(`${kind} `))).toBe(true)
      expect(() => decodeFault(kind, ['1', '2', '3', '4', '5'])).toThrow(/EINVAL/)
      expect(words).not.toBe('')
    }
  })

  test.each([
    ['smmuv3 1 2', /2 words: 4 of 64 bits or 8 of 32 expected/],
    ['smmuv3 0x10000000000000000 0 0 0', /an integer expected/],
    ['vtd 0x100000000 0 0 0', /a word of 32 bits expected/],
    ['x86', /0 words: ERROR \[CR2\] expected/],
    ['x86 nonsense', /"nonsense": an integer expected/],
    ['nvidia FAULT_NONE', /a fault type expected/],
    ['amdgpu 1 /gfx5', /generation gfx5/],
    ['dart 1 /m1', /layout m1/],
    ['x86 1 /gfx9', /one layout/],
    ['nosuch 1', /kind nosuch: smmuv3/],
  ])('wrong words: %s', (words, message) => {
    expect(() => decodeLine(words)).toThrow(message)
  })

  test('devices', () => {
    for (const sid of [0, 8, 0x2b00, 0xffff, 0x1_0010]) expect(parseDevice(busDeviceFunction(sid))).toBe(sid)
    expect(parseDevice('0000:03:1f.7')).toBe(0x3ff)
    for (const text of ['00:20.0', '00:01.8', '1:2.3', 'x']) expect(parseDevice(text)).toBeUndefined()
  })
})

/** How a format's codes stand in the words of a record; kinds that no format's codes are for are told by type alone. */
const ROUND: readonly (readonly [
  kind: string,
  format: AnyFmt,
  context: unknown,
  words: (codes: Readonly<Record<string, number>>, fault: AccessFault) => readonly bigint[] | undefined,
])[] = [
  ['arm64', arm64LpaeS1, undefined, ({ FSC = 0, WnR = 0 }, { access, privileged }) => [esr(FSC, WnR, access, privileged)]],
  ['armv7', arm32LpaeS1, undefined, ({ FSC = 0, WnR = 0 }, { access }) => [fsr(BigInt(FSC) | 0x200n, WnR, access)]],
  ['armv7', armV7s, undefined, ({ FS = 0, WnR = 0 }, { access }) => [fsr(BigInt(FS & 15) | (BigInt(FS >> 4) << 10n), WnR, access)]],
  ['x86', x8664, { nested: false, nx: true, smep: true }, ({ error = 0, vector }) => (vector === 14 ? [BigInt(error)] : undefined)],
  ['riscv-cpu', riscv64, undefined, ({ cause = 0 }) => [BigInt(cause)]],
  [
    'vtd',
    vtdSs,
    undefined,
    ({ reason = 0 }, { access }) => [0x1000n, (1n << 63n) | (access === 'write' ? 0n : 1n << 62n) | (BigInt(reason) << 32n)],
  ],
  [
    'amdvi',
    amdV1,
    undefined,
    ({ PR = 0, RW = 0, PE = 0, RZ = 0 }) => [(2n << 60n) | (BigInt(PR | (RW << 1) | (PE << 2) | (RZ << 3)) << 52n), 0x1000n],
  ],
]

function esr(FSC: number, WnR: number, access: string, privileged: boolean): bigint {
  const ec = (access === 'execute' ? 0x20n : 0x24n) + (privileged ? 1n : 0n)
  return (ec << 26n) | BigInt(FSC) | (access === 'execute' ? 0n : BigInt(WnR) << 6n)
}

function fsr(status: bigint, WnR: number, access: string): bigint {
  return status | (access === 'execute' ? 1n << 31n : BigInt(WnR) << 11n)
}

describe('what a format says of a fault is decoded again', () => {
  const levels = { arm64: [0, 1, 2, 3], armv7: [1, 2] } as Readonly<Record<string, readonly number[]>>

  test.each(ROUND.map((each) => [each[0], each[1].FORMAT, each] as const))('%s, %s', (kind, _, [, format, context, words]) => {
    let compared = 0
    for (const type of ['translation', 'permission', 'access-flag', 'reserved', 'address-size'] as const)
      for (const access of ['read', 'write', 'execute'] as const)
        for (const level of levels[kind] ?? [1]) {
          const fault: AccessFault = { type, level, access, privileged: true, reason: '' }
          const codes = format.fault?.(fault, context as never).codes ?? {}
          const record = words(codes, fault)
          if (record === undefined) continue
          const report = decodeFault(kind, record.map(String))
          if (report.codes === undefined) continue
          for (const [name, value] of Object.entries(report.codes)) if (name in codes) expect([name, value]).toEqual([name, codes[name]])
          expect(Object.keys(report.codes).some((name) => name in codes)).toBe(true)
          compared++
        }
    expect(compared).toBeGreaterThan(9)
  })
})

/** Memory of a few words. */
function sparse(words: Readonly<Record<string, bigint>>): ReadMemory {
  return (paddr, byteLength) => {
    const value = words[`0x${(paddr & ~7n).toString(16)}`]
    if (value === undefined || byteLength > 8) return undefined
    const view = new DataView(new ArrayBuffer(8))
    view.setBigUint64(0, value, true)
    const from = Number(paddr & 7n)
    return new Uint8Array(view.buffer, from, Math.min(byteLength, 8 - from))
  }
}

describe('tables and record', () => {
  const readOnly = new Subject(arm64LpaeS1, { pgsizeBitmap: 0x1000n, ias: 39, oas: 40 }).map(
    0x1000n,
    0x8000_0000n,
    0x1000,
    Prot.READ | Prot.NOEXEC,
  )

  test.each([
    // kind, words, agrees, why
    ['arm64', '0x92000047 0x9000', true, /the tables say the same: .*entry 9 of the table/],
    ['arm64', '0x9200004f 0x1000', true, /allows no write \(entry 1 of the table.*AP 3/],
    ['arm64', '0x92000007 0x1000', false, /let this access through/],
    ['arm64', '0x92000046 0x9000', false, /otherwise, translation at level 3/],
    ['arm64', '0x92000021 0x1001', true, /are not the cause/],
    ['smmuv3', '0x10 0x20800000000 0x9000 0', true, /the same/],
    ['smmuv3', '0x13 0x20000000000 0x1000 0', true, /the same/],
    ['smmuv3', '0x12 0x20000000000 0x1000 0', false, /otherwise, permission/],
  ] as const)('%s %s: %s', (kind, words, agrees, why) => {
    const report = decodeFault(kind, words.split(' '))
    const judged = judgeFault(readOnly.tables(), report, report.access.iova ?? 0n)
    expect(judged).toEqual({ agrees, text: expect.stringMatching(why) as string })
  })

  test('the write that a kernel’s page descriptor forbids', () => {
    const read = sparse({
      '0x81498000': 0x1_7f1f_8003n,
      '0x17f1f8018': 0x1_7ec0_6003n,
      '0x17ec06d70': 0x1_7ea5_7003n,
      '0x17ea571f8': 0x60_0001_7553_f793n,
    })
    const [tables] = tablesOf(arm64LpaeS1, { ttbr1: 0x8149_8000n, tcr: 0x74_b550_3510n, mair: 0x4_0044_ffffn }, read)
    if (tables === undefined) throw new Error('no tables')
    const report = decodeFault('arm64', ['0x9600004f', '0xffff0000f5c3fff8'])
    expect(judgeFault(tables, report, 0xffff_0000_f5c3_fff8n)).toEqual({
      agrees: true,
      text: expect.stringMatching(/entry 63 of the table at 0x17ea57000, 0x6000017553f793, page: .*AP 2/) as string,
    })
  })

  test('reserved bits of an x86 page', () => {
    const read = sparse({ '0x17f8': 0x2067n, '0x2c98': 0x3067n, '0x3138': 0x4067n, '0x4ac0': 0xffff_ffff_120d_8067n })
    const iova = 0x7fe4_c4f5_8000n
    const [tables] = tablesOf(x8664, { cr3: 0x1000n, cr4: 0x6f0n, maxPhyAddr: 36 } as never, read)
    if (tables === undefined) throw new Error('no tables')
    const judged = judgeFault(tables, decodeFault('x86', ['0xf', '0x7fe4c4f58000']), iova)
    expect(judged).toEqual({ agrees: true, text: expect.stringMatching(/bits 0x/) as string })
  })

  test('reasons of VT-d, causes of RISC-V', () => {
    const vtd = new Subject(vtdSs, { pgsizeBitmap: 0x1000n, ias: 39, oas: 40 }).map(0x1000n, 0x8000_0000n, 0x1000, Prot.READ)
    const judge = (line: string): boolean => {
      const [kind = '', ...words] = line.split(' ')
      const report = decodeFault(kind, words)
      return judgeFault(vtd.tables(), report, report.access.iova ?? 0n).agrees
    }
    // not present is a missing permission in legacy mode
    expect(judge('vtd 0x9000 0xc000000600000008')).toBe(true)
    expect(judge('vtd 0x1000 0x8000000500000008')).toBe(true)
    expect(judge('vtd 0x1000 0xc000000600000008')).toBe(false)
    expect(judge('vtd 0x1000 0x8000000c00000008')).toBe(false)

    const [tables] = tablesOf(riscv64, { satp: 0x9000_0000_0008_1c2dn }, sparse({}))
    if (tables === undefined) throw new Error('no tables')
    const poison = decodeFault('riscv-cpu', ['13', '0x6b6b6b6b6b6b711b'])
    expect(judgeFault(tables, poison, 0x6b6b_6b6b_6b6b_711bn).agrees).toBe(true)
  })

  test('levels that the hardware counts in its own way are not compared', () => {
    const dart = new Subject(appleDart, { pgsizeBitmap: 0x4000n, ias: 36, oas: 36 })
    const report = decodeFault('mali', ['0x2c0', '0x4000'])
    expect(judgeFault(dart.tables(), report, 0x4000n).agrees).toBe(true)
  })
})
