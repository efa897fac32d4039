/** Laws of a format's declaration that concern single descriptors: what is encoded is decoded, and nothing else. */
import {
  type AnyFmt,
  bitsOf,
  type Decoded,
  decode,
  deposit,
  type FormatConfig,
  fieldValues,
  hex,
  type LeafKind,
  type LevelNode,
  matches,
  Prot,
  protLimit,
  slotBytes,
} from '@io-pgtable/core'
import fc from 'fast-check'
import {
  type Case,
  leafKinds,
  leafRaw,
  leastPaddr,
  protsOf,
  protText,
  type Size,
  shareOf,
  tableAlign,
  tableKindOf,
  tableLimit,
  tableRaw,
  uncarried,
} from './case.ts'
import { samples } from './format-laws.ts'
import { Fault, type Law, must, same } from './law.ts'

const addresses: Law = {
  name: 'format/addresses',
  says: 'every address bit of every leaf size and of every table round-trips, and moves one set of descriptor bits',
  check(c) {
    if (c.format.writes === false) return checkReadAddresses(c)
    for (const size of c.sizes) checkLeafAddresses(c, size)
    for (const [i, node] of c.chain.entries()) checkTableAddresses(c, node, c.chain[i + 1])
    const least = c.sizes[0] as Size
    const declared = (c.geometry.missingOutputBits ?? 0n) & ~(BigInt(least.pgsize) - 1n)
    const missing = uncarried(c, least)
    same('output address bits that no descriptor carries, unlike the missingOutputBits of the geometry', missing, declared)
    if (missing === 0n) return undefined
    return { skipped: `for output addresses with any of the bits ${hex(missing)}, which the format declares missing: tables refuse them` }
  },
}

/** What is only read is made by hand: the kind's own bits, and each bit of its address. */
function checkReadAddresses({ geometry }: Case): undefined {
  for (const node of geometry.nodes)
    for (const kind of node.kinds) {
      if (kind.type !== 'leaf' && kind.type !== 'table') continue
      const base = kind.set | kind.match.value
      const [before] = [decode(geometry, node, base)]
      for (const [hi, lo, at] of kind.address)
        for (let bit = lo; bit <= hi; bit++) {
          const entry = decode(geometry, node, base | (1n << BigInt(bit)))
          if (entry.kind !== kind || before.kind !== kind || entry.type !== before.type) continue
          const [was, is] = [addressOf(before), addressOf(entry)]
          const moved = was ^ is
          const place = 1n << BigInt(at + bit - lo)
          must(moved === place || moved === 0n, `bit ${bit} of ${kind.name} moves the address bits ${hex(moved)}: ${hex(place)} expected`, {
            entry,
          })
        }
    }
  return undefined
}

function addressOf(entry: Decoded): bigint {
  return entry.type === 'table' ? entry.next : entry.type === 'leaf' ? entry.paddr : 0n
}

function checkLeafAddresses(c: Case, size: Size): void {
  const prot =
    c.format.encodeLeaf(c.config, size.node, size.kind, Prot.READ | Prot.WRITE) === undefined
      ? protsOf(c).find((p) => leafRaw(c, size, p, leastPaddr(c)) !== undefined)
      : 3
  if (prot === undefined) return
  const { node } = size
  const end = 1n << BigInt(c.geometry.oas)
  const good = (paddr: bigint): void => {
    const raw = leafRaw(c, size, prot, paddr) as bigint
    const entry = decode(c.geometry, node, raw)
    same(`type of a descriptor made as ${size.kind.name}`, entry.type, 'leaf', { entry })
    same(`paddr of a leaf of ${hex(size.pgsize)} bytes at ${hex(paddr)}`, 'paddr' in entry ? entry.paddr : undefined, paddr, { entry })
  }
  const missing = uncarried(c, size)
  for (const paddr of addressSamples(BigInt(size.pgsize), end)) if ((paddr & missing) === 0n && paddr >= leastPaddr(c)) good(paddr)
  if (missing !== 0n) good((end - 1n) & ~missing & ~(BigInt(size.pgsize) - 1n))
  const least = c.sizes[0] as Size
  same(
    'output address bits that a descriptor lacks, unlike the smallest page',
    missing,
    uncarried(c, least) & ~(BigInt(size.pgsize) - 1n),
    { node },
  )
}

/** Zero, each bit alone, each bit missing, from the alignment up to the end. */
export function addressSamples(align: bigint, end: bigint): bigint[] {
  if (align >= end) return [0n]
  const all = (end - 1n) & ~(align - 1n)
  const single: bigint[] = []
  for (let bit = align; bit < end; bit <<= 1n) single.push(bit)
  return [0n, all, ...single, ...single.map((bit) => all ^ bit)]
}

