/** The calls that a law makes on a table, and how they are printed. */
import { hex, type Prot } from '@io-pgtable/core'
import { protText, type Size } from './case.ts'

/** How an unmap reports what the TLB must forget: with no gather, with one synced at once, or with one that is synced later. */
export type GatherMode = 'none' | 'own' | 'later'

/** Addresses are offsets in the input window. */
export type Operation =
  | {
      readonly op: 'map'
      readonly offset: bigint
      readonly paddr: bigint
      readonly size: Size
      readonly count: number
      readonly prot: Prot
    }
  | { readonly op: 'mapRange'; readonly offset: bigint; readonly paddr: bigint; readonly bytes: number; readonly prot: Prot }
  | { readonly op: 'unmap'; readonly offset: bigint; readonly size: Size; readonly count: number; readonly gather: GatherMode }
  | { readonly op: 'unmapRange'; readonly offset: bigint; readonly bytes: number; readonly gather: GatherMode }
  | { readonly op: 'cut'; readonly offset: bigint; readonly gather: GatherMode }
  | {
      readonly op: 'protect'
      readonly offset: bigint
      readonly bytes: number
      readonly prot: Prot
      readonly cut: boolean
      readonly gather: GatherMode
    }
  /** `last` is inclusive. */
  | { readonly op: 'trim'; readonly offset: bigint; readonly last: bigint; readonly gather: GatherMode }
  | { readonly op: 'translate'; readonly offset: bigint }
  | { readonly op: 'sync' }

/** The call as code. `iova`: the address that the offset stands for. */
export function operationText(op: Operation, iova: (offset: bigint) => bigint): string {
  if (op.op === 'sync') return 'gather.sync()'
  const at = `${hex(iova(op.offset))}n`
  switch (op.op) {
    case 'map':
      return `mapPages(${at}, ${hex(op.paddr)}n, ${hex(op.size.pgsize)}, ${op.count}, ${protText(op.prot)})`
    case 'mapRange':
      return `mapRange(${at}, ${hex(op.paddr)}n, ${hex(op.bytes)}, ${protText(op.prot)})`
    case 'unmap':
      return `unmapPages(${at}, ${hex(op.size.pgsize)}, ${op.count}${gatherText(op.gather)})`
    case 'unmapRange':
      return `unmapRange(${at}, ${hex(op.bytes)}${gatherText(op.gather)})`
    case 'cut':
      return `cut(${at}${gatherText(op.gather)})`
    case 'protect':
      return `protect(${at}, ${hex(op.bytes)}, ${protText(op.prot)}${op.cut ? ', cut' : ''}${gatherText(op.gather)})`
    case 'trim':
      return `trim(${at} to ${hex(iova(op.last))}n${gatherText(op.gather)})`
    case 'translate':
      return `iovaToPhys(${at})`
  }
}

function gatherText(mode: GatherMode): string {
  if (mode === 'none') return ''
  return mode === 'own' ? ', a gather that is then synced' : ', gather'
}
