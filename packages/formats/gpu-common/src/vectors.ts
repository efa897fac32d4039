/** What the bindings of these formats to the vectors recorded from drivers share. */
import type { VectorDifference, VectorMembers, VectorOperation } from '@io-pgtable/core'

/** The members of a file's `config` that every format has. */
export function commonConfig(config: VectorMembers): { pgsizeBitmap: bigint; ias: number; oas: number; coherentWalk: boolean } {
  return {
    pgsizeBitmap: BigInt(config.pgsizeBitmap as string),
    ias: config.ias as number,
    oas: config.oas as number,
    coherentWalk: config.coherentWalk as boolean,
  }
}

/** Most drivers of GPUs write over what is mapped. Here that is a conflict. */
export const OVERWRITES: VectorDifference = {
  op: ['map', 'mapRange', 'mapRepeat'],
  when: 'mapped',
  reason: 'the driver writes over a mapped page; here that is EEXIST',
}

/** An unmap as drivers do it that clear each page of the range, mapped or not: one call a page. @returns bytes that were mapped */
export const unmapEachPage: VectorOperation = (table, { iova, pgsize, pgcount }) => {
  let unmapped = 0
  for (let i = 0; i < Number(pgcount); i++)
    unmapped += table.unmapPages(BigInt(iova as string) + BigInt(i) * BigInt(pgsize as number), Number(pgsize), 1)
  return { unmapped }
}

/** An unmap as drivers do it that free a table with its last page. */
export const unmapAndTrim: VectorOperation = (table, op) => {
  const unmapped = table.unmapPages(BigInt(op.iova as string), Number(op.pgsize), Number(op.pgcount))
  table.trim()
  return { unmapped }
}
