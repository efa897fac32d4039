/**
 * The fields of the long descriptors, as the manuals name them. Sections: DDI 0487 (issue K) for AArch64; DDI 0406C for ARMv7, which
 * AArch32 of ARMv8 (DDI 0487 G5.5) goes on from.
 */
import { type Field, field } from '@io-pgtable/core'
import type { LpaeDescriptors } from './geometry.ts'
import { RIGHTS_S2, RIGHTS_SINGLE, RIGHTS32, RIGHTS32_S2, RIGHTS64 } from './rights.ts'

/** The access flag, set in every leaf of ours. */
export const LEAF_AF: bigint = 1n << 10n

const SHAREABILITY = { 0: 'non-shareable', 1: 'reserved', 2: 'outer shareable', 3: 'inner shareable' }
const FLAG = { 0: 'an access faults', 1: 'accessed' }

type Manual = 'A64' | 'A32'
const SECTIONS: Readonly<Record<string, readonly [a64: string, a32: string]>> = {
  attributes: ['D8.6.1', 'B3.8.4'],
  shareability: ['D8.6.2', 'B3.8.4'],
  permissions: ['D8.4.1', 'B3.7.1'],
  execute: ['D8.4.2', 'B3.7.2'],
  hierarchical: ['D8.4.3', 'B3.6.2'],
  security: ['D8.4.5', 'B3.6.3'],
  flag: ['D8.5.1', 'B3.7.4'],
  tlb: ['D8.16.3', 'B3.9.1'],
  contiguous: ['D8.7.1', 'B3.6.2'],
  leaf: ['D8.3.2', 'B3.6.2'],
  table: ['D8.3.1', 'B3.6.1'],
}

function see(manual: Manual, subject: string): { section: string } {
  const [a64, a32] = SECTIONS[subject] ?? ['', '']
  return { section: manual === 'A64' ? a64 : a32 }
}

/** Fields that all leaves have in the same place. */
function common(manual: Manual): readonly Field[] {
  return [
    field('SH', 9, 8, 'shareability', { ...see(manual, 'shareability'), values: SHAREABILITY }),
    field('AF', 10, 10, 'access flag', { ...see(manual, 'flag'), values: FLAG }),
    field('DBM', 51, 51, 'dirty bit modifier: hardware makes the leaf writable on a write', { section: 'D8.5.2' }),
    field('Contiguous', 52, 52, 'one of a contiguous set of entries', see(manual, 'contiguous')),
  ]
}

function stage1(manual: Manual): readonly Field[] {
  return [
    field('AttrIndx', 4, 2, 'index of the memory attributes in MAIR', see(manual, 'attributes')),
    field('NS', 5, 5, 'output address is in non-secure memory', see(manual, 'security')),
    field('AP', 7, 6, 'data access permissions AP[2:1]', {
      ...see(manual, 'permissions'),
      values: { 0: 'privileged read/write', 1: 'read/write', 2: 'privileged read-only', 3: 'read-only' },
    }),
    ...common(manual),
    field('nG', 11, 11, 'not global: tagged with the ASID', { ...see(manual, 'tlb'), values: { 0: 'global', 1: 'of this ASID' } }),
    field('PXN', 53, 53, 'privileged execute-never', see(manual, 'execute')),
  ]
}

const MEMORY = ['', 'Non-cacheable', 'Write-Through', 'Write-Back']
const DEVICE = ['Device-nGnRnE', 'Device-nGnRE', 'Device-nGRE', 'Device-GRE']

/** MemAttr[3:2] outer and MemAttr[1:0] inner cacheability. */
function memory(code: number): string {
  const [outer, inner] = [MEMORY[code >> 2], MEMORY[code & 3] || 'reserved']
  return outer === inner ? `Normal ${outer}` : `Normal, outer ${outer}, inner ${inner}`
}

