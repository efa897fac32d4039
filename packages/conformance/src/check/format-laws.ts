/** Laws of a format's declaration that concern the shape of the tree: they need no tables. */
import {
  ALWAYS,
  type AnyFmt,
  bitsOf,
  type Geometry,
  hex,
  type Kind,
  type LevelNode,
  matches,
  nodeOf,
  ones,
  type Piece,
  pageSizes,
  slotBytes,
  type TableKind,
} from '@io-pgtable/core'
import { type Case, leafKinds, makeCase, tableAlign, tableKindOf, tableRaw } from './case.ts'
import { Fault, isRefusal, type Law, must, same } from './law.ts'
import { apartFrom, both } from './matches.ts'

/** The agreed configuration is one that the format agrees to again, and each of its page sizes can be mapped. */
const configuration: Law = {
  name: 'format/configuration',
  says: 'configure narrows once; every agreed page size is a leaf of exactly one node',
  check(c) {
    const { format, request, config, geometry, sizes } = c
    same('configure(agreed)', text(format.configure(config)), text(config))
    must(config.ias <= request.ias && config.oas <= request.oas, `ias ${config.ias}, oas ${config.oas}: more than asked for`)
    same('bits of pgsizeBitmap beyond what was asked for', config.pgsizeBitmap & ~request.pgsizeBitmap, 0n)
    same('agreed quirks', config.quirks.join(', '), (request.quirks ?? []).join(', '))
    same('ias of the geometry', geometry.ias, config.ias)
    same('oas of the geometry', geometry.oas, config.oas)
    const all = pageSizes(config.pgsizeBitmap)
    must(all.length > 0, 'the agreed pgsizeBitmap has no page size')
    for (const pgsize of all) {
      const kinds = sizes.filter((s) => s.pgsize === pgsize).length
      // what only is read may have nodes that differ in the entries that exist
      const wanted = format.writes === false ? Math.max(1, kinds) : 1
      if (kinds > 0 || pgsize < reachOf(c)) same(`leaf kinds that map 0x${pgsize.toString(16)} bytes`, kinds, wanted)
    }
    must(sizes.length > 0, 'no agreed page size can be mapped')
    checkNarrowing(c)
    return undefined
  },
}

/** Bytes that the root translates. A size that tables of so few levels cannot have stays in some frameworks' bitmaps. */
function reachOf({ chain: [root] }: Case): number {
  return root === undefined ? 0 : 2 ** (root.shift + root.bits)
}

/** Who asks for every size gets those that leaves have. */
function checkNarrowing({ format, request }: Case): void {
  const all = { ...request, pgsizeBitmap: (1n << 64n) - 1n }
  const [agreed, error] = tried(() => format.configure(all))
  must(agreed !== undefined || isRefusal(error), `asked for every page size, configure throws ${error}`)
  if (agreed === undefined) return
  const wide = makeCase({ format, request: all, name: 'every page size', createTable: never, effort: 'quick', replay: undefined, seed: 0 })
  const known = wide.sizes.map((size) => size.pgsize)
  const unknown = pageSizes(wide.config.pgsizeBitmap).find((pgsize) => pgsize < reachOf(wide) && !known.includes(pgsize))
  must(unknown === undefined, `asked for every page size, configure agrees to 0x${unknown?.toString(16)} bytes, which no leaf kind maps`)
}

function tried<T>(make: () => T): readonly [T, undefined] | readonly [undefined, unknown] {
  try {
    return [make(), undefined]
  } catch (error) {
    return [undefined, error]
  }
}

function never(): never {
  throw new Fault('no table is made here')
}

function text(value: unknown): string {
  return JSON.stringify(Object.entries(value as object).sort(), (_, v: unknown) => (typeof v === 'bigint' ? `${v}n` : v))
}

