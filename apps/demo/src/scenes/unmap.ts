import { type AnyFmt, type ConfigOf, IoPageTable, IotlbGather, Prot, slotBytes, type TlbFlushOps } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { onBoth } from '../formats.ts'
import type { Scene } from '../stage.ts'
import { bytes } from '../text.ts'

/** TLB maintenance that only writes down what it is asked for. */
const logOf = (calls: string[]): TlbFlushOps => ({
  flushAll: () => void calls.push('flushAll'),
  flushWalk: (_iova, size) => void calls.push(`flushWalk(${bytes(size)})`),
  addPages: (_gather, _iova, granule, count) => void calls.push(`addPages(${count}×${bytes(granule)})`),
  sync: () => void calls.push('sync'),
})

function drive<F extends AnyFmt>(format: F, config: ConfigOf<F>) {
  const calls: string[] = []
  let warnings = 0
  const allocator = new PtPool({ base: 0x8000_0000n, size: 2 ** 20 })
  const table = IoPageTable.createRaw(format, { allocator, tlb: logOf(calls), onWarn: () => void warnings++, ...config })
  const node = table.geometry.nodes.reduce((a, b) => (b.shift < a.shift ? b : a))
  const [page, count] = [slotBytes(node), 2 ** node.bits / 2]
  table.mapPages(0n, 0x9000_0000n, page, count, Prot.READ | Prot.WRITE)
  table.mapPages(BigInt(count * page), 0xa000_0000n, page, count, Prot.READ)
  const full = table.tableBytes
  const gather = new IotlbGather()
  const unmapped = table.unmapPages(0n, 2 * count * page, 1, gather)
  const waits = gather.pendingTables === 1 && table.tableBytes === full
  gather.sync()
  const whole = unmapped === 2 * count * page && waits && full - table.tableBytes === node.tableBytes
  const callbacks = calls.splice(0).join(' ')
  table.map(BigInt(2 * page), 0xb000_0000n, page, Prot.READ)
  const { error, mapped } = table.mapPages(0n, 0xc000_0000n, page, 4, Prot.READ)
  table.free()
  return { name: format.FORMAT, unmapped, whole, callbacks, code: error?.code, pages: mapped / page, warnings }
}

export const unmap: Scene = {
  title: 'What an unmap tells the driver',
  about:
    'Two maps fill a table; one unmap takes both, and the table, which waits in the gather until the TLB is flushed. Then a map of four pages, the third of which is taken.',
  play(stage) {
    const both = onBoth(drive)
    const rows = both.map(({ name, unmapped, callbacks, code, pages }) => [name, bytes(unmapped), callbacks, code ?? '', pages])
    stage.table(['format', 'unmapped', 'TLB callbacks', 'refused', 'kept'], rows)
    for (const { name, whole, callbacks, code, warnings } of both) {
      stage.check(`${name}: one unmap over two maps, whose table is free after the sync`, whole)
      stage.check(`${name}: walks are flushed first, the sync comes last`, /^flushWalk.*sync$/.test(callbacks))
      stage.check(`${name}: a mapping in the way is refused, and told`, code === 'EEXIST' && warnings === 1, code ?? '')
    }
    stage.same('pages kept of a refused map, as the frameworks differ', both.map(({ pages }) => pages).join(' and '), '0 and 2')
  },
}
