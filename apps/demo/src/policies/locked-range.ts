/**
 * The flush policy of a GPU whose firmware invalidates a range: the driver locks the range that a request is going to change, so that the
 * GPU waits when it comes there, changes the tables without a single callback, and has the range invalidated once, as it is unlocked.
 */
import type { PolicyDriver, PolicySetup } from '@io-pgtable/conformance'
import { NOOP_FLUSH_OPS, Prot } from '@io-pgtable/core'

export interface Region {
  readonly first: bigint
  readonly last: bigint
}

const PAGE = 4096

/** What such hardware can lock: a power of two, aligned to its size. It is larger than the range where that lies across a boundary. */
export function regionOf(first: bigint, last: bigint): Region {
  let bits = 15n // the smallest region, 32 KiB
  while (first >> bits !== last >> bits) bits++
  const base = (first >> bits) << bits
  return { first: base, last: base + (1n << bits) - 1n }
}

export function lockedRange({ device, createTable, release }: PolicySetup, region: typeof regionOf = regionOf): PolicyDriver {
  const table = createTable(NOOP_FLUSH_OPS)
  let locked: Region = { first: 0n, last: 0n }
  return {
    begin(first, last) {
      locked = region(first, last)
      device.lock(locked.first, locked.last)
    },
    map: (iova, paddr, size) => table.map(iova, paddr, size, Prot.READ | Prot.WRITE),
    unmap(iova, size) {
      table.unmap(iova, size)
      release(iova, size) // the request itself may use the addresses again: nobody looks before the unlock
    },
    end() {
      device.removeAt(locked.first, PAGE, Number((locked.last - locked.first + 1n) / BigInt(PAGE)))
      device.unlock()
    },
    close() {
      device.removeAll()
      table.free()
    },
  }
}
