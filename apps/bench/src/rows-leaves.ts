/** Rows of the calls that visit leaves one by one: what a leaf of a range full of 4K pages costs. */
import { type IoPageTable, Prot, SZ_4K } from '@io-pgtable/core'
import { expectEqual, type Pass, type Row } from './row.ts'
import { mapAll, newTable, type Subject } from './subject.ts'

/** Leaves of the rows that every run has: few enough for an engine that takes 30 µs a leaf. */
const FEW = 2048

interface Mapped {
  readonly subject: Subject
  readonly table: IoPageTable
  readonly leaves: number
}

/** A table that holds the subject's range, full of pages, and nothing else. */
function mapped(subject: Subject): Mapped {
  const table = newTable(subject)
  mapAll(subject, table)
  return { subject, table, leaves: subject.bytes / subject.page }
}

/** The whole range is one run of pages in its place, with these permissions. */
function verifyRun({ subject, table }: Mapped, prot: number): void {
  const [run, more] = table.snapshot().runs
  expectEqual('a second run', more, undefined)
  expectEqual('iova', run?.iova, subject.iova)
  expectEqual('paddr', run?.paddr, subject.paddr)
  expectEqual('size', run?.size, BigInt(subject.bytes))
  expectEqual('size of a page', run?.pgsize, subject.page)
  expectEqual('prot', (run?.prot ?? 0) & (Prot.READ | Prot.WRITE), prot)
}

function forEachLeafPass(of: Mapped): Pass {
  const { subject, table, leaves } = of
  return {
    run: () => {
      let bytes = 0
      table.forEachLeaf(undefined, ({ size }) => void (bytes += size))
      return bytes
    },
    expected: subject.bytes,
    verify: () => {
      let wrong = 0
      let next = 0n
      const page = BigInt(subject.page)
      table.forEachLeaf(undefined, ({ iova, paddr }) => {
        if (iova - subject.iova !== next || paddr - subject.paddr !== next) wrong++
        next += page
      })
      expectEqual('leaves at a wrong address', wrong, 0)
      expectEqual('leaves', next / page, BigInt(leaves))
    },
  }
}

function snapshotPass(of: Mapped): Pass {
  const { subject, table } = of
  return {
    run: () => table.snapshot().runs.reduce((bytes, { size }) => bytes + Number(size), 0),
    expected: subject.bytes,
    verify: () => verifyRun(of, Prot.READ | Prot.WRITE),
  }
}

/** Each run changes every leaf: it takes away what the one before it gave. */
function protectPass(of: Mapped): Pass {
  const { subject, table } = of
  let prot: number = Prot.READ | Prot.WRITE
  return {
    run: () => {
      prot ^= Prot.WRITE
      return table.protect(subject.iova, subject.bytes, prot)
    },
    expected: subject.bytes,
    verify: () => verifyRun(of, prot),
  }
}

const CALLS: readonly [name: string, title: string, pass: (of: Mapped) => Pass][] = [
  ['forEachLeaf', 'visit all leaves', forEachLeafPass],
  ['snapshot', 'take a snapshot', snapshotPass],
  ['protect', 'change what all leaves grant', protectPass],
]

function rowsOf(subject: Subject, size: string, more: Partial<Row>): Row[] {
  return CALLS.map(([name, title, pass]) => ({
    id: `${subject.format}/leaves-${size}/${name}`,
    title: `${title} of ${subject.range} of 4K pages`,
    unit: 'leaf',
    units: subject.bytes / SZ_4K,
    prepare: () => pass(mapped(subject)),
    ...more,
  }))
}

export function leafRows(subject: Subject): Row[] {
  const few = { ...subject, bytes: FEW * SZ_4K, range: '8 MiB' }
  return [...rowsOf(few, '8M', {}), ...rowsOf(subject, '1G', { full: true })]
}
