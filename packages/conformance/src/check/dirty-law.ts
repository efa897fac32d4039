/** The law of dirty tracking: what a device wrote to is told once, and nothing else. */
import { matches, type Prot, ReadDirty } from '@io-pgtable/core'
import { type Case, iovaOf, leafRaw, leastPaddr, pagesFrom, protsOf, type Size, shareIn } from './case.ts'
import { type Law, same } from './law.ts'
import { codeOf, Session } from './session.ts'
import { explained } from './table-laws.ts'

export const dirty: Law = {
  name: 'table/dirty',
  says: 'exactly the leaves that were written to since the last time are told, whole, in order; reading without clearing changes nothing',
  check(c) {
    if (c.policy.dirty === undefined) {
      refuses(c)
      return { skipped: 'the configuration declares no dirty tracking' }
    }
    for (const size of shareIn(c, c.sizes)) trackSize(c, size)
    return undefined
  },
}

/** Without dirty tracking there is nothing to read, and the table says so. */
function refuses(c: Case): void {
  const session = new Session(c)
  let code: string | undefined
  try {
    session.table.readAndClearDirty(iovaOf(c.geometry, 0n), c.sizes[0]!.pgsize, () => {})
  } catch (error) {
    code = codeOf(error)
  }
  same('error of readAndClearDirty without dirty tracking', code, 'EINVAL')
  session.end()
}

/** Four mappings in a row, of which a device writes to some; the last address beyond them is a hole. */
function trackSize(c: Case, size: Size): void {
  const prot = writable(c, size)
  const count = Math.min(4, pagesFrom(c, size, 0n))
  if (prot === undefined) return
  const session = new Session(c)
  explained(session, () => {
    session.apply({ op: 'map', offset: 0n, paddr: leastPaddr(c), size, count, prot })
    read(session, size, count, 0)
    for (const written of [[0], [count - 1], [0, count - 1], [...Array(count).keys()], []]) {
      for (const i of written) write(session, size, i)
      const wanted = [...new Set(written)].sort((a, b) => a - b)
      told(session, size, count, wanted, ReadDirty.NO_CLEAR)
      told(session, size, count, wanted, 0)
      told(session, size, count, [], 0)
      for (let i = 0; i < count; i++) unchanged(session, size, i, prot)
    }
    if (BigInt(count + 1) * BigInt(size.pgsize) <= 1n << BigInt(c.geometry.ias)) hole(session, size, count)
  })
  session.table.free()
  same('bytes left in the pool', session.pool.stats().live, 0)
}

/** A prot whose leaf a device can write to, so that it can become dirty. */
function writable(c: Case, size: Size): Prot | undefined {
  return protsOf(c).find((prot) => {
    const raw = leafRaw(c, size, prot, leastPaddr(c))
    return (prot & 2) !== 0 && raw !== undefined && (c.format.prot(raw, size.kind, c.format.context(c.config)) & 2) !== 0
  })
}

function read(session: Session, size: Size, count: number, flags: number): { iova: bigint; pgsize: number }[] {
  const seen: { iova: bigint; pgsize: number }[] = []
  session.table.readAndClearDirty(
    iovaOf(session.c.geometry, 0n),
    size.pgsize * count,
    (iova, pgsize) => void seen.push({ iova, pgsize }),
    flags,
  )
  return seen
}

function told(session: Session, size: Size, count: number, wanted: readonly number[], flags: number): void {
  const { geometry } = session.c
  const seen = read(session, size, count, flags)
  const names = wanted.map((i) => iovaOf(geometry, BigInt(i) * BigInt(size.pgsize)).toString(16))
  same(`dirty leaves${flags === 0 ? '' : ', only looked at'}`, seen.map(({ iova }) => iova.toString(16)).join(), names.join(), {
    node: size.node,
  })
  for (const { iova, pgsize } of seen) same('bytes of a dirty leaf', pgsize, size.pgsize, { iova, node: size.node })
}

/** Writing and cleaning leave what the leaf grants, and where it leads, as it was mapped. */
function unchanged({ table, c }: Session, size: Size, i: number, prot: Prot): void {
  const iova = iovaOf(c.geometry, BigInt(i) * BigInt(size.pgsize))
  const leaf = table.walk(iova).at(-1)
  const mapped = leafRaw(c, size, prot, leastPaddr(c)) ?? 0n
  const context = c.format.context(c.config)
  same('type of a cleaned descriptor', leaf?.type, 'leaf', { iova, node: size.node })
  if (leaf?.type !== 'leaf') return
  same('what a cleaned leaf grants', c.format.prot(leaf.raw, leaf.kind, context), c.format.prot(mapped, size.kind, context), {
    iova,
    entry: leaf,
  })
  same('iovaToPhys of a cleaned leaf', table.iovaToPhys(iova), BigInt(i) * BigInt(size.pgsize), { iova, entry: leaf })
}

/** The device writes: the last of the entries of the mapping becomes dirty, as the policy says. @returns the address of that descriptor */
export function write({ table, pool, c }: Pick<Session, 'table' | 'pool' | 'c'>, size: Size, i: number): bigint {
  const { dirty: rule } = c.policy
  if (rule === undefined) return 0n
  const iova = iovaOf(c.geometry, BigInt(i + 1) * BigInt(size.pgsize) - 1n)
  const leaf = table.walk(iova).at(-1)
  if (leaf === undefined) return 0n
  const raw = (leaf.raw & ~rule.dirty.mask) | rule.dirty.value
  const offset = Number(leaf.table - pool.base) + leaf.index * leaf.node.entryBytes
  if (leaf.node.entryBytes === 8) pool.cells[offset / 8] = BigInt.asIntN(64, raw)
  else pool.words[offset / 4] = Number(BigInt.asIntN(32, raw))
  same('dirty after a write', matches(raw, rule.dirty), true, { iova, node: leaf.node, raw })
  return pool.base + BigInt(offset)
}

/** A hole ends the reading with an error, after the leaves before it were told. */
function hole(session: Session, size: Size, count: number): void {
  write(session, size, count - 1)
  const seen: bigint[] = []
  let code: string | undefined
  const iova = iovaOf(session.c.geometry, 0n)
  try {
    session.table.readAndClearDirty(iova, size.pgsize * (count + 1), (at) => void seen.push(at))
  } catch (error) {
    code = codeOf(error)
  }
  same('error at a hole', code, 'EINVAL', { iova })
  same('dirty leaves before the hole', seen.length, 1, { iova })
}
