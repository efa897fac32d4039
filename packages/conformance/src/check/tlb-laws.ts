/** Laws of the TLB: what a walker may have cached never outlives the invalidations that the callbacks ask for, nor the tables. */
import { IotlbGather } from '@io-pgtable/core'
import { type Case, iovaOf, leastPaddr, type Size } from './case.ts'
import { write } from './dirty-law.ts'
import { type MakeFlushOps, referenceFlushOps } from './flush-ops.ts'
import { operationOf } from './generate.ts'
import { type Law, type LawName, same } from './law.ts'
import type { GatherMode } from './operation.ts'
import { sequences } from './random.ts'
import { Session } from './session.ts'
import { explained, plainProt } from './table-laws.ts'
import { TlbSession } from './tlb-session.ts'

const LENGTHS = { quick: { sequences: 8, operations: 40 }, full: { sequences: 40, operations: 80 } } as const

/** Random sequences under a driver's callbacks, after the plain cases. */
export function runTlb(c: Case, law: LawName, make: MakeFlushOps): void {
  plans(c, make)
  for (const middle of [1n << 31n, 1n << 32n]) gathered(c, middle)
  if (c.policy.dirty !== undefined) for (const size of c.sizes) cleaned(c, size, make)
  sequences(c, law, LENGTHS[c.effort], (draws, log) => {
    const run = new TlbSession(c, make)
    try {
      for (const draw of draws) {
        const op = operationOf(run.session.model, draw)
        if (run.session.gather !== undefined && (op.op === 'map' || op.op === 'mapRange')) run.apply({ op: 'sync' })
        run.apply(op)
      }
      run.end()
    } finally {
      log.push(...run.session.log)
    }
  })
}

/** For each page size, at both ends of the input addresses: a table that goes with what is in it, an empty one that gives way. */
function plans(c: Case, make: MakeFlushOps): void {
  const end = 1n << BigInt(c.geometry.ias)
  for (const size of c.sizes) {
    for (const offset of new Set([0n, end - BigInt(size.pgsize)])) {
      for (const gather of ['own', 'none', 'later'] as const) plan(c, make, size, offset, gather)
    }
  }
}

function plan(c: Case, make: MakeFlushOps, size: Size, offset: bigint, gather: GatherMode): void {
  const small = c.sizes[0] as Size
  const run = new TlbSession(c, make)
  const prot = plainProt(c, size)
  const count = Math.min(3, size.pgsize / small.pgsize)
  explained(run.session, () => {
    run.apply({ op: 'map', offset, paddr: leastPaddr(c), size: small, count, prot })
    run.apply({ op: 'unmap', offset, size, count: 1, gather })
    run.apply({ op: 'unmap', offset, size: small, count, gather })
    run.apply({ op: 'sync' })
    run.apply({ op: 'map', offset, paddr: leastPaddr(c), size, count: 1, prot })
    run.apply({ op: 'unmap', offset, size, count: 1, gather })
    run.end()
  })
}

/** One gather for two pages on both sides of an address: its range has both, whichever was unmapped first. */
function gathered(c: Case, middle: bigint): void {
  const size = c.sizes[0] as Size
  const bytes = BigInt(size.pgsize)
  // the halves of a sign-extended space lie apart
  const { ias, window } = c.geometry
  if (middle + bytes > 1n << BigInt(window === 'sign-extended' ? ias - 1 : ias)) return
  for (const order of [
    [middle - bytes, middle],
    [middle, middle - bytes],
  ]) {
    const session = new Session(c, { tlb: { flushAll() {}, flushWalk() {}, sync() {} } })
    explained(session, () => {
      const gather = new IotlbGather()
      for (const offset of order) session.apply({ op: 'map', offset, paddr: leastPaddr(c), size, count: 1, prot: plainProt(c, size) })
      for (const offset of order) session.table.unmapPages(iovaOf(c.geometry, offset), size.pgsize, 1, gather)
      same('first address of the gather', gather.first, iovaOf(c.geometry, middle - bytes))
      same('last address of the gather', gather.last, iovaOf(c.geometry, middle + bytes - 1n))
      gather.sync()
    })
    session.table.free()
  }
}

/** A leaf that was written to, and is cleaned: the TLB must forget that it may be written without being told. */
function cleaned(c: Case, size: Size, make: MakeFlushOps): void {
  const run = new TlbSession(c, make)
  const { session, iotlb } = run
  explained(session, () => {
    run.apply({ op: 'map', offset: 0n, paddr: leastPaddr(c), size, count: 1, prot: plainProt(c, size) })
    iotlb.wrote(write(session, size, 0))
    const gather = new IotlbGather()
    session.table.readAndClearDirty(iovaOf(c.geometry, 0n), size.pgsize, () => {}, 0, gather)
    session.log.push(`readAndClearDirty(the same range, gather that is then synced)`)
    gather.sync()
    run.check()
    run.apply({ op: 'unmap', offset: 0n, size, count: 1, gather: 'own' })
    run.end()
  })
}

const coherence: Law = {
  name: 'tlb/coherence',
  says: 'a TLB that forgets only what the callbacks invalidate never answers with a stale translation nor follows a freed table; a walker whose memory is late sees sound tables',
  check(c) {
    runTlb(c, 'tlb/coherence', referenceFlushOps(c))
    return undefined
  },
}

const free: Law = {
  name: 'tlb/free',
  says: 'free invalidates everything before any table goes back to the pool',
  check(c) {
    const seen: number[] = []
    const range = c.policy.flushOrder === 'range'
    const look = (): void => void seen.push(session.pool.stats().live)
    const session: Session = new Session(c, {
      tlb: { flushAll: range ? () => {} : look, flushWalk() {}, addPages() {}, sync: range ? look : () => {} },
    })
    for (const size of c.sizes.slice(0, 1))
      session.apply({ op: 'map', offset: 0n, paddr: leastPaddr(c), size, count: 1, prot: plainProt(c, size) })
    seen.length = 0
    const live = session.pool.stats().live
    session.table.free()
    same(`calls of ${range ? 'sync' : 'flushAll'} from free`, seen.length, 1)
    same('bytes of tables that are still there when everything is invalidated', seen[0], live)
    same('bytes of tables after free', session.pool.stats().live, 0)
    return undefined
  },
}

export const tlbLaws: readonly Law[] = [coherence, free]
