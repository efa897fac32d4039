/** Laws of changes to what is mapped already: cutting, protecting, trimming. */
import { diffSnapshots, type LeafSize, snapshotText } from '@io-pgtable/core'
import { type Case, iovaOf, leafRaw, leastPaddr, outputBytes, pagesFrom, protsOf, roomAt, type Size, shareIn, tableAlign } from './case.ts'
import { referenceFlushOps } from './flush-ops.ts'
import { editOf } from './generate-edits.ts'
import { type Law, must, same } from './law.ts'
import type { GatherMode, Operation } from './operation.ts'
import { sequences } from './random.ts'
import { Session } from './session.ts'
import { explained, plainProt, someOf } from './table-laws.ts'
import { TlbSession } from './tlb-session.ts'

const GATHERS: readonly GatherMode[] = ['own', 'none', 'later']

const cuts: Law = {
  name: 'table/cut',
  says: 'a cut makes a boundary, of the largest leaves that fit and the fewest tables; translations stay, without memory all does; hints go',
  check(c) {
    const larger = someOf(c).filter((size) => size !== c.sizes[0])
    for (const size of larger) {
      const cuts = cutsOf(c, size).map((offset, i) => ({ offset, gather: GATHERS[i % 3] as GatherMode }))
      for (const { offset, gather } of shareIn(c, cuts)) cutSize(c, size, offset, gather)
      const smallest = startOf(c, size) + BigInt(c.sizes[0]!.pgsize)
      for (const bytes of ceilings(c, size)) cutWithout(c, size, smallest, bytes)
    }
    const hints = cutHints(c)
    return larger.length + hints > 0 ? undefined : { skipped: 'the configuration has one page size, of one entry' }
  },
}

/** Where the second mapping of a size is cut: near both ends, by each node's smallest and largest smaller size. */
function cutsOf(c: Case, size: Size): bigint[] {
  const start = startOf(c, size)
  const smaller = c.sizes.filter(({ pgsize }) => pgsize < size.pgsize)
  const ends = c.chain.flatMap((node) => {
    const at = smaller.filter((one) => one.node === node)
    return [at[0], at.at(-1)].flatMap((one) => (one === undefined ? [] : [BigInt(one.pgsize)]))
  })
  return [...new Set(ends.map((step, i) => (i % 2 === 0 ? start + step : start + BigInt(size.pgsize) - step)))]
}

/** The second place of a size, or the first where there is but one. */
function startOf(c: Case, size: Size): bigint {
  return pagesFrom(c, size, 0n) > 1 ? BigInt(size.pgsize) : 0n
}

function cutSize(c: Case, size: Size, cut: bigint, gather: GatherMode): void {
  const run = new TlbSession(c, referenceFlushOps(c))
  const { session } = run
  explained(session, () => {
    run.apply(mapOf(c, size))
    const before = session.table.snapshot()
    run.apply({ op: 'cut', offset: cut, gather })
    unchanged(before, session.table)
    run.apply({ op: 'sync' })
    run.apply({ op: 'cut', offset: cut, gather: 'own' })
    session.compare()
    run.end()
  })
}

/** Whatever allocation fails, the table is as before. */
function cutWithout(c: Case, size: Size, cut: bigint, memory: number): void {
  const session = new Session(c, { memory })
  explained(session, () => {
    session.apply(mapOf(c, size))
    const before = session.table.snapshot()
    session.apply({ op: 'cut', offset: cut, gather: 'none' })
    unchanged(before, session.table)
    session.compare()
  })
  session.end()
}

function mapOf(c: Case, size: Size): Operation {
  const paddr = outputBytes(c, size) >= 2n * BigInt(size.pgsize) ? BigInt(size.pgsize) : 0n
  return { op: 'map', offset: startOf(c, size), paddr, size, count: 1, prot: plainProt(c, size) }
}