type Meanings = Readonly<Record<number, string>>
const MEM_ATTR: Meanings = Object.fromEntries(Array.from({ length: 16 }, (_, code) => [code, DEVICE[code] ?? memory(code)]))
/** With FEAT_S2FWB, which says what the memory is whatever stage 1 says. */
const MEM_ATTR_FWB: Meanings = { ...DEVICE, 5: 'Normal Non-cacheable', 6: 'Normal Write-Back', 7: 'as stage 1' }

/** `access`: S2AP in AArch64, HAP in AArch32. */
function stage2(manual: Manual, access: string, fwb: boolean): readonly Field[] {
  return [
    field('MemAttr', 5, 2, fwb ? 'memory attributes, coded for FEAT_S2FWB' : 'memory attributes', {
      section: manual === 'A64' ? 'D8.6' : 'B3.6.2',
      values: fwb ? MEM_ATTR_FWB : MEM_ATTR,
      reservedValues: fwb ? [4, 12] : [4, 8, 12],
    }),
    field(access, 7, 6, 'data access permissions', {
      section: manual === 'A64' ? 'D8.4.1' : 'B3.6.2',
      values: { 0: 'none', 1: 'read-only', 2: 'write-only', 3: 'read/write' },
    }),
    ...common(manual),
    field('XN', 54, 53, 'execute-never; without FEAT_XNX bit 54 alone counts', {
      ...see(manual, 'execute'),
      values: { 0: 'executable', 1: 'executable at EL0 alone', 2: 'never executable', 3: 'executable at EL1 alone' },
    }),
  ]
}

/** Above the access permissions of an AArch64 leaf. */
function upper64(software: string): readonly Field[] {
  return [
    field('Software', 58, 55, software, { section: 'D8.3.2' }),
    field('PBHA', 62, 59, 'page-based hardware attributes, or POIndex (FEAT_S1POE)', { section: 'D8.3.2' }),
    field('AMEC', 63, 63, 'alternate MECID of a Realm (FEAT_MEC); otherwise ignored', { section: 'D8.3.2' }),
  ]
}
const UPPER_A32: readonly Field[] = [
  field('Software', 58, 55, 'for software', { section: 'B3.6.2' }),
  field('Ignored', 63, 59, 'ignored; hardware attributes with FEAT_HPDS2', { section: 'B3.6.2' }),
]
/** Of a block. */
const NT: readonly Field[] = [field('nT', 16, 16, 'block translation entry: not to be cached as one (FEAT_BBM)', { section: 'D8.7.2' })]

/** What hardware ignores in a table descriptor below its address. Bits 9:8 are address bits with LPA2. */
function lowTable(manual: Manual): readonly Field[] {
  return [
    field('Ignored[7:2]', 7, 2, 'ignored by hardware', see(manual, 'table')),
    field('Ignored[9:8]', 9, 8, 'ignored by hardware', see(manual, 'table')),
    manual === 'A64'
      ? field('AF', 10, 10, 'access flag of the table (FEAT_HAFT); otherwise ignored', { section: 'D8.5.1' })
      : field('Ignored[10]', 10, 10, 'ignored by hardware', see(manual, 'table')),
    field('Ignored[11]', 11, 11, 'ignored by hardware', see(manual, 'table')),
    field('Software', 58, manual === 'A64' ? 51 : 52, 'ignored by hardware; bit 55 marks a table that was synced', see(manual, 'table')),
  ]
}

function limits(manual: Manual, xn: string): readonly Field[] {
  return [
    field('PXNTable', 59, 59, 'privileged execute-never for everything below', see(manual, 'hierarchical')),
    field(xn, 60, 60, 'unprivileged execute-never for everything below', see(manual, 'hierarchical')),
    field('APTable', 62, 61, 'limits the permissions of everything below', {
      ...see(manual, 'hierarchical'),
      values: { 0: 'no limit', 1: 'no unprivileged access', 2: 'no writes', 3: 'no unprivileged access, no writes' },
    }),
    field('NSTable', 63, 63, 'everything below is non-secure', see(manual, 'security')),
  ]
}

const ARM = { pageType: 3n, leafSet: LEAF_AF, contiguous: true }

