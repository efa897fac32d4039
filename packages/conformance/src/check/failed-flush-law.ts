/**
 * The law of callbacks that throw. A change is made by then, and the call made again may find nothing to do: what the failed one had to
 * invalidate must be invalidated all the same before that call, or its gather's sync, returns.
 */
import { IotlbGather, Prot } from '@io-pgtable/core'
import { type Case, iovaOf, leafRaw, leastPaddr, pagesFrom, protsOf, type Size, shareIn } from './case.ts'
import { write } from './dirty-law.ts'
import { leafOnly, referenceFlushOps } from './flush-ops.ts'
import { Fault, type Law, must, same } from './law.ts'
import { plainProt } from './table-laws.ts'
import { TlbSession } from './tlb-session.ts'

export const failedFlush: Law = {
  name: 'tlb/failed-flush',
  says: 'after a callback that threw, the call made again has invalidated what the first one changed, told the walker of it, and lost no table',
  check(c) {
    for (const scenario of shareIn(c, scenariosOf(c))) {
      for (const failures of [1, 2]) for (let turn = 1; attempt(c, scenario, turn, failures); turn++);
    }
    return undefined
  },
}

/** A change, and what is there before it. */
interface Scenario {
  readonly name: string
  prepare(run: TlbSession): void
  /** Makes the change; made again, it may find nothing to do. `gather` is the same each time. */
  change(run: TlbSession, gather: IotlbGather | undefined): void
  readonly gather: boolean
}

class Interruption extends Error {}

/** Fails the callback number `turn` of a change, and as many as are wanted after it. @returns false where the change makes fewer callbacks */
function attempt(c: Case, scenario: Scenario, turn: number, failures: number): boolean {
  let left = Number.POSITIVE_INFINITY
  let more = 0
  const before = (): void => {
    if (--left > 0) return
    left = more-- > 0 ? 1 : Number.POSITIVE_INFINITY
    throw new Interruption()
  }
  const run = new TlbSession(c, referenceFlushOps(c), { before, tables: 24 })
  const { session } = run
  scenario.prepare(run)
  run.check()
  const gather = scenario.gather ? new IotlbGather() : undefined
  left = turn
  more = failures - 1
  let thrown = 0
  try {
    for (; fails(() => scenario.change(run, gather)); thrown++) must(thrown <= failures, 'a callback throws again and again')
    left = Number.POSITIVE_INFINITY
    run.check()
    run.iotlb.checkSynced()
    session.table.free()
    same('bytes of tables after free', session.pool.stats().live, 0)
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    throw new Fault(
      `${scenario.name}, whose callback ${turn} threw, ${thrown > 1 ? 'twice, ' : ''}and which was then made again:\n  ${text}`,
    )
  }
  return thrown > 0
}

function fails(change: () => void): boolean {
  try {
    change()
  } catch (error) {
    if (error instanceof Interruption) return true
    throw error
  }
  return false
}

/** The smallest size, and the smallest one of the node above it: what is a table, or a leaf that can be cut. */
function scenariosOf(c: Case): Scenario[] {
  const small = c.sizes[0] as Size
  const large = c.sizes.find(({ depth }) => depth < small.depth)
  const sizes = large === undefined ? [small] : [small, large]
  return [...sizes.flatMap((size) => [...unmaps(c, size), ...protects(c, size), ...cleans(c, size)]), ...tables(c, small, large)]
}

/** The same change without a gather, and with one that is synced after it. */
function both(name: string, prepare: Scenario['prepare'], change: (run: TlbSession, gather: IotlbGather | undefined) => void): Scenario[] {
  const synced: Scenario['change'] = (run, gather) => {
    change(run, gather)
    gather?.sync()
  }
  return [false, true].map((gather) => ({ name: `${name}${gather ? ' with a gather' : ''}`, prepare, change: synced, gather }))
}

function countOf(c: Case, size: Size): number {
  return Math.min(3, pagesFrom(c, size, 0n))
}

