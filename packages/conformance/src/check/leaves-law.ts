/** The law of telling what is mapped: visits and snapshots. */
import { hex, type SnapshotRun } from '@io-pgtable/core'
import { type Case, iovaOf, leafRaw, type Size } from './case.ts'
import { operationOf } from './generate.ts'
import { type Law, same } from './law.ts'
import { sequences } from './random.ts'
import { codeOf, Session } from './session.ts'
import { syncBefore } from './table-laws.ts'

export const leaves: Law = {
  name: 'table/leaves',
  says: 'forEachLeaf and snapshot tell every mapping once, in order, with its size, address and permissions',
  check(c) {
    sequences(c, 'table/leaves', { sequences: c.effort === 'full' ? 40 : 2, operations: 30 }, (draws, log) => {
      const session = new Session(c)
      for (const draw of draws) {
        const op = operationOf(session.model, draw)
        try {
          syncBefore(session, op)
          session.apply(op)
        } finally {
          log.splice(0, log.length, ...session.log)
        }
      }
      told(session)
      session.end()
    })
    return undefined
  },
}

function told({ table, model, c }: Session): void {
  const wanted = model.mappings()
  const grants = (raw: bigint, { kind }: Size): number => c.format.prot(raw, kind, c.format.context(c.config))
  let i = 0
  let bytes = 0n
  table.forEachLeaf(undefined, (leaf) => {
    const mapping = wanted[i++]
    same('iova of a leaf', leaf.iova, mapping && iovaOf(c.geometry, mapping.offset))
    if (mapping === undefined) return
    const where = { iova: leaf.iova, node: mapping.size.node, raw: leaf.descriptor }
    same('paddr of a leaf', leaf.paddr, mapping.paddr, where)
    same('bytes of a leaf', leaf.size, mapping.size.pgsize, where)
    same('prot of a leaf', leaf.prot, grants(leafRaw(c, mapping.size, mapping.prot, mapping.paddr) ?? 0n, mapping.size), where)
    same('level of a leaf', leaf.level, mapping.size.node.level, where)
    bytes += BigInt(leaf.size)
  })
  same('leaves', i, wanted.length)
  const { runs } = table.snapshot()
  same(
    'bytes of a snapshot',
    runs.reduce((sum, { size }) => sum + size, 0n),
    bytes,
  )
  for (const run of runs) inRun(table, run)
  const middle = wanted[wanted.length >> 1]
  if (middle !== undefined) alone(table, c, middle.offset, middle.size.pgsize)
}

/** Both ends of a run are translated as it says. */
function inRun(table: Session['table'], { iova, paddr, size }: SnapshotRun): void {
  same('iovaToPhys at the start of a run', table.iovaToPhys(iova), paddr, { iova })
  same('iovaToPhys at the end of a run', table.iovaToPhys(iova + size - 1n), paddr + size - 1n, { iova })
}

/** A range in one leaf visits that leaf, whole; and the visit can be ended, and cannot change the table. */
function alone(table: Session['table'], c: Case, offset: bigint, bytes: number): void {
  const iova = iovaOf(c.geometry, offset)
  const last = iova + BigInt(bytes) - 1n
  const seen: string[] = []
  const whole = table.forEachLeaf({ first: last, last }, (leaf) => {
    seen.push(`${hex(leaf.iova)} ${hex(leaf.size)}`)
    same('error of a change from a visit', codeOf(thrown(() => table.unmapRange(leaf.iova, leaf.size))), 'EBUSY', { iova })
    return false
  })
  same('leaves at one address', seen.join(), `${hex(iova)} ${hex(bytes)}`, { iova })
  same('a visit that was ended', whole, false)
}

function thrown(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}
