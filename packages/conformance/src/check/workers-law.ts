/** Laws of concurrency: workers on one table over one SharedArrayBuffer, each on its own addresses. */
import { hex } from '@io-pgtable/core'
import { type Case, iovaOf, leastPaddr, pagesFrom, type Size, shareOf } from './case.ts'
import { Fault, type Law, must, same } from './law.ts'
import { codeOf, Session } from './session.ts'
import { plainProt } from './table-laws.ts'
import type { Team } from './team.ts'
import type { WorkerCall, WorkerJob } from './worker-protocol.ts'

const WORKERS = 3

/** @param team undefined where there are no workers @param module built code of the format */
export function workerLaws(team: Team | undefined, module: URL | undefined): readonly Law[] {
  const skipped = noWorkers(team, module)
  const disjoint: Law = {
    name: 'workers/disjoint',
    says: 'workers that map and unmap disjoint ranges of one table at once make the table that one after the other make, and lose no table',
    check: async (c) => {
      if (team === undefined || module === undefined) return { skipped }
      await race(c, team, module)
      return undefined
    },
  }
  const rangeLock: Law = {
    name: 'workers/range-lock',
    says: 'with debug.rangeLock, a call on a range that another worker is at is EBUSY and names both ranges; one beside it succeeds',
    check: async (c) => {
      if (team === undefined || module === undefined) return { skipped }
      await overlap(c, team, module)
      return undefined
    },
  }
  return [disjoint, rangeLock]
}

function noWorkers(team: Team | undefined, module: URL | undefined): string {
  if (module === undefined) return 'no `module` is given: workers load built code, and a format object cannot be posted to them'
  return team === undefined ? 'there are no workers here' : ''
}

function jobOf(c: Case, session: Session, module: URL, gate: Int32Array, more: Pick<WorkerJob, 'calls' | 'workers' | 'pause'>): WorkerJob {
  return { module: module.href, format: c.format.FORMAT, token: session.table.share(), gate, ...more }
}

async function race(c: Case, team: Team, module: URL): Promise<void> {
  const session = new Session(c, { shared: true })
  const gate = new Int32Array(new SharedArrayBuffer(8))
  const lists = Array.from({ length: WORKERS }, (_, worker) => [...pagesOf(session, worker), ...tablesOf(session, worker)])
  const answers = await Promise.all(
    lists.map((calls, i) => team.ask(i, jobOf(c, session, module, gate, { calls, workers: WORKERS, pause: false }))),
  )
  for (const [i, answer] of answers.entries()) {
    const problems = answer.type === 'done' ? answer.problems : ['it paused']
    must(problems.length === 0, () => `worker ${i} of ${WORKERS}, each on ranges of its own:\n  ${problems.join('\n  ')}`)
  }
  same('tableBytes after the workers', session.table.tableBytes, session.model.tableBytes)
  session.end()
}

/** A call for a worker, with the answer that the model gives: the ranges are disjoint, so that the order of the workers does not matter. */
function call(session: Session, op: 'map' | 'unmap', offset: bigint, size: Size, count: number): WorkerCall {
  const { c, model } = session
  const prot = plainProt(c, size)
  const bytes = op === 'map' ? model.map(offset, leastPaddr(c), size, count, prot).mapped : model.unmap(offset, size, count).unmapped
  return { op, iova: iovaOf(c.geometry, offset), paddr: leastPaddr(c), pgsize: size.pgsize, count, prot, bytes }
}

