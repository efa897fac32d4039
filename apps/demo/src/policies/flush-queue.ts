/**
 * A lazy flush policy, as Linux's flush queue has it: an unmap invalidates nothing. Its addresses and its tables wait in a queue; when that is
 * full, one invalidation of everything is for all of them. Until then the device may still use what was unmapped: that is the price.
 */
import type { PolicyDriver, PolicySetup } from '@io-pgtable/conformance'
import { IotlbGather, Prot } from '@io-pgtable/core'

interface Waiting {
  readonly iova: bigint
  readonly size: number
  /** Holds the tables that the unmap took down. */
  readonly gather: IotlbGather
}

export function flushQueue({ device, createTable, release }: PolicySetup, length = 8): PolicyDriver {
  const queue: Waiting[] = []
  let queueing = false
  const table = createTable({
    flushAll: () => device.removeAll(),
    // a table that an unmap takes down waits in the gather; one that a map replaces is freed at once
    flushWalk: (iova, size, granule) => {
      if (!queueing) device.removeAt(iova, granule, Math.ceil(size / granule))
    },
    addPages: () => {},
    sync: () => {},
  })
  const flush = (): void => {
    device.removeAll()
    for (const { iova, size, gather } of queue.splice(0)) {
      gather.sync()
      release(iova, size)
    }
  }
  return {
    map: (iova, paddr, size) => table.map(iova, paddr, size, Prot.READ | Prot.WRITE),
    unmap(iova, size) {
      const gather = new IotlbGather({ queued: true })
      queueing = true
      try {
        table.unmap(iova, size, gather)
      } finally {
        queueing = false
        queue.push({ iova, size, gather })
      }
      if (queue.length >= length) flush()
    },
    close() {
      flush()
      table.free()
    },
  }
}