/** Memory for the mapping and for 0, 1, ... of the tables that a cut may need, all but the last. */
function ceilings(c: Case, size: Size): number[] {
  const root = tableAlign(c.chain[c.top]!)
  const grown = c.chain.slice(0, c.top).reduce((sum, node) => sum + tableAlign(node), 0)
  const mapped = root + grown + c.chain.slice(c.top + 1, size.depth + 1).reduce((sum, node) => sum + tableAlign(node), 0)
  const below = c.chain.slice(size.depth + 1).map(tableAlign)
  return below.map((_, i) => mapped + below.slice(0, i).reduce((sum, bytes) => sum + bytes, 0))
}

function unchanged(before: ReturnType<Session['table']['snapshot']>, table: Session['table']): void {
  const changes = diffSnapshots(before, table.snapshot(), { sizes: false })
  must(changes.length === 0, () => `the cut changed translations:\n${snapshotText(changes)}`, { iova: changes[0]?.iova ?? 0n })
}

/** Entries that somebody else marked as one mapping, a size that is only read: a cut unmarks all of them, and flushes. */
function cutHints(c: Case): number {
  const marked = c.sizes.flatMap((size) =>
    size.size.slots > 1
      ? []
      : size.kind.sizes
          .filter(({ encode, slots, match }) => encode === false && slots > 1 && isMark(match))
          .map((hint) => ({ size, hint })),
  )
  for (const { size, hint } of marked) cutHint(c, size, hint)
  return marked.length
}

function isMark(match: LeafSize['match']): boolean {
  return match !== undefined && match.mask === match.value
}

function cutHint(c: Case, size: Size, hint: LeafSize): void {
  const run = new TlbSession(c, referenceFlushOps(c))
  const { session } = run
  const span = BigInt(hint.pgsize)
  const offset = roomAt(c.geometry, 0n) >= 2n * span ? span : 0n
  explained(session, () => {
    run.apply({ op: 'map', offset, paddr: leastPaddr(c), size, count: hint.slots, prot: plainProt(c, size) })
    mark(run, offset, hint)
    const sizes: number[] = []
    session.table.forEachLeaf(undefined, (leaf) => void sizes.push(leaf.size))
    same('sizes of the leaves that were marked', sizes.join(), String(hint.pgsize))
    const before = session.table.snapshot()
    same('cut of a marked mapping', session.table.cut(iovaOf(c.geometry, offset + BigInt(size.pgsize))), true)
    unchanged(before, session.table)
    run.check()
    session.compare()
    run.end()
  })
}

/** Writes the mark into every entry, as whoever made the table would have; the device sees it at once. */
function mark({ session: { table, pool, c }, iotlb }: TlbSession, offset: bigint, { slots, match }: LeafSize): void {
  const first = table.walk(iovaOf(c.geometry, offset)).at(-1)
  if (first === undefined || match === undefined) return
  const { entryBytes } = first.node
  for (let i = 0; i < slots; i++) {
    const at = first.table + BigInt((first.index + i) * entryBytes)
    const byte = Number(at - pool.base)
    if (entryBytes === 8) pool.cells[byte / 8]! |= BigInt.asIntN(64, match.value)
    else pool.words[byte / 4]! |= Number(BigInt.asIntN(32, match.value))
    iotlb.wrote(at)
  }
}

const protects: Law = {
  name: 'table/protect',
  says: 'protect gives mapped leaves any prot that they can have, in place, up to the first hole; a part of a leaf is refused, or cut',
  check(c) {
    for (const size of shareIn(c, someOf(c))) protectSize(c, size)
    return undefined
  },
}

function protectSize(c: Case, size: Size): void {
  const run = new TlbSession(c, referenceFlushOps(c))
  const offset = startOf(c, size)
  const { pgsize } = size
  const count = Math.min(2, pagesFrom(c, size, offset))
  const room = Number(roomAt(c.geometry, offset))
  const small = c.sizes[0]!.pgsize
  explained(run.session, () => {
    run.apply({ op: 'map', offset, paddr: leastPaddr(c), size, count, prot: plainProt(c, size) })
    for (const [i, prot] of someProts(c, size).entries()) {
      const bytes = Math.min(pgsize * (1 + (i % 3)), room)
      run.apply({ op: 'protect', offset, bytes, prot, cut: false, gather: GATHERS[i % 3] as GatherMode })
      run.apply({ op: 'sync' })
    }
    run.session.compare()
    if (pgsize > small) {
      const prot = plainProt(c, size)
      for (const cut of [false, true]) {
        run.apply({ op: 'protect', offset: offset + BigInt(small), bytes: pgsize - small, prot, cut, gather: 'own' })
      }
    }
    run.session.compare()
    run.end()
  })
}

