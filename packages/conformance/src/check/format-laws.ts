/** Laws of a format's declaration that concern the shape of the tree: they need no tables. */
import { bitsOf, type Kind, type LeafKind, type LevelNode, matches, nodeOf, ones, type Piece, pageSizes, slotBytes } from '@io-pgtable/core'
import { type Case, leafKinds } from './case.ts'
import { Fault, type Law, must, same } from './law.ts'

/** The agreed configuration is one that the format agrees to again, and each of its page sizes can be mapped. */
const configuration: Law = {
  name: 'format/configuration',
  says: 'configure narrows once; every agreed page size is a leaf of exactly one node',
  check({ format, request, config, geometry, sizes, chain }) {
    const reach = 2 ** ((chain[0]?.shift ?? 0) + (chain[0]?.bits ?? 0))
    same('configure(agreed)', text(format.configure(config)), text(config))
    must(config.ias <= request.ias && config.oas <= request.oas, `ias ${config.ias}, oas ${config.oas}: more than asked for`)
    same('bits of pgsizeBitmap beyond what was asked for', config.pgsizeBitmap & ~request.pgsizeBitmap, 0n)
    same('ias of the geometry', geometry.ias, config.ias)
    same('oas of the geometry', geometry.oas, config.oas)
    const all = pageSizes(config.pgsizeBitmap)
    must(all.length > 0, 'the agreed pgsizeBitmap has no page size')
    for (const pgsize of all) {
      const kinds = sizes.filter((s) => s.pgsize === pgsize).length
      // a size that tables of so few levels cannot have stays in some frameworks' bitmaps
      if (kinds > 0 || pgsize < reach) same(`leaf kinds that map 0x${pgsize.toString(16)} bytes`, kinds, 1)
    }
    must(sizes.length > 0, 'no agreed page size can be mapped')
    return undefined
  },
}

function text(value: unknown): string {
  return JSON.stringify(Object.entries(value as object).sort(), (_, v: unknown) => (typeof v === 'bigint' ? `${v}n` : v))
}

const geometryLaw: Law = {
  name: 'format/geometry',
  says: 'levels cover the input address bits exactly, tables hold their entries, page sizes are those of their slots',
  check(c) {
    const { geometry, chain, top } = c
    must(new Set(geometry.nodes.map((n) => n.id)).size === geometry.nodes.length, 'two nodes have one id')
    for (const node of geometry.nodes) checkNode(node)
    for (const [i, node] of chain.entries()) {
      const below = chain[i + 1]
      if (below === undefined) continue
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

function checkNode(node: LevelNode): void {
  const { bits, entryBytes, tableBytes, align } = node
  must(Number.isInteger(bits) && bits >= 0, `${bits} index bits`, { node })
  must(isPower(tableBytes) && tableBytes >= 64, `tables of ${tableBytes} bytes: a power of two from 64 on expected`, { node })
  must(tableBytes >= entryBytes * 2 ** bits, `2^${bits} entries of ${entryBytes} bytes do not fit in ${tableBytes}`, { node })
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

function checkChildren({ geometry }: Case, node: LevelNode): void {
  for (const kind of node.kinds) {
    if (kind.type !== 'table') continue
    const ids = typeof kind.child === 'string' ? [kind.child] : Object.values(kind.child.nodes)
    for (const id of ids) {
      const child = nodeOf(geometry, id)
      must(child.shift + child.bits <= node.shift, `a table of ${child.name} translates more than one slot`, { node })
    }
  }
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
  says: 'every descriptor is of one kind, an empty entry is empty, and each kind can be met',
  check({ geometry }) {
    for (const node of geometry.nodes) {
      const last = node.kinds.at(-1)
      if (last === undefined) throw new Fault('the node has no kinds', { node })
      for (const raw of samples(node))
        must(
          node.kinds.some((kind) => matches(raw, kind.match)),
          'a descriptor of no kind',
          { node, raw },
        )
      const empty = node.kinds.find((kind) => matches(node.empty, kind.match))
      same('kind of the empty entry', empty?.type, 'empty', { node, raw: node.empty })
      for (const kind of node.kinds) checkReachable(node, kind)
      checkEmptyAlone(node)
    }
    return undefined
  },
}

/** A kind that an earlier one hides is a mistake in the order of the kinds. */
function checkReachable(node: LevelNode, kind: Kind): void {
  const before = node.kinds.slice(0, node.kinds.indexOf(kind))
  const hides = before.find(({ match }) => (kind.match.mask & match.mask) === match.mask && (kind.match.value & match.mask) === match.value)
  must(hides === undefined, `${kind.name} can never be met: ${hides?.name} comes first`, { node })
  if (kind.type !== 'leaf') return
  for (const raw of sizeCodes(node, kind)) {
    const known = kind.sizes.some((size) => size.match === undefined || matches(raw, size.match))
    must(known, `a ${kind.name} of no size`, { node, raw })
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

/** Descriptors of a kind with every combination of the bits that its sizes look at (the first ten), alone and among ones. */
function sizeCodes(node: LevelNode, kind: LeafKind): bigint[] {
  const mask = kind.sizes.reduce((bits, size) => bits | (size.match?.mask ?? 0n), 0n)
  const bits = Array.from({ length: 64 }, (_, i) => 1n << BigInt(i)).filter((bit) => (mask & bit) !== 0n)
  const looked = bits.slice(0, 10)
  const combinations = Array.from({ length: 2 ** looked.length }, (_, i) =>
    looked.reduce((raw, bit, j) => ((i >> j) & 1 ? raw | bit : raw), 0n),
  )
  const base = kind.match.value | kind.set
  const raws = combinations.flatMap((raw) => [base | raw, (base & ~mask) | raw | (mask & ~looked.reduce((m, bit) => m | bit, 0n))])
  return raws.filter((raw) => node.kinds.find((k) => matches(raw, k.match)) === kind)
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
