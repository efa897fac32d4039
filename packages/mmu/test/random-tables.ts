/** Memory of two pieces full of random tables of any geometry, and addresses that lead through them. */
import { bitsOf, deposit, type Geometry, type Kind, type LevelNode, nodeOf, ones, type TableKind } from '@io-pgtable/core'

/** A generator of integers below a limit. */
export type Integers = (limit: number) => number

export const LOW_BASE = 0x40_0000n
export const HIGH_BASE = 0x1_8000_0000n
const LOW_BYTES = 1 << 20
const HIGH_BYTES = 1 << 23

export interface RandomTables {
  readonly low: Uint8Array
  readonly high: Uint8Array
  readonly roots: readonly bigint[]
  /** An input address, by indices that tables have. */
  address(): bigint
}

const USED = 24

export function randomTables(geometry: Geometry, integers: Integers): RandomTables {
  const low = new Uint8Array(new SharedArrayBuffer(LOW_BYTES))
  const high = new Uint8Array(HIGH_BYTES)
  const highIsNear = geometry.oas > 33
  const highBase = highIsNear ? HIGH_BASE : LOW_BASE + BigInt(LOW_BYTES)
  const free = { low: LOW_BASE, high: highBase }
  const indices = new Map<string, readonly number[]>()
  const tables = new Map<string, bigint[]>()
  const wide = (bits = 64): bigint => BigInt.asUintN(bits, (BigInt(integers(2 ** 32)) << 32n) | BigInt(integers(2 ** 32)))

  function take(bytes: number): bigint | undefined {
    const side = bytes < 0x1_0000 && integers(2) === 0 ? 'low' : 'high'
    const at = (free[side] + BigInt(bytes - 1)) & -BigInt(bytes)
    const end = side === 'low' ? LOW_BASE + BigInt(LOW_BYTES) : highBase + BigInt(HIGH_BYTES)
    if (at + BigInt(bytes) > end) return undefined
    free[side] = at + BigInt(bytes)
    return at
  }
  function write(at: bigint, node: LevelNode, raw: bigint): void {
    const [bytes, base] = at >= highBase ? [high, highBase] : [low, LOW_BASE]
    const view = new DataView(bytes.buffer, Number(at - base), node.entryBytes)
    const isLittle = node.byteOrder !== 'big'
    if (node.entryBytes === 8) view.setBigUint64(0, BigInt.asUintN(64, raw), isLittle)
    else view.setUint32(0, Number(BigInt.asUintN(32, raw)), isLittle)
  }
  function descriptor(node: LevelNode): bigint {
    const wanted = integers(8) < 5 ? 'table' : 'leaf'
    const kinds = node.kinds.filter(({ type }) => type === wanted)
    const all = kinds.length > 0 ? kinds : node.kinds.filter(({ type }) => type !== 'empty')
    const kind = all[integers(all.length)] as Kind
    const noise = wide(8 * node.entryBytes)
    if (integers(8) === 0 || (kind.type !== 'leaf' && kind.type !== 'table')) return integers(2) === 0 ? (node.empty ?? 0n) : noise
    const reserved = bitsOf(kind.fields.flatMap((field) => (field.reserved === undefined ? [] : field.pieces)))
    const named = bitsOf(kind.fields.flatMap(({ pieces }) => pieces))
    const attributes = noise & (integers(4) === 0 ? -1n : named & ~reserved) & ~kind.match.mask & ~bitsOf(kind.address)
    const raw = kind.set | kind.match.value | attributes
    if (kind.type === 'leaf') {
      const size = kind.sizes[integers(kind.sizes.length)]
      const out = wide(integers(6) === 0 ? 64 : geometry.oas) & (integers(3) === 0 ? -1n : -BigInt(size?.pgsize ?? 1))
      const sized = (raw & ~(size?.match?.mask ?? 0n)) | (size?.or ?? 0n)
      const address = deposit(out, kind.address) & ~kind.match.mask & ~(size?.match?.mask ?? 0n)
      return sized | address | (size?.match?.value ?? 0n)
    }
    return ofTable(kind, raw)
  }
  function ofTable(kind: TableKind, raw: bigint): bigint {
    const target = (id: string): bigint => {
      const all = tables.get(id) ?? []
      const known = all[integers(all.length || 1)] ?? 0x1000n
      return integers(16) === 0 ? wide(geometry.oas) : known
    }
    if (typeof kind.child === 'string') return raw | deposit(target(kind.child), kind.address)
    const chooser = kind.child.field
    const pieces = kind.fields.find(({ name }) => name === chooser)?.pieces ?? []
    const values = Object.keys(kind.child.nodes).map(Number)
    const value = values[integers(values.length || 1)] ?? 0
    return (raw & ~bitsOf(pieces)) | deposit(BigInt(value), pieces) | deposit(target(kind.child.nodes[value] ?? ''), kind.address)
  }

  const top = nodeOf(geometry, geometry.top)
  const rootCount = geometry.roots ?? 1
  for (const node of geometry.nodes) {
    const perTable = 2 ** node.bits / (node === top ? rootCount : 1)
    const bytes = Math.max(64, perTable * node.entryBytes)
    const count = node === top ? rootCount : 3
    const places = Array.from({ length: count }, () => take(bytes)).filter((at) => at !== undefined)
    tables.set(node.id, places)
    const used = new Set([0, ...Array.from({ length: USED }, () => integers(perTable))])
    indices.set(node.id, [...used])
  }
  for (const node of geometry.nodes)
    for (const table of tables.get(node.id) ?? [])
      for (const index of indices.get(node.id) ?? []) write(table + BigInt(index * node.entryBytes), node, descriptor(node))

  function address(): bigint {
    let iova = wide(12)
    for (const node of geometry.nodes.filter(({ shift }) => shift <= top.shift)) {
      const known = indices.get(node.id) ?? []
      // levels that are skipped want 0
      const index = integers(4) === 0 ? 0 : (known[integers(known.length || 1)] ?? 0)
      const mask = ones(node.shift + node.bits - 1, node.shift)
      iova = (iova & ~mask) | (BigInt(index) << BigInt(node.shift))
    }
    const root = BigInt(integers(rootCount)) << BigInt(top.shift + top.bits - Math.log2(rootCount))
    return inWindow(geometry, iova | root, integers)
  }
  return { low, high, roots: tables.get(geometry.top) ?? [], address }
}

/** Where the window has it; now and then nowhere. */
function inWindow({ ias, window, spaceBits = 64, base = 0n }: Geometry, iova: bigint, integers: Integers): bigint {
  if (integers(24) === 0) return BigInt.asUintN(64, iova ^ (1n << BigInt(integers(64))))
  const low = BigInt.asUintN(ias, iova)
  if (window === 'low') return BigInt.asUintN(64, base + low)
  if (window === 'sign-extended') return BigInt.asUintN(64, BigInt.asIntN(ias, iova))
  return BigInt.asUintN(spaceBits, (-1n << BigInt(ias)) | low)
}

/** The pieces of memory, with their bases. */
export function piecesOf(geometry: Geometry, { low, high }: RandomTables): { readonly base: bigint; readonly bytes: Uint8Array }[] {
  return [
    { base: geometry.oas > 33 ? HIGH_BASE : LOW_BASE + BigInt(LOW_BYTES), bytes: high },
    { base: LOW_BASE, bytes: low },
  ]
}
