/** Uses every format of the workspace in every configuration that it lists, so that V8 has seen them all before a row is measured. */

import { formats } from 'workspace:formats'
import { IoPageTable, IotlbGather, inputRanges, Prot } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'

const ROUNDS = 30
const PAGES = 600

/** @param wanted by name; default: all @returns how many tables were used */
export function exerciseFormats(wanted?: ReadonlySet<string>): number {
  let tables = 0
  for (const format of formats) {
    if (wanted?.has(format.FORMAT) === false) continue
    for (const { config } of format.configs) {
      const pool = new PtPool({ base: 0n, size: 64 * 2 ** 20 })
      const table = IoPageTable.createRaw(format, { allocator: pool, ...config })
      for (let round = 0; round < ROUNDS; round++) use(table)
      table.free()
      tables++
    }
  }
  return tables
}

/** Maps, translates and unmaps pages in bulk and one by one, by every size and by ranges. Ends with the table as it was. */
function use(table: IoPageTable): void {
  const { first, last } = inputRanges(table.geometry)[0] ?? { first: 0n, last: 0n }
  const sizes = [...table.config.pgsizeBitmap.toString(2)].reverse().flatMap((bit, lg) => (bit === '1' && lg <= 30 ? [2 ** lg] : []))
  const [page = 4096] = sizes
  const gather = new IotlbGather()
  const pages = Math.min(PAGES, Number(last - first + 1n) / page)
  for (const pgsize of sizes)
    if (table.mapPages(first, 0n, pgsize, 1, Prot.READ | Prot.WRITE).mapped > 0) table.unmapPages(first, pgsize, 1, gather)
  table.mapPages(first, 0n, page, pages, Prot.READ | Prot.WRITE)
  const iovas = BigUint64Array.from({ length: pages }, (_, i) => first + BigInt(i * page))
  for (const iova of iovas) table.iovaToPhys(iova)
  table.iovaToPhysMany(iovas, new BigUint64Array(pages))
  for (const iova of iovas.subarray(0, pages / 2)) table.unmapPages(iova, page, 1, gather)
  for (const iova of iovas.subarray(0, pages / 2)) table.mapPages(iova, iova - first, page, 1, Prot.READ | Prot.WRITE)
  table.unmapPages(first, page, pages, gather)
  gather.sync()
  table.mapRange(first, 0n, page * pages, Prot.READ | Prot.WRITE)
  table.unmap(first, page * pages)
}