function mapped(c: Case, size: Size, count = countOf(c, size)): Scenario['prepare'] {
  return (run) => run.apply({ op: 'map', offset: 0n, paddr: leastPaddr(c), size, count, prot: plainProt(c, size) })
}

function unmaps(c: Case, size: Size): Scenario[] {
  const iova = iovaOf(c.geometry, 0n)
  const bytes = size.pgsize * countOf(c, size)
  return [
    ...both('unmap', mapped(c, size), ({ session: { table } }, gather) => void table.unmap(iova, bytes, gather)),
    ...both('unmapPages', mapped(c, size), (run, gather) => {
      run.session.table.unmapPages(iova, size.pgsize, countOf(c, size), gather)
      if (gather === undefined) callersDuty(c, run, bytes)
    }),
  ]
}

/** What a caller without a gather invalidates himself, where pages are then not reported. */
function callersDuty({ policy }: Case, { iotlb }: TlbSession, bytes: number): void {
  if (policy.flushOrder === 'range' || policy.addPagesWithoutGather) return
  iotlb.remove((entry) => leafOnly(entry) && entry.first < BigInt(bytes))
}

function protects(c: Case, size: Size): Scenario[] {
  const iova = iovaOf(c.geometry, 0n)
  const bytes = size.pgsize * countOf(c, size)
  const plain = plainProt(c, size)
  const differs = (prot: Prot): boolean => leafRaw(c, size, prot, leastPaddr(c)) !== leafRaw(c, size, plain, leastPaddr(c))
  const expressible = protsOf(c).filter((prot) => leafRaw(c, size, prot, leastPaddr(c)) !== undefined && differs(prot))
  // the last one is mostly another memory type, by a break where the format wants it
  return [Prot.READ, expressible.at(-1)].flatMap((prot) =>
    prot === undefined || !expressible.includes(prot)
      ? []
      : both('protect', mapped(c, size), ({ session: { table } }, gather) => void table.protect(iova, bytes, prot, { gather })),
  )
}

/** A leaf that was written to, and is read as dirty: with a gather, since without one the caller invalidates it himself. */
function cleans(c: Case, size: Size): Scenario[] {
  if (c.policy.dirty === undefined) return []
  const prepare: Scenario['prepare'] = (run) => {
    mapped(c, size, 1)(run)
    run.iotlb.wrote(write(run.session, size, 0))
  }
  const iova = iovaOf(c.geometry, 0n)
  return both('readAndClearDirty', prepare, ({ session: { table } }, gather) => {
    table.readAndClearDirty(iova, size.pgsize, () => {}, 0, gather)
  }).filter(({ gather }) => gather)
}

/** Tables that go, whole or empty, give way to a leaf, or take the place of one. */
function tables(c: Case, small: Size, large: Size | undefined): Scenario[] {
  if (large === undefined) return []
  const iova = iovaOf(c.geometry, 0n)
  const count = Math.min(3, large.pgsize / small.pgsize)
  // by the policy `covered` a table goes where everything in it went
  const whole = c.policy.freeTables === 'covered' ? large.pgsize / small.pgsize : count
  const full: Scenario['prepare'] = mapped(c, small, whole)
  const empty: Scenario['prepare'] = (run) => {
    mapped(c, small, count)(run)
    run.apply({ op: 'unmap', offset: 0n, size: small, count, gather: 'own' })
  }
  const cut = iova + BigInt(small.pgsize)
  return [
    ...both('an unmap of a table', full, (run, gather) => {
      run.session.table.unmapPages(iova, large.pgsize, 1, gather)
      if (gather === undefined) callersDuty(c, run, large.pgsize)
    }),
    ...both('trim', empty, ({ session: { table } }, gather) => void table.trim(undefined, gather)),
    ...both('cut', mapped(c, large, 1), ({ session: { table } }, gather) => void table.cut(cut, gather)),
    {
      name: 'a map over an empty table',
      prepare: empty,
      change: ({ session: { table } }) => void table.mapPages(iova, leastPaddr(c), large.pgsize, 1, plainProt(c, large)),
      gather: false,
    },
  ]
}