function checkTableAddresses(c: Case, node: LevelNode, child: LevelNode | undefined): void {
  const kind = tableKindOf(node)
  if (kind === undefined || child === undefined) return
  for (const next of addressSamples(BigInt(tableAlign(child)), tableLimit(c))) {
    const raw = tableRaw(c, node, kind, next)
    const entry = decode(c.geometry, node, raw)
    same('type of a table descriptor', entry.type, 'table', { entry })
    if (entry.type !== 'table') return
    same('address of the next table', entry.next, next, { entry })
    same('node of the next table', entry.child.id, child.id, { entry })
  }
}

/** A descriptor that was made as a leaf of this size is one, with no bit that the format does not know. */
export function checkLeaf(_c: Case, { kind, size }: Size, entry: Decoded): void {
  same(`type of a descriptor made as ${kind.name}`, entry.type, 'leaf', { entry })
  if (entry.type !== 'leaf') return
  same('kind', entry.kind.name, kind.name, { entry })
  same('bytes of the mapping', entry.size.pgsize, size.pgsize, { entry })
  same('reserved bits that are set', entry.reserved, 0n, { entry })
}

const attributes: Law = {
  name: 'format/attributes',
  says: 'a leaf grants what its prot asks for and no more than the format can withhold; what it grants encodes to the same bits',
  check(c) {
    if (c.format.writes === false) return { skipped: 'the format only reads' }
    for (const size of c.sizes) checkAttributes(c, size)
    for (const node of c.chain) checkTableBits(c, node)
    return undefined
  },
}

/** They exclude one another in what a leaf grants. */
const BOTH = Prot.CACHE | Prot.MMIO

/** Flags that mean what they say wherever a format has them at all; READ may come with WRITE, CACHE may end with MMIO. */
const EXACT = [
  ['WRITE', Prot.WRITE],
  ['NOEXEC', Prot.NOEXEC],
  ['MMIO', Prot.MMIO],
  ['PRIV', Prot.PRIV],
  ['CACHE', Prot.CACHE],
] as const

function checkAttributes(c: Case, size: Size): void {
  const { format } = c
  const context = format.context(c.config)
  const granted = new Map<Prot, Prot>()
  for (const prot of protsOf(c)) {
    const raw = leafRaw(c, size, prot, leastPaddr(c))
    if (raw === undefined) continue
    const entry = decode(c.geometry, size.node, raw)
    checkLeaf(c, size, entry)
    checkAttributeBits(c, size, prot)
    const got = format.prot(raw, size.kind, context)
    must(Number.isInteger(got) && got >= 0 && got < protLimit(size.kind), `prot() gives ${got}`, { entry })
    granted.set(prot, got)
    must((got & BOTH) !== BOTH, `${protText(prot)} gives CACHE and MMIO together: they follow from one memory type`, { entry })
    // A device's memory is not cached, but CACHE may have left a mark in it (a shareability).
    const again = (prot & BOTH) === BOTH && (got & Prot.MMIO) !== 0 ? got | Prot.CACHE : got
    same(`descriptor of what ${protText(prot)} grants, ${protText(again)}`, leafRaw(c, size, again, leastPaddr(c)), raw, { entry })
    must((prot & Prot.READ & ~got) === 0, `READ was asked for and is not granted: ${protText(prot)} gives ${protText(got)}`, { entry })
  }
  must(granted.size > 0, 'no prot can be expressed', { node: size.node })
  for (const [name, flag] of EXACT) checkFlag(c, size, granted, name, flag)
  checkReadOnly(c, size, granted)
}

/** Attributes touch no bit of the address, and none that says what the descriptor is. */
function checkAttributeBits({ format, config }: Case, { node, kind, size, pgsize }: Size, prot: Prot): void {
  const bits = format.encodeLeaf(config, node, kind, prot) as bigint
  const address = deposit(~(BigInt(pgsize) - 1n), kind.address)
  must((bits & address) === 0n, `prot ${protText(prot)}: attribute bits among the address bits`, { node, raw: bits & address })
  const told = kind.match.mask | (size.match?.mask ?? 0n)
  const value = kind.match.value | (size.match?.value ?? 0n)
  const wrong = bits & told & ~value
  must(wrong === 0n, `prot ${protText(prot)}: attribute bits among those that tell a ${kind.name}`, { node, raw: wrong })
}

/** A table descriptor has no bit that the format does not know. */
function checkTableBits(c: Case, node: LevelNode): void {
  const kind = tableKindOf(node)
  if (kind === undefined) return
  const entry = decode(c.geometry, node, tableRaw(c, node, kind, 0n))
  must(entry.type === 'table', 'a descriptor made as a table is none', { entry })
  same('reserved bits that are set in a table descriptor', entry.reserved, 0n, { entry })
}

