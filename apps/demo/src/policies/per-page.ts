/**
 * A flush policy of the Arm architecture: invalidation by address, as TLBI and the SMMU's commands do it. Nothing stale outlives the call that
 * unmapped it.
 */
import type { CachedEntry, PolicyDriver, PolicySetup } from '@io-pgtable/conformance'
import { Prot } from '@io-pgtable/core'

const leafOnly = ({ type }: CachedEntry): boolean => type === 'leaf'

export function perPage({ device, createTable, release }: PolicySetup): PolicyDriver {
  const commands: (() => void)[] = []
  const table = createTable({
    flushAll: () => device.removeAll(),
    // TLBI VAE1, all levels: a table is about to be freed, and walk caches may lead to it
    flushWalk: (iova, size, granule) => device.removeAt(iova, granule, Math.ceil(size / granule)),
    // TLBI VALE1, the last level alone: the tables above stay. Commands are queued; each page of a run needs one
    addPages: (_gather, iova, granule, count) => void commands.push(() => device.removeAt(iova, granule, count, leafOnly)),
    // DSB, CMD_SYNC: nothing is done for sure before it
    sync: () => {
      for (const command of commands.splice(0)) command()
    },
  })
  return {
    map: (iova, paddr, size) => table.map(iova, paddr, size, Prot.READ | Prot.WRITE),
    unmap(iova, size) {
      table.unmap(iova, size) // with a gather of its own, which is synced before it returns
      release(iova, size)
    },
    close: () => table.free(),
  }
}
