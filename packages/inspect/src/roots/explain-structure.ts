/**
 * Structures of IOMMUs, field by field: Arm SMMUv3 (IHI 0070) 5.2, 5.4; Intel VT-d (revision 4.1) 9.1, 9.3, 9.6; AMD IOMMU (48882) 2.2.2.1, 2.2.6;
 * RISC-V IOMMU 1.0.1, 3.1.3, 3.2. Each is one wide number: its fields have the manual's bit numbers.
 */
import { type Field, field, IoPgtableError, splitField } from '@io-pgtable/core'
import { type ExplainedField, explainField } from '../explain/explain.ts'

export interface StructureKind {
  readonly title: string
  /** 64-bit words; fewer may be given: the others are 0. */
  readonly words: number
  readonly fields: readonly Field[]
}

const STE_CONFIG = { 0: 'abort', 4: 'bypass', 5: 'stage 1', 6: 'stage 2', 7: 'stage 1 and stage 2' }
const PAGING = { 0: 'bare', 8: 'Sv39', 9: 'Sv48', 10: 'Sv57' }

/** By the names of the command. */
export const STRUCTURES: Readonly<Record<string, StructureKind>> = {
  ste: {
    title: 'SMMUv3 stream table entry',
    words: 8,
    fields: [
      field('V', 0, 0, 'valid'),
      field('Config', 3, 1, 'what is done with the stream', { values: STE_CONFIG }),
      field('S1Fmt', 5, 4, 'format of the context descriptors', {
        values: { 0: 'linear', 1: '2-level, 4K leaves', 2: '2-level, 64K leaves' },
      }),
      splitField('S1ContextPtr', [[55, 6, 6]], 'where the context descriptors are'),
      field('S1CDMax', 63, 59, 'SubstreamID bits'),
      field('S1DSS', 65, 64, 'transactions without a SubstreamID', {
        values: { 0: 'terminated', 1: 'bypass stage 1', 2: 'context descriptor 0' },
      }),
      field('S2VMID', 143, 128, 'VMID'),
      field('S2T0SZ', 165, 160, 'stage 2: 64 less the input address bits'),
      field('S2SL0', 167, 166, 'stage 2: first level'),
      field('S2TG', 175, 174, 'stage 2: granule', { values: { 0: '4K', 1: '64K', 2: '16K' } }),
      field('S2PS', 178, 176, 'stage 2: output address bits'),
      field('S2AA64', 179, 179, 'stage 2: AArch64 tables'),
      splitField('S2TTB', [[247, 196, 4]], 'where the stage 2 tables are'),
    ],
  },
  cd: {
    title: 'SMMUv3 context descriptor',
    words: 8,
    fields: [
      field('T0SZ', 5, 0, '64 less the input address bits of TTB0'),
      field('TG0', 7, 6, 'granule of TTB0', { values: { 0: '4K', 1: '64K', 2: '16K' } }),
      field('EPD0', 14, 14, 'walks of TTB0 are disabled'),
      field('T1SZ', 21, 16, '64 less the input address bits of TTB1'),
      field('TG1', 23, 22, 'granule of TTB1', { values: { 1: '16K', 2: '4K', 3: '64K' } }),
      field('EPD1', 30, 30, 'walks of TTB1 are disabled'),
      field('V', 31, 31, 'valid'),
      field('IPS', 34, 32, 'output address bits'),
      field('AA64', 41, 41, 'AArch64 tables'),
      field('ASID', 63, 48, 'ASID'),
      splitField('TTB0', [[119, 68, 4]], 'where the lower tables are'),
      splitField('TTB1', [[183, 132, 4]], 'where the upper tables are'),
      field('MAIR', 255, 192, 'memory attributes'),
    ],
  },
  'vtd-root': {
    title: 'VT-d root entry',
    words: 2,
    fields: [field('P', 0, 0, 'present'), splitField('CTP', [[63, 12, 12]], 'where the context table is')],
  },
  'vtd-context': {
    title: 'VT-d context entry',
    words: 2,
    fields: [
      field('P', 0, 0, 'present'),
      field('FPD', 1, 1, 'faults are not recorded'),
      field('TT', 3, 2, 'translation type', {
        values: { 0: 'second stage', 1: 'second stage, device TLB', 2: 'pass-through', 3: 'reserved' },
      }),
      splitField('SSPTPTR', [[63, 12, 12]], 'where the second stage tables are'),
      field('AW', 66, 64, 'address width', { values: { 1: '39 bits, 3 levels', 2: '48 bits, 4 levels', 3: '57 bits, 5 levels' } }),
      field('DID', 87, 72, 'domain id'),
    ],
  },
  'vtd-pasid': {
    title: 'VT-d PASID table entry',
    words: 8,
    fields: [
      field('P', 0, 0, 'present'),
      field('FPD', 1, 1, 'faults are not recorded'),
      field('AW', 4, 2, 'address width of the second stage', {
        values: { 1: '39 bits, 3 levels', 2: '48 bits, 4 levels', 3: '57 bits, 5 levels' },
      }),
      field('PGTT', 8, 6, 'translation type', { values: { 1: 'first stage', 2: 'second stage', 3: 'nested', 4: 'pass-through' } }),
      splitField('SSPTPTR', [[63, 12, 12]], 'where the second stage tables are'),
      field('DID', 79, 64, 'domain id'),
      field('SRE', 128, 128, 'requests with supervisor privilege'),
      field('ERE', 129, 129, 'requests for execution'),
      field('FSPM', 131, 130, 'first stage paging mode', { values: { 0: '4 levels', 1: '5 levels' } }),
      field('WPE', 132, 132, 'supervisor writes obey R/W'),
      field('NXE', 133, 133, 'execute disable'),
      field('SMEP', 134, 134, 'supervisor execution of user pages is refused'),
      splitField('FSPTPTR', [[191, 140, 12]], 'where the first stage tables are'),
    ],
  },
  dte: {
    title: 'AMD-Vi device table entry',
    words: 4,
    fields: [
      field('V', 0, 0, 'valid'),
      field('TV', 1, 1, 'the table fields are valid'),
      field('HAD', 8, 7, 'host access and dirty bits'),
      field('Mode', 11, 9, 'levels of the host tables', { values: { 0: 'none: translation is off', 7: 'reserved' } }),
      splitField('HostPageTableRootPtr', [[51, 12, 12]], 'where the host tables are'),
      field('PPR', 52, 52, 'page requests are let through'),
      field('GIoV', 54, 54, 'requests without a PASID use guest tables'),
      field('GV', 55, 55, 'guest tables are valid'),
      field('GLX', 57, 56, 'levels of the guest CR3 table, less one'),
      splitField(
        'GCR3TableRootPtr',
        [
          [60, 58, 12],
          [95, 80, 15],
          [127, 107, 31],
        ],
        'where the guest CR3 table is',
      ),
      field('IR', 61, 61, 'reads are let through'),
      field('IW', 62, 62, 'writes are let through'),
      field('DomainID', 79, 64, 'domain id'),
      field('IV', 128, 128, 'the interrupt fields are valid'),
      splitField('IntTabRootPtr', [[179, 134, 6]], 'where the interrupt table is'),
      field('GuestPagingMode', 183, 182, 'guest tables', { values: { 0: '4 levels', 1: '5 levels' } }),
    ],
  },
  gcr3: {
    title: 'AMD-Vi guest CR3 table entry',
    words: 1,
    fields: [field('V', 0, 0, 'valid'), splitField('Pointer', [[51, 12, 12]], 'where the next table, or the guest tables, are')],
  },
  dc: {
    title: 'RISC-V IOMMU device context',
    words: 8,
    fields: [
      field('V', 0, 0, 'valid'),
      field('EN_ATS', 1, 1, 'address translation services'),
      field('EN_PRI', 2, 2, 'page requests'),
      field('DTF', 4, 4, 'faults are not recorded'),
      field('PDTV', 5, 5, 'fsc is a process directory'),
      field('GADE', 7, 7, 'second stage: hardware sets A and D'),
      field('SADE', 8, 8, 'first stage: hardware sets A and D'),
      field('SXL', 11, 11, 'first stage of 32 bits'),
      splitField('iohgatp.PPN', [[107, 64, 12]], 'where the second stage tables are'),
      field('iohgatp.GSCID', 123, 108, 'guest context id'),
      field('iohgatp.MODE', 127, 124, 'second stage', { values: { 0: 'bare', 8: 'Sv39x4', 9: 'Sv48x4', 10: 'Sv57x4' } }),
      field('ta.PSCID', 159, 140, 'process context id'),
      splitField('fsc.PPN', [[235, 192, 12]], 'where the first stage tables, or the process directory, are'),
      field('fsc.MODE', 255, 252, 'first stage, or process directory', { values: PAGING }),
    ],
  },
  pc: {
    title: 'RISC-V IOMMU process context',
    words: 2,
    fields: [
      field('V', 0, 0, 'valid'),
      field('ENS', 1, 1, 'supervisor requests'),
      field('SUM', 2, 2, 'supervisor accesses to user pages'),
      field('PSCID', 31, 12, 'process context id'),
      splitField('fsc.PPN', [[107, 64, 12]], 'where the first stage tables are'),
      field('fsc.MODE', 127, 124, 'first stage', { values: PAGING }),
    ],
  },
}

/** The fields of a structure's words, from the lowest bit on. @throws `EINVAL` for more words than it has, and for ones of more than 64 bits */
export function explainStructure(name: string, words: readonly bigint[]): readonly ExplainedField[] {
  const kind = STRUCTURES[name]
  if (kind === undefined) throw new IoPgtableError('EINVAL', 'explainStructure', `there is no structure ${name}`, { value: name })
  if (words.length > kind.words)
    throw new IoPgtableError('EINVAL', name, `${words.length} words: at most ${kind.words} of 64 bits expected`, { value: words.length })
  const wide = words.find((word) => word >> 64n !== 0n)
  if (wide !== undefined) throw new IoPgtableError('EINVAL', name, 'words of 64 bits expected', { value: wide })
  const raw = words.reduce((all, word, i) => all | (word << BigInt(64 * i)), 0n)
  return kind.fields.map((each) => explainField(each, raw))
}

/** Which of the structures one is that led to a stream. */
export const STRUCTURE_OF: Readonly<Record<string, string>> = {
  STE: 'ste',
  CD: 'cd',
  'context entry': 'vtd-context',
  'PASID table entry': 'vtd-pasid',
  DTE: 'dte',
  DC: 'dc',
  PC: 'pc',
}
