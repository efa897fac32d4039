/** The memory of a table against its model: every descriptor of every table, bit for bit, as a device finds them. */
import { decode, emptyOf, hex, type IoPageTable, type LevelNode, nodeOf } from '@io-pgtable/core'
import { type Case, iovaOf, leafRaw, tableAlign, tableKindOf, tableRaw } from './case.ts'
import { Fault, same } from './law.ts'
import type { Mapping, Model } from './model.ts'

/** @throws a Fault at the first entry that is not the model's */
export function compareEntries(table: IoPageTable, model: Model): void {
  const { c } = model
  same('node of the root', table.geometry.top, c.chain[model.top]?.id)
  const slots = 2 ** nodeOf(table.geometry, table.geometry.top).bits / table.roots.length
  for (const [i, root] of table.roots.entries()) compareTable({ table, model, c }, model.top, root, i * slots, slots)
}

interface Both {
  readonly table: IoPageTable
  readonly model: Model
  readonly c: Case
}

/** @param first number of the table's first slot, counted from the start of the window */
function compareTable(both: Both, depth: number, address: bigint, first: number, slots: number): void {
  const { model, c } = both
  const node = c.chain[depth] as LevelNode
  const words = wordsOf(both, node, address, slots)
  const per = node.entryBytes / 4
  const emptyLo = Number(BigInt.asUintN(32, emptyOf(node)))
  const emptyHi = Number(emptyOf(node) >> 32n)
  const leaves = model.leaves[depth] as Map<number, Mapping>
  const tables = model.tables[depth] as Set<number>
  for (let i = 0; i < slots; i++) {
    const slot = first + i
    const leaf = leaves.get(slot)
    const holdsTable = tables.has(slot)
    const isEmpty = words[i * per] === emptyLo && (per === 1 || words[i * 2 + 1] === emptyHi)
    if (isEmpty && leaf === undefined && !holdsTable) continue
    const raw = BigInt(words[i * per] ?? 0) | (per === 1 ? 0n : BigInt(words[i * 2 + 1] ?? 0) << 32n)
    if (leaf !== undefined) compareLeaf(c, leaf, slot, raw)
    else if (holdsTable) compareChild(both, depth, slot, raw)
    else throw extra(c, depth, model, slot, raw)
  }
}

function wordsOf({ table, c }: Both, node: LevelNode, address: bigint, slots: number): Uint32Array {
  const bytes = table.readMemory(address, slots * node.entryBytes)
  if (bytes === undefined || bytes.byteLength < slots * node.entryBytes) {
    throw new Fault(`a table at ${hex(address)}, outside the pool of ${c.format.FORMAT}`, { node })
  }
  if (address % BigInt(tableAlign(node)) !== 0n && node !== c.chain[c.top])
    throw new Fault(`a table at ${hex(address)}, misaligned`, { node })
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
}

function extra(c: Case, depth: number, model: Model, slot: number, raw: bigint): Fault {
  const node = c.chain[depth] as LevelNode
  const { type } = decode(c.geometry, node, raw)
  const what =
    type === 'table'
      ? 'a table that should not be there'
      : type === 'leaf'
        ? 'a leaf that nobody mapped'
        : `an entry of type ${type}, not the empty one`
  return new Fault(what, { node, iova: iovaOf(c.geometry, model.offsetOfSlot(depth, slot)), raw })
}

function compareChild(both: Both, depth: number, slot: number, raw: bigint): void {
  const { c, model } = both
  const node = c.chain[depth] as LevelNode
  const child = c.chain[depth + 1] as LevelNode
  const iova = iovaOf(c.geometry, model.offsetOfSlot(depth, slot))
  const entry = decode(c.geometry, node, raw)
  if (entry.type !== 'table') throw new Fault('a table is missing', { node, iova, raw })
  const kind = tableKindOf(node)
  if (kind !== undefined) same('table descriptor', raw, tableRaw(c, node, kind, entry.next), { node, iova, raw })
  compareTable(both, depth + 1, entry.next, slot * 2 ** (node.shift - child.shift), 2 ** child.bits)
}

/** Expected descriptors of mappings whose entries are all equal. */
const known = new WeakMap<Mapping, bigint>()

/** One slot of a mapping. */
function compareLeaf(c: Case, mapping: Mapping, slot: number, raw: bigint): void {
  const { offset, paddr, size, prot } = mapping
  const { node } = size
  const index = slot - Number(offset >> BigInt(node.shift))
  const steps = size.size.stepsAddress === true
  const address = steps ? paddr + (BigInt(index) << BigInt(node.shift)) : paddr
  let expected = known.get(mapping)
  if (expected === undefined) {
    expected = leafRaw(c, size, prot, address) ?? 0n
    if (!steps) known.set(mapping, expected)
  }
  if (raw === expected) return
  const { dirty } = c.policy
  if (mapping.changed === true && dirty !== undefined && ((raw ^ expected) & ~(dirty.dirty.mask | dirty.clear | dirty.set)) === 0n) {
    const grants = (bits: bigint): number => c.format.prot(bits, size.kind, c.format.context(c.config))
    if (grants(raw) === grants(expected)) return
  }
  const iova = iovaOf(c.geometry, offset + (BigInt(index) << BigInt(node.shift)))
  same(`descriptor ${index} of the ${size.size.slots} of a ${size.kind.name} for ${hex(address)}`, raw, expected, { node, iova, raw })
}