const geometryLaw: Law = {
  name: 'format/geometry',
  says: 'levels cover the input address bits exactly, tables hold their entries and lie where descriptors can point to, page sizes are those of their slots',
  check(c) {
    const { geometry, chain, top } = c
    must(new Set(geometry.nodes.map((n) => n.id)).size === geometry.nodes.length, 'two nodes have one id')
    must(new Set(chain.map((n) => n.level)).size === chain.length, 'two levels of one tree have the same number')
    for (const node of geometry.nodes) checkNode(node)
    for (const node of geometry.nodes) checkHalves(geometry, node)
    for (const [i, node] of chain.entries()) {
      const below = chain[i + 1]
      if (below === undefined) continue
      if (c.format.writes !== false)
        same(`address bits that a table of ${below.name} translates`, below.shift + below.bits, node.shift, { node })
    }
    const root = chain[0] as LevelNode
    must(root.shift + root.bits >= geometry.ias, () => `the levels translate ${root.shift + root.bits} of ${geometry.ias} input bits`)
    must(root.shift < geometry.ias || root.bits === 0, `the highest level has no index bit: ias is ${geometry.ias}`, { node: root })
    if (top > 0) must((chain[top] as LevelNode).shift + (chain[top] as LevelNode).bits < geometry.ias, 'the root has nothing to grow for')
    const roots = geometry.roots ?? 1
    must(Number.isInteger(Math.log2(roots)), `${roots} roots: a power of two expected`)
    for (const node of geometry.nodes) checkChildren(c, node)
    return undefined
  },
}

