/** Every leaf below a root with the rights of its path. A table is decoded once, however many ways lead to it. */
import {
  AccessRules,
  type AnyFmt,
  type Decoded,
  type DecodedTable,
  decode,
  descriptorAt,
  entrySpan,
  type FoundRoot,
  type LevelNode,
  nodeOf,
  type ReadMemory,
  Right,
  type Rights,
  slotBytes,
} from '@io-pgtable/core'

/** Addresses are in pages of 4 KiB, which numbers hold exactly. */
const PAGE = 4096
const PAGE_BITS = 12n

interface Entry {
  readonly at: number
  /** Of a leaf, what it grants; of a table, what it leaves. */
  readonly rights: Rights
  readonly paddr: number
  readonly size: number
  readonly below: DecodedTable | undefined
}

/** Calls `each` for the leaves in the order of the table. Equal entries are one leaf, where the first is; each of a contiguous set is one. */
export function forEachPath(
  format: AnyFmt,
  root: FoundRoot<unknown, unknown>,
  read: ReadMemory,
  each: (at: number, paddr: number, size: number, rights: Rights, level: number) => void,
): void {
  const geometry = format.geometry(root.params)
  const rules = new AccessRules(format, geometry, root.context)
  // '^Field' looks at the entry above, and at nothing higher: below one entry a table says one thing
  const known = new Map<LevelNode, Map<bigint, Entry[]>>(geometry.nodes.map((node) => [node, new Map()]))

  function entriesOf(node: LevelNode, table: bigint, above: DecodedTable | undefined): Entry[] {
    const found = above && known.get(node)?.get(above.raw)
    if (found !== undefined) return found
    const [from, slots] = node.exists ?? [0, 2 ** node.bits]
    const bytes = read(table, slots * node.entryBytes)
    if (bytes === undefined || bytes.byteLength < slots * node.entryBytes) throw new Error(`table 0x${table.toString(16)} is not whole`)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const entries: Entry[] = []
    for (let index = from; index < slots; index++) {
      const raw = descriptorAt(view, node, index)
      if (raw !== node.empty) entries.push(...entryOf(node, index, decode(geometry, node, raw), above))
    }
    if (above !== undefined) known.get(node)?.set(above.raw, entries)
    return entries
  }

  function entryOf(node: LevelNode, index: number, entry: Decoded, above: DecodedTable | undefined): Entry[] {
    const at = (index * slotBytes(node)) / PAGE
    if (entry.type === 'table') return [{ at, rights: rules.limits(entry, above), paddr: 0, size: 0, below: entry }]
    if (entry.type !== 'leaf' || (entry.size.stepsAddress !== true && index % entry.size.slots !== 0)) return []
    const paddr = Number(entry.paddr >> PAGE_BITS)
    return [{ at, rights: rules.grants(entry, above), paddr, size: entrySpan(node, entry.size), below: undefined }]
  }

  const barren = new Set<string>()

  /** Whether a leaf is below. */
  function visit(node: LevelNode, table: bigint, above: DecodedTable | undefined, base: number, left: Rights): boolean {
    let isBarren = true
    for (const { at, rights, paddr, size, below } of entriesOf(node, table, above)) {
      const key = below && `${below.child.id} ${below.next}`
      if (below === undefined) each(base + at, paddr, size, left & rights, node.level)
      else if (key === undefined || barren.has(key)) continue
      else if (!visit(below.child, below.next, below, base + at, left & rights)) {
        barren.add(key)
        continue
      }
      isBarren = false
    }
    return !isBarren
  }
  visit(nodeOf(geometry, geometry.top), root.roots[0] as bigint, undefined, 0, Right.ALL)
}
