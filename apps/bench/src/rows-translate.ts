/** Rows of translation: a million random addresses of a range full of 4K pages. */
import { expectEqual, type Pass, type Row } from './row.ts'
import { mapAll, nameOf, newTable, randomAddresses, type Subject } from './subject.ts'

const COUNT = 1 << 20
const UNMAPPED = 2n ** 64n - 1n

function single(subject: Subject): Pass {
  const table = newTable(subject)
  mapAll(subject, table)
  const iovas = Array.from(randomAddresses(subject, COUNT))
  const shift = subject.paddr - subject.iova
  return {
    run: () => {
      let hits = 0
      // kept from one round to the next, so that every result must really be made
      let last: bigint | undefined = UNMAPPED
      for (let i = 0; i < iovas.length; i++) {
        if (last !== undefined) hits++
        last = table.iovaToPhys(iovas[i]!)
      }
      return last === undefined ? hits - 1 : hits
    },
    expected: COUNT,
    verify: () => {
      expectEqual(
        'first wrong translation',
        iovas.findIndex((iova) => table.iovaToPhys(iova) !== iova + shift),
        -1,
      )
    },
  }
}

function batch(subject: Subject, count = COUNT): Pass {
  const table = newTable(subject)
  mapAll(subject, table)
  const iovas = randomAddresses(subject, count)
  const out = new BigUint64Array(count)
  const shift = subject.paddr - subject.iova
  return {
    run: () => table.iovaToPhysMany(iovas, out),
    expected: count,
    verify: () => {
      expectEqual(
        'first wrong translation',
        iovas.findIndex((iova, i) => out[i] !== iova + shift),
        -1,
      )
      expectEqual('page size', table.geometry !== undefined && table.walk(subject.iova).at(-1)?.type, 'leaf')
    },
  }
}

export function batchRow(subject: Subject, count: number = COUNT): Row {
  return {
    id: `${subject.format}/translate/batch`,
    title: `translate ${count / 1024}K random addresses of ${subject.range}, iovaToPhysMany`,
    unit: 'address',
    units: count,
    prepare: () => batch(subject, count),
  }
}

export function translateRows(subject: Subject): Row[] {
  const row = { unit: 'address', units: COUNT }
  return [
    {
      ...row,
      id: `${subject.format}/translate/single`,
      title: `translate 1M random addresses of ${subject.range}, bigint in and out`,
      prepare: () => single(subject),
    },
    batchRow(subject),
  ]
}

/** 64 GiB: the leaf tables alone are 128 MiB, far more than the caches. */
export function largeTranslateRow(subject: Subject): Row {
  return {
    id: `${subject.format}/translate-64G/batch`,
    title: `translate 1M random addresses of ${subject.range} of ${nameOf(subject.page)} pages, iovaToPhysMany`,
    unit: 'address',
    units: COUNT,
    full: true,
    prepare: () => batch(subject),
  }
}