export const AARCH64_STAGE1: LpaeDescriptors = {
  ...ARM,
  top: 47,
  leaf: [
    ...stage1('A64'),
    field('GP', 50, 50, 'guarded page (FEAT_BTI)', { section: 'D8.4.7' }),
    field('UXN', 54, 54, 'unprivileged execute-never (XN in a single-privilege regime)', { section: 'D8.4.2' }),
    ...upper64('for software'),
  ],
  block: NT,
  table: [...lowTable('A64'), ...limits('A64', 'UXNTable')],
  rights: RIGHTS64,
}

/** EL2 without E2H, and EL3: one privilege. AP[1] is RES1 there, PXN and nG are RES0, and so are the tables' bits for them. */
export const AARCH64_SINGLE: LpaeDescriptors = {
  ...AARCH64_STAGE1,
  leaf: AARCH64_STAGE1.leaf.flatMap((f) => single(f)),
  table: AARCH64_STAGE1.table.flatMap((f) => single(f)),
  rights: RIGHTS_SINGLE,
}

/** @param fwb MemAttr is coded for FEAT_S2FWB */
export function aarch64Stage2(fwb: boolean): LpaeDescriptors {
  return {
    ...ARM,
    top: 47,
    leaf: [
      ...stage2('A64', 'S2AP', fwb),
      field('FnXS', 11, 11, 'as if the XS attribute were 0 (FEAT_XS)', { section: 'D8.6' }),
      ...upper64('for software; NS (55) in the Realm state, AssuredOnly (58)'),
    ],
    block: NT,
    table: lowTable('A64'),
    rights: RIGHTS_S2,
  }
}

function single(f: Field): readonly Field[] {
  const flag = (name: string, bit: number, doc: string, reserved?: 'ignored'): Field =>
    field(name, bit, bit, doc, { ...(f.section !== undefined && { section: f.section }), ...(reserved && { reserved }) })
  if (f.name === 'AP') return [flag('AP[1]', 6, 'RES1: one privilege'), flag('AP[2]', 7, 'read-only')]
  if (f.name === 'UXN') return [flag('XN', 54, 'execute-never')]
  if (f.name === 'PXN') return [flag('PXN', 53, 'RES0: one privilege', 'ignored')]
  if (f.name === 'UXNTable') return [flag('XNTable', 60, 'execute-never for everything below')]
  if (f.name === 'PXNTable') return [flag('PXNTable', 59, 'RES0: one privilege', 'ignored')]
  if (f.name === 'APTable')
    return [flag('APTable[0]', 61, 'RES0: one privilege', 'ignored'), flag('APTable[1]', 62, 'no writes to anything below')]
  return [f]
}

/** DBM is AArch64's, but an SMMU that updates dirty states reads it here, too. */
export const AARCH32_STAGE1: LpaeDescriptors = {
  ...ARM,
  top: 39,
  leaf: [...stage1('A32'), field('XN', 54, 54, 'execute-never', { section: 'B3.7.2' }), ...UPPER_A32],
  block: [],
  table: [...lowTable('A32'), ...limits('A32', 'XNTable')],
  rights: RIGHTS32,
}

/** Hyp mode: one privilege. */
export const AARCH32_HYP: LpaeDescriptors = {
  ...AARCH32_STAGE1,
  leaf: AARCH32_STAGE1.leaf.flatMap((f) => (f.name === 'XN' ? [f] : single(f))),
  table: AARCH32_STAGE1.table.flatMap((f) => (f.name === 'XNTable' ? [f] : single(f))),
  rights: RIGHTS_SINGLE,
}

/** @param fwb MemAttr is coded for FEAT_S2FWB */
export function aarch32Stage2(fwb: boolean): LpaeDescriptors {
  return {
    ...ARM,
    top: 39,
    leaf: [...stage2('A32', 'HAP', fwb), ...UPPER_A32],
    block: [],
    table: lowTable('A32'),
    rights: RIGHTS32_S2,
  }
}
