/** Where an operation is one that the library, on purpose, does otherwise than the recorded driver. */
import { hex, IoPgtableError, type VectorDifference, type VectorMembers } from '@io-pgtable/core'
import { countOf, hexOf } from './fields.ts'
import type { Subject } from './subject.ts'

/** Why the file ends before this operation, of those differences that it names; undefined where it is to be compared. */
export function differenceAt(subject: Subject, features: readonly string[], op: VectorMembers): string | undefined {
  const { binding } = subject
  if (binding.family !== 'driver') return undefined
  for (const feature of features) {
    const listed = binding.differences?.[feature] ?? []
    for (const difference of [listed].flat()) {
      if ([difference.op].flat().includes(op.op as string) && applies(subject, difference.when, op))
        return `${feature}: ${difference.reason}`
    }
  }
  return undefined
}

function applies(subject: Subject, when: VectorDifference['when'], op: VectorMembers): boolean {
  if (when === 'always') return true
  if (typeof when === 'function') return when(op, subject.table)
  return occupation(subject, iovaOf(subject, op), sizeOf(op)).has(when)
}

/** Our input address of an operation. */
export function iovaOf({ binding }: Subject, op: VectorMembers): bigint {
  return binding.family === 'driver' && binding.iova !== undefined ? binding.iova(op) : hexOf(op.iova, 'iova')
}

/** Bytes of an operation's range. */
export function sizeOf(op: VectorMembers): number {
  return 'size' in op ? countOf(op.size, 'size') : countOf(op.pgsize, 'pgsize') * countOf(op.pgcount, 'pgcount')
}

/** What a range holds: mapped pages, holes, a part of a mapping. A range outside of the table's addresses holds nothing. */
function occupation({ table }: Subject, iova: bigint, size: number): ReadonlySet<'mapped' | 'hole' | 'part'> {
  const found = new Set<'mapped' | 'hole' | 'part'>()
  const end = iova + BigInt(size)
  let next = iova
  try {
    table.forEachLeaf({ first: iova, last: end - 1n }, (leaf) => {
      const leafEnd = leaf.iova + BigInt(leaf.size)
      found.add('mapped')
      if (leaf.iova > next) found.add('hole')
      if (leaf.iova < iova || leafEnd > end) found.add('part')
      next = leafEnd
    })
  } catch (error) {
    if (!(error instanceof IoPgtableError)) throw new Error(`range ${hex(iova)}: ${String(error)}`)
  }
  if (next < end) found.add('hole')
  return found
}
