/** MMUv2: two levels, input addresses of 32 bits, output addresses of 40. */
import { ALWAYS, field, type Geometry, type Kind, type Meaning, meaning, type Rights, SZ_4K, when } from '@io-pgtable/core'
import { readAndWrite } from '@io-pgtable/gpu-common'
import type { EtnavivParams } from './types.ts'

export const PRESENT: bigint = 1n
export const EXCEPTION: bigint = 1n << 1n
export const WRITEABLE: bigint = 1n << 2n

const GRANTS: Meaning<Rights> = meaning(['Writeable'], ({ Writeable }) => readAndWrite(true, Writeable === 1))

const NOT_PRESENT: Kind = {
  type: 'empty',
  name: 'not present',
  match: when(PRESENT, 0n),
  fields: [
    field('Exception', 1, 1, 'an access is reported', { section: 'MMUv2 entries' }),
    field('Ignored', 31, 2, 'not looked at', { reserved: 'ignored' }),
  ],
}
const TABLE: Kind = {
  type: 'table',
  name: 'STLB',
  match: ALWAYS,
  set: PRESENT,
  address: [[31, 12, 12]],
  child: 'STLB',
  fields: [
    field('Present', 0, 0, 'present', { section: 'MTLB entry' }),
    field('Exception', 1, 1, 'its effect in a present entry is not known', { section: 'MTLB entry' }),
    field('Unused', 11, 2, 'written as zero', { section: 'MTLB entry', reserved: 'zero' }),
  ],
}
const PAGE: Kind = {
  type: 'leaf',
  name: 'page',
  match: ALWAYS,
  set: PRESENT,
  address: [
    [31, 12, 12],
    [11, 4, 32],
  ],
  sizes: [{ pgsize: SZ_4K, slots: 1 }],
  fields: [
    field('Present', 0, 0, 'present', { section: 'STLB entry' }),
    field('Exception', 1, 1, 'its effect in a present entry is not known', { section: 'STLB entry' }),
    field('Writeable', 2, 2, 'writes are allowed', { section: 'STLB entry' }),
    field('Unused', 3, 3, 'written as zero', { section: 'STLB entry', reserved: 'zero' }),
  ],
  grants: GRANTS,
}

export function geometryV2({ ias, oas }: EtnavivParams): Geometry {
  const entries = { entryBytes: 4, tableBytes: SZ_4K, empty: EXCEPTION } as const
  const mtlb = { ...entries, id: 'MTLB', level: 1, name: 'MTLB', shift: 22, bits: ias - 22, kinds: [NOT_PRESENT, TABLE] }
  const stlb = { ...entries, id: 'STLB', level: 2, name: 'STLB', shift: 12, bits: 10, kinds: [NOT_PRESENT, PAGE] }
  return { nodes: [mtlb, stlb], top: 'MTLB', ias, oas, window: 'low', tablesBelow: 1n << 32n }
}
