/** A flush policy whose commands to the device are counted. */
import type { MakePolicy, PolicyDevice } from '@io-pgtable/conformance'

export interface Counts {
  unmaps: number
  /** Invalidations by address, and the pages that they name. */
  commands: number
  pages: number
  everything: number
}

export function counting(make: MakePolicy, counts: Counts): MakePolicy {
  return ({ device, createTable, release }) => {
    const counted: PolicyDevice = {
      lock: (first, last) => device.lock(first, last),
      unlock: () => device.unlock(),
      remove: (which) => device.remove(which),
      removeAt(iova, step, count, which) {
        counts.commands++
        counts.pages += count
        device.removeAt(iova, step, count, which)
      },
      removeAll() {
        counts.everything++
        device.removeAll()
      },
    }
    const released = (iova: bigint, size: number): void => {
      counts.unmaps++
      release(iova, size)
    }
    return make({ device: counted, createTable, release: released })
  }
}
