/** The law of arguments: both ends of the input and output addresses, and everything that a table must refuse. */
import { inputRanges, Prot, protLimit } from '@io-pgtable/core'
import { type Case, iovaOf, leastPaddr, offsetOf, type Size, shareIn, uncarried } from './case.ts'
import { type Law, must, same } from './law.ts'
import { codeOf, Session } from './session.ts'
import { explained, plainProt } from './table-laws.ts'

export const bounds: Law = {
  name: 'table/bounds',
  says: 'the first and last address of ias and oas can be used, what lies beyond is ERANGE, what is misaligned or nonsense EINVAL, and changes nothing',
  check(c) {
    for (const size of shareIn(c, c.sizes)) {
      const session = new Session(c)
      explained(session, () => {
        usable(session, size)
        refused(session, size)
      })
      session.end()
    }
    return undefined
  },
}

/** The first and the last page of every window, at the first and the last output address. */
function usable(session: Session, size: Size): void {
  const { c } = session
  const top = ((1n << BigInt(c.geometry.oas)) - BigInt(size.pgsize)) & ~uncarried(c, size)
  const prot = plainProt(c, size)
  for (const { first, last } of inputRanges(c.geometry)) {
    const at = offsetOf(c.geometry, first)
    const end = offsetOf(c.geometry, last) + 1n - BigInt(size.pgsize)
    session.apply({ op: 'map', offset: at, paddr: top, size, count: 1, prot })
    if (end > at) session.apply({ op: 'map', offset: end, paddr: leastPaddr(c), size, count: 1, prot })
    session.compare()
    session.apply({ op: 'unmap', offset: end > at ? end : at, size, count: 1, gather: 'own' })
    if (end > at) session.apply({ op: 'unmap', offset: at, size, count: 1, gather: 'own' })
  }
}

interface Wrong {
  readonly what: string
  readonly iova: bigint
  readonly paddr: bigint
  readonly pgsize: number
  readonly count: number
  readonly prot: Prot
  readonly code: string
  /** What concerns the input addresses is refused by unmaps too. */
  readonly unmaps: boolean
}

function refused(session: Session, size: Size): void {
  const { table, c } = session
  const iova = iovaOf(c.geometry, 0n)
  for (const wrong of wrongs(c, size)) {
    const { what, pgsize, count, code } = wrong
    const got = table.mapPages(wrong.iova, wrong.paddr, pgsize, count, wrong.prot)
    same(`bytes mapped, ${what}`, got.mapped, 0, { iova: wrong.iova })
    same(`error, ${what}`, codeOf(got.error), code, { iova: wrong.iova })
    if (wrong.unmaps)
      same(
        `error of the unmap, ${what}`,
        thrown(() => table.unmapPages(wrong.iova, pgsize, count)),
        code,
        { iova: wrong.iova },
      )
    session.compare()
  }
  for (const outside of outsides(c)) {
    same(
      'iovaToPhys beyond the window',
      thrown(() => table.iovaToPhys(outside)),
      'ERANGE',
      { iova: outside },
    )
    same(
      'walk beyond the window',
      thrown(() => table.walk(outside)),
      'ERANGE',
      { iova: outside },
    )
  }
  const range = table.mapRange(iova, leastPaddr(c), c.sizes[0]!.pgsize / 2, Prot.READ)
  must(range.mapped === 0 && codeOf(range.error) === 'EINVAL', 'mapRange of half a page is not refused', { iova })
}

function wrongs(c: Case, { pgsize, node, kind, size }: Size): Wrong[] {
  const { geometry } = c
  const iova = iovaOf(geometry, 0n)
  const prot = plainProt(c, { pgsize, node, kind, size, depth: 0 })
  const span = BigInt(pgsize)
  const good: Wrong = { what: '', iova, paddr: leastPaddr(c), pgsize, count: 1, prot, code: 'EINVAL', unmaps: true }
  const last = inputRanges(geometry)[0]!.last + 1n - span
  const end = 1n << BigInt(geometry.oas)
  const granule = BigInt(c.sizes[0]!.pgsize)
  const odd = granule < span ? granule : span / 2n
  return [
    { ...good, what: 'iova misaligned', iova: iova + odd },
    { ...good, what: 'paddr misaligned', paddr: odd, unmaps: false },
    { ...good, what: 'no pages', count: 0 },
    { ...good, what: 'half a page', count: 1.5 },
    { ...good, what: 'fewer than no pages', count: -1 },
    { ...good, what: 'a page size that is none', pgsize: pgsize * 3 },
    { ...good, what: 'two page sizes in one', pgsize: pgsize + c.sizes[0]!.pgsize * (pgsize === c.sizes[0]!.pgsize ? 2 : 1) },
    { ...good, what: 'no access', prot: Prot.CACHE, unmaps: false },
    { ...good, what: 'an unknown flag of prot', prot: protLimit(kind) | prot, unmaps: false },
    { ...good, what: 'the end beyond ias', iova: last, count: 2, code: 'ERANGE' },
    ...(leastPaddr(c) === 0n ? [] : [{ ...good, what: 'paddr below the least', paddr: leastPaddr(c) - span, unmaps: false }]),
    { ...good, what: 'paddr beyond oas', paddr: end, code: 'ERANGE', unmaps: false },
    { ...good, what: 'the end beyond oas', paddr: end - span, count: 2, code: 'ERANGE', unmaps: false },
    ...outsides(c).map((outside) => ({ ...good, what: 'iova beyond the window', iova: outside - (outside % span), code: 'ERANGE' })),
  ].filter(({ what, count, iova: at }) => what !== 'the end beyond ias' || count * pgsize + Number(at - last) > pgsize)
}

/** Addresses beside the windows. */
function outsides({ geometry }: Case): bigint[] {
  const ranges = inputRanges(geometry)
  const inside = (iova: bigint): boolean => ranges.some(({ first, last }) => iova >= first && iova <= last)
  const candidates = [...ranges.map(({ last }) => last + 1n), 1n << 63n, (1n << 64n) - (1n << 30n), 1n << BigInt(geometry.ias)]
  return candidates.filter(
    (iova) => iova < 1n << 64n && !inside(iova) && !inside(iova + (1n << 32n)) && !inside(iova - (iova % (1n << 32n))),
  )
}

function thrown(run: () => unknown): string | undefined {
  try {
    run()
  } catch (error) {
    return codeOf(error)
  }
  return undefined
}
