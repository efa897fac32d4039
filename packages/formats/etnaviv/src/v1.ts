/** MMUv1: a flat table over the upper 2 GiB. An entry is the address of a page, and nothing else. */
import { ALWAYS, field, type Geometry, type Kind, type Meaning, meaning, type Rights, SZ_4K, when } from '@io-pgtable/core'
import { readAndWrite } from '@io-pgtable/gpu-common'
import type { EtnavivParams } from './types.ts'

const GRANTS: Meaning<Rights> = meaning([], () => readAndWrite(true, true))
const PAGE: Kind = {
  type: 'leaf',
  name: 'page',
  match: ALWAYS,
  set: 0n,
  address: [[31, 12, 12]],
  sizes: [{ pgsize: SZ_4K, slots: 1 }],
  fields: [field('Unused', 11, 0, 'written as zero', { section: 'MMUv1 entry', reserved: 'zero' })],
  grants: GRANTS,
}

/** An unused entry holds the address of the bad page: there is no valid bit. */
export function geometryV1({ oas, badPage }: EtnavivParams): Geometry {
  const unused: Kind = { type: 'empty', name: 'the bad page', match: when(0xffff_ffffn, badPage), fields: [] }
  const table = { id: 'PT', level: 1, name: 'page table', shift: 12, bits: 19, entryBytes: 4, tableBytes: 1 << 21, align: SZ_4K } as const
  const nodes = [{ ...table, empty: badPage, kinds: [unused, PAGE] }]
  return { nodes, top: 'PT', ias: 31, oas, window: 'top', spaceBits: 32, tablesBelow: 1n << 32n }
}