/** Once any prot can have the flag and another can lack it, each has it exactly when it was asked for. */
function checkFlag(c: Case, size: Size, granted: ReadonlyMap<Prot, Prot>, name: string, flag: Prot): void {
  const apart = [...granted].filter(([prot]) => flag !== Prot.CACHE || (prot & Prot.MMIO) === 0)
  if (new Set(apart.map(([, got]) => got & flag)).size < 2) return
  for (const [prot, got] of apart) {
    const raw = leafRaw(c, size, prot, leastPaddr(c)) as bigint
    must((got & flag) === (prot & flag), `${name}: ${protText(prot)} gives ${protText(got)}`, { node: size.node, raw })
  }
}

/** WRITE comes with every READ only where no descriptor can say otherwise, or where another configuration withholds it. */
function checkReadOnly(c: Case, size: Size, granted: ReadonlyMap<Prot, Prot>): void {
  const { format, geometry, config } = c
  const readOnly = (got: Prot): boolean => (got & (Prot.READ | Prot.WRITE)) === Prot.READ
  if ([...granted.values()].some(readOnly)) return
  const raws = [...granted.keys()].flatMap((prot) => variations(size, leafRaw(c, size, prot, leastPaddr(c)) as bigint))
  const raw = raws.find((other) => {
    const entry = decode(geometry, size.node, other)
    const same = entry.type === 'leaf' && entry.kind === size.kind && entry.size === size.size && entry.reserved === 0n
    return same && readOnly(format.prot(other, size.kind, format.context(config)))
  })
  if (raw === undefined || format.configs.some(({ config: other }) => readsAlone(format, other))) return
  throw new Fault('WRITE comes with every READ, though a descriptor can say READ alone', { node: size.node, raw })
}

/** Whether a leaf of some size grants READ without WRITE in a configuration. */
function readsAlone(format: AnyFmt, request: FormatConfig): boolean {
  const config = format.configure(request)
  return format.geometry(format.params(config)).nodes.some((node) =>
    leafKinds(node).some((kind) => {
      const bits = format.encodeLeaf(config, node, kind, Prot.READ)
      return bits !== undefined && (format.prot(bits | kind.set, kind, format.context(config)) & Prot.WRITE) === 0
    }),
  )
}

/** The descriptor with one field changed: to each of its first 16 values. */
function variations({ kind }: Size, raw: bigint): bigint[] {
  return kind.fields.flatMap(({ pieces }) => {
    const bits = bitsOf(pieces)
    const count = Math.min(16, 2 ** pieces.reduce((sum, [hi, lo]) => sum + hi - lo + 1, 0))
    return Array.from({ length: count }, (_, value) => (raw & ~bits) | deposit(BigInt(value), pieces))
  })
}

const decoding: Law = {
  name: 'format/decoding',
  says: 'decoding never throws, whatever the descriptor, and what it reads as a leaf or a table can be used',
  check(c) {
    const { geometry, effort, seed } = c
    for (const node of geometry.nodes) {
      for (const raw of samples(node)) checkAny(c, node, raw)
      const any = fc.sample(fc.bigInt({ min: 0n, max: (1n << BigInt(node.entryBytes * 8)) - 1n }), {
        numRuns: shareOf(c, effort === 'full' ? 4000 : 800),
        seed,
      })
      for (const raw of any) checkAny(c, node, raw)
    }
    return undefined
  },
}

function checkAny({ format, geometry, config }: Case, node: LevelNode, raw: bigint): void {
  const entry = decode(geometry, node, raw)
  fieldValues(entry.kind, raw)
  if (entry.type === 'table') {
    must(entry.next >= 0n && entry.next < 1n << 64n, `the next table lies at ${hex(entry.next)}`, { entry })
    must(geometry.nodes.includes(entry.child), 'the next table is of a node that the geometry lacks', { entry })
  } else if (entry.type === 'leaf') {
    const prot = format.prot(raw, entry.kind, format.context(config))
    must(Number.isInteger(prot) && prot >= 0 && prot < protLimit(entry.kind), `prot() gives ${prot}`, { entry })
    must(entry.paddr >= 0n && entry.paddr < 1n << 64n, `paddr ${hex(entry.paddr)}`, { entry })
    must(entry.size.pgsize >= slotBytes(node), `a leaf of ${entry.size.pgsize} bytes`, { entry })
  }
  if (entry.type === 'empty' && format.writes !== false) checkEmpty(node, entry)
  if (entry.type === 'leaf') checkSize(node, entry.kind, raw)
}

function checkEmpty(node: LevelNode, entry: Decoded): void {
  const kind = node.kinds.find((k) => k.type === 'empty')
  must(kind !== undefined && matches(entry.raw, kind.match), 'an entry of a kind that is not the first empty one', { entry })
}

function checkSize(node: LevelNode, kind: LeafKind, raw: bigint): void {
  must(leafKinds(node).includes(kind), 'a leaf of a kind that the node lacks', { node, raw })
  must(
    kind.sizes.some((size) => size.match === undefined || matches(raw, size.match)),
    'a leaf of no size',
    { node, raw },
  )
}

export const descriptorLaws: readonly Law[] = [addresses, attributes, decoding]
