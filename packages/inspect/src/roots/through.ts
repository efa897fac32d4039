/** Memory behind another stage: what a guest calls physical, read through the tables that translate it. */
import { entrySpan, type ReadMemory, slotBytes, walkAddress } from '@io-pgtable/core'
import type { Tables } from '../leaves/tables.ts'

/** Reads at addresses that `tables` translate. What they do not map is unknown. */
export function throughTables(tables: Tables): ReadMemory {
  return (address, byteLength) => {
    const parts: Uint8Array[] = []
    let known = 0
    while (known < byteLength) {
      const place = placeOf(tables, address + BigInt(known))
      const length = Math.min(byteLength - known, place?.left ?? 0)
      const bytes = place && tables.read(place.paddr, length)
      if (bytes !== undefined) parts.push(bytes)
      known += bytes?.byteLength ?? 0
      if (bytes === undefined || bytes.byteLength < length) break
    }
    if (parts.length < 2) return parts[0]
    const joined = new Uint8Array(known)
    let at = 0
    for (const part of parts) {
      joined.set(part, at)
      at += part.byteLength
    }
    return joined
  }
}

/** Where an address is, and how many bytes of its entry are left from there on. */
function placeOf(tables: Tables, address: bigint): { paddr: bigint; left: number } | undefined {
  if (address < tables.first || address > tables.last) return undefined
  const leaf = walkAddress(tables.geometry, tables.roots, tables.read, address).at(-1)
  if (leaf?.type !== 'leaf') return undefined
  const slot = slotBytes(leaf.node)
  const paddr = leaf.paddr | (address & BigInt(entrySpan(leaf.node, leaf.size) - 1))
  return { paddr, left: slot - Number(address & BigInt(slot - 1)) }
}