/** What a format says of itself beside its configurations: asked once. */
export function checkDeclaration({ FORMAT, aliases = [], configs, hardware }: AnyFmt): void {
  const isId = (id: string): boolean => /^[a-z0-9]+(?:[-_][a-z0-9]+)*$/.test(id)
  must(isId(FORMAT), `FORMAT "${FORMAT}": lower case letters and digits, with hyphens, expected`)
  const same = (id: string): string => id.replaceAll('_', '-')
  for (const [i, alias] of aliases.entries()) {
    must(isId(alias), `alias "${alias}": lower case letters and digits, with hyphens, expected`)
    must(![FORMAT, ...aliases.slice(0, i)].map(same).includes(same(alias)), `alias "${alias}" is what the format is called anyway`)
  }
  must(configs.length > 0, 'configs is empty: nothing can be tested')
  const names = configs.map(({ name }) => name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  must(twice === undefined, `two configurations are called "${twice}"`)
  must(hardware !== undefined, 'there is no `hardware`: the way from raw registers back to a table cannot be tested')
}

function checkNode(node: LevelNode): void {
  const { bits, entryBytes, tableBytes, align } = node
  must(Number.isInteger(bits) && bits >= 0, `${bits} index bits`, { node })
  must(isPower(tableBytes) && tableBytes >= entryBytes, `tables of ${tableBytes} bytes: a power of two expected`, { node })
  const { stride = entryBytes, offset = 0 } = node
  must(offset + entryBytes <= stride, `${entryBytes} bytes from byte ${offset} on do not fit in the ${stride} of an entry`, { node })
  must(tableBytes >= stride * 2 ** bits, `2^${bits} entries of ${stride} bytes do not fit in ${tableBytes}`, { node })
  if (align !== undefined) must(isPower(align), `alignment ${align} is not a power of two`, { node })
  const slots = 2 ** bits
  for (const kind of leafKinds(node)) {
    for (const size of kind.sizes) {
      same(`bytes of one ${kind.name} of ${size.slots} slots`, size.pgsize, size.slots * slotBytes(node), { node })
      const fits = isPower(size.slots) && (size.slots <= slots || size.encode === false)
      must(fits, `${size.slots} slots in a table of ${slots}`, { node })
    }
  }
}

/** Both halves of an entry stand for the same addresses, in one table; and halves have an end. */
function checkHalves(geometry: Geometry, node: LevelNode): void {
  const { shift, bits, tableBytes, entryBytes, stride = entryBytes } = node
  const before = new Set([node.id])
  for (let id = node.next; id !== undefined; id = nodeOf(geometry, id).next) {
    must(!before.has(id), `the halves of its entries lead back to ${id}`, { node })
    before.add(id)
    const half = nodeOf(geometry, id)
    const alike =
      half.shift === shift && half.bits === bits && half.tableBytes === tableBytes && (half.stride ?? half.entryBytes) === stride
    must(alike, `its other half ${id} has other slots, or another table`, { node })
  }
}

function checkChildren({ geometry }: Case, node: LevelNode): void {
  for (const kind of node.kinds) {
    if (kind.type !== 'table') continue
    const ids = typeof kind.child === 'string' ? [kind.child] : Object.values(kind.child.nodes)
    for (const id of ids) {
      const child = nodeOf(geometry, id)
      must(child.shift + child.bits <= node.shift, `a table of ${child.name} translates more than one slot`, { node })
      if (kind.encode !== false) checkAlignment(node, kind, child)
    }
  }
}

/** A descriptor must be able to say each multiple of what its table is aligned to: else two tables have one address. */
function checkAlignment(node: LevelNode, { name, address }: TableKind, child: LevelNode): void {
  const align = tableAlign(child)
  const lowest = 2 ** Math.min(...address.map(([, , at]) => at))
  const lost = lowest > align
  must(!lost, `a ${name} can only point to multiples of ${hex(lowest)}: tables of ${child.name} lie at those of ${hex(align)} (align)`, {
    node,
  })
}

function isPower(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0 && Number.isInteger(Math.log2(value))
}

const fields: Law = {
  name: 'format/fields',
  says: 'fields and address pieces lie inside the descriptor, and none overlaps another',
  check({ geometry }) {
    for (const node of geometry.nodes) for (const kind of node.kinds) checkFields(node, kind)
    return undefined
  },
}

function checkFields(node: LevelNode, kind: Kind): void {
  const where = { node }
  const all = ones(node.entryBytes * 8 - 1)
  must((kind.match.value & ~kind.match.mask) === 0n, `${kind.name}: the match's value has bits that its mask lacks`, where)
  must((kind.match.mask & ~all) === 0n, `${kind.name}: the match looks at bits beyond the descriptor`, where)
  const parts = kind.fields.map((f) => ({ name: f.name, pieces: f.pieces }))
  if (kind.type === 'table' || kind.type === 'leaf') parts.push({ name: 'address', pieces: kind.address })
  let taken = 0n
  const names = new Set<string>()
  for (const { name, pieces } of parts) {
    must(!names.has(name), `${kind.name} has two fields ${name}`, where)
    names.add(name)
    const bits = checkPieces(node, `${kind.name}.${name}`, pieces)
    const owner = parts.find((other) => other.name !== name && (bitsOf(other.pieces) & bits) !== 0n)
    must((taken & bits) === 0n, `${kind.name}: fields ${owner?.name} and ${name} overlap`, { node, raw: taken & bits })
    taken |= bits
  }
}

/** The bits that the pieces take. */
function checkPieces(node: LevelNode, name: string, pieces: readonly Piece[]): bigint {
  let raw = 0n
  let value = 0n
  for (const [hi, lo, at] of pieces) {
    must(lo >= 0 && hi >= lo && hi < node.entryBytes * 8, `${name}: bits ${hi}:${lo} of a descriptor of ${node.entryBytes} bytes`, { node })
    const inRaw = ones(hi, lo)
    const inValue = ones(hi - lo) << BigInt(at)
    must((raw & inRaw) === 0n, `${name}: bits ${hi}:${lo} belong to two of its pieces`, { node })
    must((value & inValue) === 0n, `${name}: two pieces hold the same bits of its value`, { node })
    raw |= inRaw
    value |= inValue
  }
  return raw
}

const kinds: Law = {
  name: 'format/kinds',
  says: 'every descriptor is of one kind, an empty entry is empty, each kind can be met, and a table that is written is told by masks',
  check(c) {
    const { geometry } = c
    const writes = c.format.writes !== false
    for (const node of geometry.nodes) {
      const last = node.kinds.at(-1)
      if (last === undefined) throw new Fault('the node has no kinds', { node })
      const unknown = apartFrom(node.kinds.map((kind) => kind.match))
      must(unknown === undefined, 'a descriptor of no kind', { node, ...(unknown !== undefined && { raw: unknown }) })
      if (writes || node.empty !== undefined) checkEmpty(node)
      for (const kind of node.kinds) checkReachable(node, kind)
      if (writes) checkEmptyAlone(node)
    }
    if (writes) for (const node of c.chain) checkTableAlone(c, node)
    return undefined
  },
}

function checkEmpty(node: LevelNode): void {
  const { empty } = node
  if (empty === undefined) throw new Fault('the node has no `empty`: only a format that only reads may leave it out', { node })
  const kind = node.kinds.find(({ match }) => matches(empty, match))
  same('kind of the empty entry', kind?.type, 'empty', { node, raw: empty })
}

/** A kind, or a size of it, that earlier ones hide is a mistake in their order; and a leaf has a size whatever its bits. */
function checkReachable(node: LevelNode, kind: Kind): void {
  const before = node.kinds.slice(0, node.kinds.indexOf(kind)).map(({ match }) => match)
  must(apartFrom(before, kind.match) !== undefined, `${kind.name} can never be met: kinds before it take all its descriptors`, { node })
  if (kind.type !== 'leaf') return
  const sizes = kind.sizes.map(({ match }) => match ?? ALWAYS)
  const raw = apartFrom([...before, ...sizes], kind.match)
  must(raw === undefined, `a ${kind.name} of no size`, { node, ...(raw !== undefined && { raw }) })
  for (const [i, size] of sizes.entries()) {
    const met = both(kind.match, size)
    const found = met && apartFrom([...before, ...sizes.slice(0, i)], met)
    must(found !== undefined, `${kind.name}: its size of 0x${kind.sizes[i]?.pgsize.toString(16)} bytes can never be met`, { node })
  }
}

/** The engine tells empty entries by the empty kind's match alone: what is written must not pass it. */
function checkEmptyAlone(node: LevelNode): void {
  for (const empty of node.kinds.filter((kind) => kind.type === 'empty')) {
    for (const kind of node.kinds) {
      if (kind.type !== 'leaf' && kind.type !== 'table') continue
      const raw = kind.match.value | kind.set
      const apart = !matches(raw, empty.match) || kind.fields.some((f) => (bitsOf(f.pieces) & empty.match.mask) !== 0n)
      must(apart, `the match of ${empty.name} does not exclude ${kind.name}: it must do so by itself, not by the order of the kinds`, {
        node,
        raw,
      })
    }
  }
}

/** The engine tells tables by one mask: what is written must have a bit that each kind before it excludes. */
function checkTableAlone(c: Case, node: LevelNode): void {
  const table = tableKindOf(node)
  if (table === undefined) return
  const raw = tableRaw(c, node, table, 0n)
  const fixed = ones(node.entryBytes * 8 - 1) & ~bitsOf(table.address)
  for (const { type, name, match } of node.kinds.slice(0, node.kinds.indexOf(table))) {
    if (type === 'empty') continue
    const apart = (fixed & match.mask & (raw ^ match.value)) !== 0n
    must(apart, `${table.name} does not exclude ${name}, which comes before it, by any bit beside its address`, {
      node,
      raw,
    })
  }
}

/** Raw values worth decoding: zero, ones, single bits, single holes, and every combination of the lowest byte. */
export function samples(node: LevelNode): bigint[] {
  const width = node.entryBytes * 8
  const all = ones(width - 1)
  const single = Array.from({ length: width }, (_, i) => 1n << BigInt(i))
  const low = Array.from({ length: 256 }, (_, i) => BigInt(i))
  return [0n, all, ...single, ...single.map((bit) => all ^ bit), ...low, ...low.map((v) => (all & ~0xffn) | v)]
}

export const formatShapeLaws: readonly Law[] = [configuration, geometryLaw, fields, kinds]