/** Prots with different descriptors, one that cannot be expressed, and the first again. */
function someProts(c: Case, size: Size): number[] {
  const byRaw = new Map(protsOf(c).map((prot) => [leafRaw(c, size, prot, leastPaddr(c)), prot]))
  const prots = [...byRaw.values()]
  return [...prots.filter((_, i) => i % Math.ceil(prots.length / 8) === 0), plainProt(c, size), plainProt(c, size)]
}

const trims: Law = {
  name: 'table/trim',
  says: 'trim frees the tables in its range that translate nothing, with one flush for each highest one, and no other table',
  check(c) {
    const [small] = c.sizes
    if (small === undefined || small.depth === c.top) return { skipped: 'the smallest page is in the root' }
    for (const gather of GATHERS) trimSmall(c, small, gather)
    return undefined
  },
}

/** Two pages in different tables: one goes, its tables with the trim; then the other. */
function trimSmall(c: Case, small: Size, gather: GatherMode): void {
  const run = new TlbSession(c, referenceFlushOps(c))
  const { session } = run
  const end = (1n << BigInt(c.geometry.ias)) - 1n
  const far = end + 1n - BigInt(small.pgsize)
  const prot = plainProt(c, small)
  const { node } = small
  const table = (1n << BigInt(node.shift + node.bits)) - 1n
  explained(session, () => {
    for (const offset of [0n, far]) run.apply({ op: 'map', offset, paddr: leastPaddr(c), size: small, count: 1, prot })
    run.apply({ op: 'trim', offset: 0n, last: end, gather })
    run.apply({ op: 'unmap', offset: 0n, size: small, count: 1, gather: 'own' })
    const last = table < end ? table : end
    if (last > 0n) run.apply({ op: 'trim', offset: 0n, last: last - 1n, gather })
    run.apply({ op: 'trim', offset: 0n, last, gather })
    run.apply({ op: 'sync' })
    run.apply({ op: 'unmap', offset: far, size: small, count: 1, gather: 'own' })
    run.apply({ op: 'trim', offset: 0n, last: end, gather })
    run.apply({ op: 'sync' })
    same('tables below the root after everything was unmapped and trimmed', session.model.tables.flatMap((slots) => [...slots]).length, 0)
    same('bytes of tables after everything was unmapped and trimmed', session.table.tableBytes, session.model.tableBytes)
    run.apply({ op: 'map', offset: 0n, paddr: leastPaddr(c), size: small, count: 1, prot })
    run.end()
  })
}

const inPlace: Law = {
  name: 'tlb/in-place',
  says: 'random cuts, protects and trims among maps and unmaps do what the model does; no stale translation outlives its flush, no walker sees a change that it must not',
  check(c) {
    const length = c.effort === 'full' ? { sequences: 24, operations: 80 } : { sequences: 2, operations: 30 }
    sequences(c, 'tlb/in-place', length, (draws, log) => {
      const run = new TlbSession(c, referenceFlushOps(c))
      const { session } = run
      try {
        for (const [i, draw] of draws.entries()) {
          const op = editOf(session.model, draw)
          if (session.gather !== undefined && mustSync(op)) run.apply({ op: 'sync' })
          run.apply(op)
          if (i % 16 === 15) session.compare()
        }
        run.end()
      } finally {
        log.push(...session.log)
      }
    })
    return undefined
  },
}

/** What is noted in a gather is synced before anything else there changes. */
function mustSync(op: Operation): boolean {
  return op.op !== 'translate' && op.op !== 'sync'
}

export const editLaws: readonly Law[] = [cuts, protects, trims, inPlace]
