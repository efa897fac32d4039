/** Laws of map, unmap and translate: a table does what its model does. */
import { decode, hex, Prot, walkTables } from '@io-pgtable/core'
import { type Case, iovaOf, leafRaw, leastPaddr, pagesFrom, protsOf, type Size, shareIn, tableAlign, uncarried } from './case.ts'
import { operationOf } from './generate.ts'
import { Fault, type Law, must, same } from './law.ts'
import type { Operation } from './operation.ts'
import { sequences } from './random.ts'
import { codeOf, Session } from './session.ts'

/** READ|WRITE where the format has it for this size, else the first prot that it has. */
export function plainProt(c: Case, size: Size): Prot {
  const good = [Prot.READ | Prot.WRITE, ...protsOf(c)].find((prot) => leafRaw(c, size, prot, leastPaddr(c)) !== undefined)
  if (good === undefined) throw new Fault('no prot can be expressed', { node: size.node })
  return good
}

export const entries: Law = {
  name: 'table/entries',
  says: 'each page size, for every prot, is as many descriptors as it declares, with the declared bits; unmapped, they are empty again',
  check(c) {
    for (const size of shareIn(c, c.sizes)) {
      const session = new Session(c)
      const offset = BigInt(size.pgsize)
      const fits = offset + BigInt(size.pgsize) <= 1n << BigInt(c.geometry.ias)
      const at = fits ? offset : 0n
      const paddr = highest(c, size)
      const seen = new Set<bigint | undefined>()
      for (const prot of protsOf(c)) {
        const raw = leafRaw(c, size, prot, paddr)
        if (seen.has(raw)) continue
        seen.add(raw)
        session.apply({ op: 'map', offset: at, paddr, size, count: 1, prot })
        session.compare()
        if (raw !== undefined) checkGranted(session, size, at)
        session.apply({ op: 'unmap', offset: at, size, count: 1, gather: 'own' })
        checkEmptied(session)
      }
      session.end()
    }
    return undefined
  },
}

/** The highest aligned output address, with a hole in its bits. */
function highest(c: Case, size: Size): bigint {
  const last = (1n << BigInt(c.geometry.oas)) - BigInt(size.pgsize)
  return last & ~(1n << BigInt(Math.log2(size.pgsize) + 1)) & ~uncarried(c, size)
}

/** The way of an address ends at a leaf of that size, at the node that declares it. */
function checkGranted({ table, c }: Session, size: Size, offset: bigint): void {
  const iova = iovaOf(c.geometry, offset)
  const way = table.walk(iova)
  const leaf = way.at(-1)
  same('type of the last descriptor on the way', leaf?.type, 'leaf', { iova, node: size.node })
  same('node of the leaf', leaf?.node.id, size.node.id, { iova, node: size.node })
}

function checkEmptied(session: Session): void {
  const { table } = session
  walkTables(table.geometry, table.roots, table.readMemory, {
    leaf: (leaf) => {
      throw new Fault('a leaf is left after everything was unmapped', {
        iova: leaf.iova,
        entry: decode(table.geometry, leaf.node, leaf.raw),
      })
    },
  })
}

export const conflicts: Law = {
  name: 'table/conflicts',
  says: 'a mapping of any size in the way of any other is told, what is written before it is the policy, unmaps span sizes and stop at holes',
  check(c) {
    const sizes = someOf(c)
    const plans = sizes.flatMap((first) => sizes.flatMap((second) => CONFLICTS.map((plan) => ({ plan, first, second }))))
    for (const { plan, first, second } of shareIn(c, plans)) runPlan(c, plan, first, second)
    return undefined
  },
}

/** All sizes where they are few; else of each node the smallest, and of the last two the largest and one between as well. */
export function someOf(c: Case): Size[] {
  if (c.sizes.length <= 6) return [...c.sizes]
  return c.chain.flatMap((node, depth) => {
    const sizes = c.sizes.filter((size) => size.node === node)
    const last = sizes.length - 1
    return sizes.filter((_, i) => i === 0 || (depth >= c.chain.length - 2 && (i === last >> 1 || i === last)))
  })
}

/** Steps on two sizes: what is mapped or unmapped, where in units of that size (`edge`: the last one of its first table), how many. */
type Step = readonly [op: 'map' | 'unmap', which: 0 | 1, at: number | 'end' | 'edge', count: number]
const CONFLICTS: readonly (readonly Step[])[] = [
  [
    ['map', 0, 1, 1],
    ['map', 1, 0, 3],
    ['map', 1, 1, 1],
    ['unmap', 1, 0, 3],
    ['unmap', 1, 1, 1],
    ['unmap', 0, 1, 1],
  ],
  [
    ['map', 0, 0, 2],
    ['map', 0, 1, 2],
    ['unmap', 0, 1, 1],
    ['map', 0, 1, 1],
    ['unmap', 1, 0, 1],
    ['map', 1, 0, 1],
  ],
  [
    ['map', 0, 0, 1],
    ['unmap', 0, 0, 1],
    ['map', 1, 0, 2],
    ['unmap', 1, 0, 2],
    ['map', 0, 0, 4],
    ['unmap', 0, 1, 3],
  ],
  [
    ['map', 0, 'edge', 3],
    ['map', 1, 'edge', 1],
    ['unmap', 0, 'edge', 2],
    ['map', 0, 'edge', 4],
    ['unmap', 0, 'edge', 4],
  ],
  [
    ['map', 0, 'end', 1],
    ['map', 1, 'end', 1],
    ['unmap', 1, 'end', 1],
    ['unmap', 0, 'end', 1],
  ],
]