/** The smallest pages of a few tables, dealt out in turn: the workers race for the tables that hold them. Every second one is unmapped again. */
function pagesOf(session: Session, worker: number): WorkerCall[] {
  const { c } = session
  const size = c.sizes[0] as Size
  const table = 2 ** size.node.bits / size.size.slots
  const tables = shareOf(c, c.effort === 'full' ? 24 : 12)
  const calls: WorkerCall[] = []
  for (let t = 0; t < tables; t++) {
    for (let i = 0; i < 24; i++) {
      const page = t * table + ((i * WORKERS + worker) % table)
      const offset = BigInt(page) * BigInt(size.pgsize)
      // the upper half of the addresses is for whole tables
      const inHalf = offset < 1n << BigInt(c.geometry.ias - 1)
      if (!inHalf || i * WORKERS + worker >= table || pagesFrom(c, size, offset) < 1) continue
      calls.push(call(session, 'map', offset, size, 1))
      if (i % 2 === 1) calls.push(call(session, 'unmap', offset, size, 1))
    }
  }
  return calls
}

/** Slots of a larger page size, each of one worker alone: filled with small pages, taken down whole, mapped as one page. Tables come and go. */
function tablesOf(session: Session, worker: number): WorkerCall[] {
  const { c } = session
  const small = c.sizes[0] as Size
  const large = c.sizes.find((size) => size.depth < small.depth)
  if (large === undefined) return []
  const fill = Math.min(large.pgsize / small.pgsize, 64, pagesFrom(c, small, 0n))
  const calls: WorkerCall[] = []
  const room = Number((1n << BigInt(c.geometry.ias)) / BigInt(large.pgsize))
  for (let slot = room - 1 - worker; slot >= Math.max(room / 2, room - 24); slot -= WORKERS) {
    const offset = BigInt(slot) * BigInt(large.pgsize)
    calls.push(call(session, 'map', offset, small, fill))
    calls.push(call(session, 'unmap', offset, small, fill))
    calls.push(call(session, 'map', offset, large, 1))
    if (slot % 2 === 0) calls.push(call(session, 'unmap', offset, large, 1))
  }
  return calls
}

/** One worker stops inside a call; the range that it holds is then asked for here. */
async function overlap(c: Case, team: Team, module: URL): Promise<void> {
  const session = new Session(c, { shared: true, debug: { rangeLock: true } })
  const { table, model } = session
  const size = c.sizes[0] as Size
  const count = Math.min(4, pagesFrom(c, size, 0n))
  const gate = new Int32Array(new SharedArrayBuffer(8))
  const job = jobOf(c, session, module, gate, { calls: [call(session, 'map', 0n, size, count)], workers: 1, pause: true })
  const first = await team.ask(0, job)
  try {
    must(first.type === 'paused', () => `the worker did not stop in its call: ${JSON.stringify(first)}`)
    const iova = iovaOf(c.geometry, 0n)
    const last = iova + BigInt(size.pgsize * count) - 1n
    const { mapped, error } = refused(() => table.mapPages(iova, leastPaddr(c), size.pgsize, 1, plainProt(c, size)))
    same('bytes mapped in a range that another worker holds', mapped, 0, { iova })
    same('error in a range that another worker holds', codeOf(error), 'EBUSY', { iova })
    for (const bound of [iova, last]) {
      const named = error instanceof Error && error.message.includes(hex(bound))
      must(named, () => `the error does not name ${hex(bound)}: ${error instanceof Error ? error.message : error}`, { iova })
    }
    const beside = BigInt(size.pgsize * count)
    if (pagesFrom(c, size, beside) > 0) {
      const other = call(session, 'map', beside, size, 1)
      same(
        'bytes mapped beside the range that another worker holds',
        table.mapPages(other.iova, leastPaddr(c), size.pgsize, 1, other.prot).mapped,
        other.bytes,
      )
    }
  } finally {
    Atomics.store(gate, 1, 1)
    Atomics.notify(gate, 1)
  }
  const done = await team.next(0)
  must(done.type === 'done' && done.problems.length === 0, () => `the worker that held the range: ${JSON.stringify(done)}`)
  same('tableBytes', table.tableBytes, model.tableBytes)
  session.end()
}

/** The answer, or what was thrown instead of it. */
function refused(map: () => { mapped: number; error: unknown }): { mapped: number; error: unknown } {
  try {
    return map()
  } catch (error) {
    if (error instanceof Fault) throw error
    return { mapped: 0, error }
  }
}
