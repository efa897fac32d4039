/** Rows of the locking regime's debug mode: what it costs where it is on, and that it costs nothing where it is off. */
import { IoPageTable, SZ_4K } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import type { Pass, Row } from './row.ts'
import { addresses, mapAll, PROT, type Subject, unmapAll, verifyMapped } from './subject.ts'

/** Maps the range one page a call, in a table that could be shared with workers. */
function pagesOf(subject: Subject, rangeLock: boolean | undefined): Pass {
  const newPool = (): PtPool => new PtPool({ base: 0x8000_0000n, size: subject.poolBytes, shared: true })
  const { format, config } = subject.create(newPool())
  const debug = rangeLock === undefined ? {} : { debug: { rangeLock } }
  const table: IoPageTable = IoPageTable.createRaw(format, { ...config, ...debug, allocator: newPool() })
  const iovas = addresses(subject.iova, subject.bytes, SZ_4K)
  const paddrs = addresses(subject.paddr, subject.bytes, SZ_4K)
  const reset = (): void => unmapAll(subject, table, SZ_4K)
  mapAll(subject, table)
  reset()
  return {
    run: () => {
      let mapped = 0
      for (let i = 0; i < iovas.length; i++) mapped += table.mapPages(iovas[i]!, paddrs[i]!, SZ_4K, 1, PROT).mapped
      return mapped
    },
    expected: subject.bytes,
    reset,
    verify: () => verifyMapped(subject, table, SZ_4K),
  }
}

export function lockRows(subject: Subject): Row[] {
  const row = (name: string, title: string, rangeLock: boolean | undefined): Row => ({
    id: `${subject.format}/range-lock/${name}`,
    title: `map ${subject.range} of 4K pages, one page a call, tables present, shared memory, ${title}`,
    unit: 'descriptor',
    units: subject.bytes / SZ_4K,
    prepare: () => pagesOf(subject, rangeLock),
  })
  return [row('unset', 'no debug options', undefined), row('off', 'debug.rangeLock off', false), row('on', 'debug.rangeLock on', true)]
}