function runPlan(c: Case, plan: readonly Step[], first: Size, second: Size): void {
  const session = new Session(c)
  const room = 1n << BigInt(c.geometry.ias)
  for (const [op, which, at, wanted] of plan) {
    const size = which === 0 ? first : second
    const span = BigInt(size.pgsize)
    const offset = at === 'end' ? room - span : at === 'edge' ? edgeOf(c, size) : BigInt(at) * span
    if (offset < 0n) continue
    const count = Math.min(wanted, pagesFrom(c, size, offset))
    if (count < 1) continue
    explained(session, () => {
      if (op === 'map') session.apply({ op, offset, paddr: leastPaddr(c), size, count, prot: plainProt(c, size) })
      else session.apply({ op, offset, size, count, gather: 'own' })
      session.compare()
    })
  }
  session.end()
}

/** The last place of a size in the first table of its node; of the root, the last but two. */
function edgeOf({ chain, geometry }: Case, { depth, pgsize }: Size): bigint {
  const above = chain[depth - 1]
  const span = BigInt(pgsize)
  return above !== undefined && above.shift < geometry.ias ? (1n << BigInt(above.shift)) - span : (1n << BigInt(geometry.ias)) - 3n * span
}

/** Adds the calls so far to a fault. */
export function explained(session: Session, run: () => void): void {
  try {
    run()
  } catch (error) {
    const fault = new Fault(
      `${error instanceof Error ? error.message : error}\n  after the calls\n${session.log.map((call) => `    table.${call}`).join('\n')}`,
    )
    fault.cause = error
    throw fault
  }
}

export const model: Law = {
  name: 'table/model',
  says: 'random sequences of maps, unmaps and translations do what the model does, and leave no table behind',
  check(c) {
    const length = c.effort === 'full' ? { sequences: 60, operations: 100 } : { sequences: 12, operations: 50 }
    sequences(c, 'table/model', length, (draws, log) => {
      const session = new Session(c, { debug: { oneTablePerCall: draws.length % 3 === 0 } })
      for (const [i, draw] of draws.entries()) {
        const op = operationOf(session.model, draw)
        try {
          syncBefore(session, op)
          session.apply(op)
          if (i % 8 === 7) session.compare()
        } finally {
          log.splice(0, log.length, ...session.log)
        }
      }
      session.end()
    })
    return undefined
  },
}

/** A caller does not map where he unmapped before the gather is synced. */
export function syncBefore(session: Session, op: Operation): void {
  if (session.gather !== undefined && (op.op === 'map' || op.op === 'mapRange')) session.apply({ op: 'sync' })
}

export const memory: Law = {
  name: 'table/memory',
  says: 'when table memory ends, at whatever allocation, ENOMEM comes with the prefix that is mapped, and no table is lost',
  check(c) {
    for (const size of shareIn(c, c.sizes)) {
      let failures = 0
      for (const bytes of ceilings(c, size)) if (mapWith(c, size, bytes)) failures++
      const tables = size.depth > c.top
      must(!tables || failures > 0, () => `no allocation failed for ${hex(size.pgsize)} bytes`, { node: size.node })
    }
    noRoot(c)
    return undefined
  },
}

/** Limits of memory from the root alone to everything that the mapping needs, so that each allocation fails once. */
function ceilings(c: Case, size: Size): number[] {
  const root = tableAlign(c.chain[c.top]!)
  const tables = c.chain.slice(1, size.depth + 1).map(tableAlign)
  const extra = [...tables, tableAlign(size.node), tableAlign(size.node)]
  return [0, ...extra].map((_, i) => root + extra.slice(0, i).reduce((sum, bytes) => sum + bytes, 0))
}

/** Maps a run that crosses from one table into the next with so much memory. @returns whether it failed */
function mapWith(c: Case, size: Size, bytes: number): boolean {
  const session = new Session(c, { memory: bytes })
  const room = 1n << BigInt(c.geometry.ias)
  const above = size.depth === 0 ? room : 1n << BigInt(c.chain[size.depth - 1]!.shift)
  const start = above < room ? above - BigInt(size.pgsize) : room - BigInt(size.pgsize) * 2n
  const offset = start < 0n ? 0n : start
  const fits = Math.min(3, pagesFrom(c, size, offset))
  explained(session, () => {
    session.apply({ op: 'map', offset, paddr: leastPaddr(c), size, count: fits, prot: plainProt(c, size) })
    session.compare()
  })
  const short = session.model.mappings().length < fits
  session.end()
  return short
}

/** A pool without room for the root gives no table, and loses nothing. */
function noRoot(c: Case): void {
  let code: string | undefined
  try {
    new Session(c, { memory: 32 })
  } catch (error) {
    code = codeOf(error)
  }
  same('error without memory for the root', code, 'ENOMEM')
}
