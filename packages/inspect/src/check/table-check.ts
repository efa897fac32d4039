/** The walk of a check: depth first, every (level, table) once; runs of entries that only step their address are one look. */
import { hex } from '@io-pgtable/core'
import { type LaneKind, type LaneLeaf, type LaneNode, type LaneTable, laneLeafOf, laneNodes } from '@io-pgtable/core/compiled'
import type { Finding, Severity } from '../finding.ts'
import { Inherited } from '../leaves/inherited.ts'
import { joined } from '../leaves/joined.ts'
import { type RootPart, rootParts } from '../leaves/root-parts.ts'
import { equal, rising32, rising64 } from '../leaves/scan.ts'
import { TableWords } from '../leaves/table-words.ts'
import type { Tables } from '../leaves/tables.ts'
import type { CheckCode } from './codes.ts'
import { groupFault } from './groups.ts'
import { KindCheck, LeafCheck, type Verdict, Verdicts } from './leaf-check.ts'
import { SharedTables } from './shared-tables.ts'

/** What takes the findings and mappings of a walk. */
export interface CheckSink {
  mayRead(place: string): boolean
  /** `severity`: where it is not the code's. */
  report(code: CheckCode, finding: Omit<Finding, 'severity' | 'code'>, severity?: Severity): void
  mapping(owner: number, iova: number, paddr: number, bytes: number, verdict: Verdict): void
}

/** A table on the way down; entry `from` is at `words[offset]`. */
interface Frame {
  readonly node: LaneNode
  readonly table: number
  readonly words: Int32Array
  readonly offset: number
  readonly from: number
  readonly to: number
  /** The input address of entry 0. */
  readonly base: number
  at: number
  readonly way: Inherited
  /** The first entry of the group that was told last. */
  badGroup: number
}

type Report = (code: CheckCode, message: string, severity?: Severity) => void

/** No geometry has more levels. */
const MAX_DEPTH = 12
/** Of what is known of a table: it is in memory; where its level stands, raised by one, since a manual may count from -1. */
const KNOWN = 1 << 24
const LEVEL = 25

/** A bit for a node. Of more than 24 two may have one, and what is a table as both is read as the first alone. */
function bitOf({ ordinal }: LaneNode): number {
  return 1 << (ordinal % 24)
}

export class TableCheck {
  readonly #tables: Tables
  readonly #owner: number
  readonly #sink: CheckSink
  readonly #memory: TableWords
  readonly #root: LaneNode
  readonly #parts: readonly RootPart[]
  #part = 0
  readonly #stack: Frame[] = []
  /** What is known of each table address: a bit for each node as which it was read, KNOWN, and the level at which it was read first. */
  readonly #seen: Map<number, number> = new Map()
  readonly #verdicts: Verdicts
  /** The way to the roots. */
  readonly #way: Inherited
  /** Output addresses from here on end a walk. */
  readonly #limit: number
  readonly #leafChecks: Map<LaneLeaf, LeafCheck> = new Map()
  readonly #tableChecks: Map<LaneTable, KindCheck> = new Map()
  readonly #shared: SharedTables = new SharedTables()
  /** The mapping that is being put together. */
  readonly #open = { iova: 0, paddr: 0, bytes: 0, verdict: undefined as Verdict | undefined }

  constructor(tables: Tables, owner: number, sink: CheckSink) {
    this.#tables = tables
    this.#owner = owner
    this.#sink = sink
    this.#memory = new TableWords(tables.read)
    this.#root = laneNodes(tables.geometry)
    this.#parts = rootParts(tables, this.#root, 0n, (1n << 64n) - 1n)
    this.#verdicts = new Verdicts(tables)
    this.#way = Inherited.root(tables)
    this.#limit = 2 ** tables.geometry.oas
  }

  /** Goes on to the end. @throws what reading throws: calling it again goes on there */
  run(): void {
    for (;;) {
      const frame = this.#stack.at(-1)
      if (frame !== undefined) this.#scan(frame)
      else if (this.#part < this.#parts.length) this.#openRoot(this.#parts[this.#part] as RootPart)
      else break
    }
    this.#flush()
    this.#shared.tell((finding) => this.#sink.report('table-shared', finding))
  }

  /** Adds the physical addresses of the tables that were read. */
  addressesTo(addresses: number[]): void {
    for (const [address, seen] of this.#seen) if (seen & KNOWN) addresses.push(address)
  }

  #openRoot({ table, base, first, end }: RootPart): void {
    const node = this.#root
    const entries = node.entries / this.#tables.roots.length
    const from = Math.max(node.from, Math.floor((first - base) / node.slot))
    const to = Math.min(node.to, entries, Math.ceil((end - base) / node.slot))
    const align = this.#tables.roots.length > 1 ? entries * node.node.entryBytes : Math.max(node.node.tableBytes, node.node.align ?? 0)
    // roots that are smaller than a page may stand anywhere in it
    const least = Math.min(align, entries * node.node.entryBytes)
    if (!this.#seen.has(table) && table % least !== 0)
      this.#sink.report('table-misaligned', {
        ...this.#place(base, table),
        message: `the root ${hex(table)} is no multiple of ${hex(least)}`,
        value: BigInt(table),
      })
    if (!this.#seen.has(table) && table >= this.#limit)
      this.#sink.report('address-out-of-range', {
        ...this.#place(base, table),
        message: `the root ${hex(table)} is beyond ${this.#tables.geometry.oas} address bits`,
        value: BigInt(table),
      })
    this.#read(node, table, base, from, to, this.#way)
    this.#part++
  }

  /** Reads a table and goes down into it. Nothing has changed when reading throws. */
  #read(node: LaneNode, table: number, base: number, from: number, to: number, way: Inherited): void {
    const { entryBytes, level } = node.node
    const known = from + this.#memory.find(node.node, table, from, to)
    // the second half of a sign-extended window has the root of the first
    const isAgain = ((this.#seen.get(table) ?? 0) & bitOf(node)) !== 0
    if (!isAgain && !this.#sink.mayRead(this.#tables.name)) {
      this.#stack.length = 0
      this.#part = this.#parts.length
      return
    }
    this.#note(table, node, known > from)
    if (known < to)
      this.#sink.report('table-unknown', {
        ...this.#place(base + known * node.slot, table),
        level,
        message: `${(to - known) * entryBytes} bytes of the level ${level} table at ${hex(table)} are not in the image`,
      })
    // in place where no other table is read before it is gone through: memory may be used again then
    const { words, at } = this.#memory
    const isLast = node.kinds.every((kind) => kind.table === undefined)
    const own = isLast ? words : words.slice(at, at + (known - from) * node.words)
    this.#stack.push({ node, table, words: own, offset: isLast ? at : 0, from, to: known, base, at: from, badGroup: -1, way })
    if (node.next !== undefined) this.#read(node.next, table, base, from, to, way)
  }

  #note(table: number, node: LaneNode, isKnown: boolean): void {
    const seen = this.#seen.get(table) ?? (node.node.level + 1) << LEVEL
    this.#seen.set(table, seen | bitOf(node) | (isKnown ? KNOWN : 0))
  }

  #scan(frame: Frame): void {
    const { node, words, offset, from, to } = frame
    const width = node.words
    let i = frame.at
    while (i < to) {
      const at = offset + (i - from) * width
      const lo = words[at]!
      const hi = width === 2 ? words[at + 1]! : 0
      if (lo === node.emptyLo && hi === node.emptyHi && node.hasEmpty) {
        i += equal(words, at, to - i, width, lo, hi)
        continue
      }
      const kind = node.kind(lo, hi)
      if (kind.leaves.length > 0) i += this.#leaf(frame, i, kind, lo, hi)
      else {
        frame.at = i
        if (kind.table !== undefined) this.#table(frame, kind.table, i, lo, hi)
        else if (kind.kind.type === 'invalid') this.#illegal(frame, i, joined(lo, hi), `a descriptor of the kind ${kind.kind.name}`)
        frame.at = ++i
        if (this.#stack.at(-1) !== frame) return
      }
    }
    this.#stack.pop()
  }

  /** Leaves from entry `i` on, as many as follow from the first. @returns entries */
  #leaf(frame: Frame, i: number, kind: LaneKind, lo: number, hi: number): number {
    const { node, words, offset, from, to } = frame
    const leaf = kind.leaves.length === 1 ? kind.leaves[0]! : laneLeafOf(kind, lo, hi)
    const check = this.#leafChecks.get(leaf) ?? this.#newLeafCheck(kind, leaf, node)
    let entries = 1
    if (leaf.step !== 0 && (leaf.doubts.length === 0 || leaf.isSure(lo, hi))) {
      const most = Math.min(to - i, leaf.linear(lo))
      const at = offset + (i - from) * node.words
      entries = node.words === 2 ? rising64(words, at, most, leaf.step) : rising32(words, at, most, leaf.step)
    }
    const last = (lo + (entries - 1) * leaf.step) | 0
    const isBeyond = check.beyond.touches(last, hi)
    if (check.faulting.touches(lo, hi) || check.odd.touches(lo, hi) || check.misaligned.touches(lo, hi) || isBeyond)
      this.#leafBits(frame, i, check, lo, hi, last)
    if (check.group > 1) entries = this.#group(frame, i, entries, check, leaf)
    const iova = frame.base + i * node.slot
    this.#mapping(iova, leaf.paddr(lo, hi, iova), entries * node.slot, check.verdict(frame.way, leaf, lo, hi, isBeyond))
    return entries
  }

  #newLeafCheck(kind: LaneKind, leaf: LaneLeaf, node: LaneNode): LeafCheck {
    const size = leaf.kind.sizes[kind.leaves.indexOf(leaf)]!
    const check = new LeafCheck(this.#tables.geometry, node.node, leaf.kind, size, this.#verdicts)
    this.#leafChecks.set(leaf, check)
    return check
  }

  /** `last`: the low lane of the last entry of the run. */
  #leafBits(frame: Frame, index: number, check: LeafCheck, lo: number, hi: number, last: number): void {
    const value = joined(lo, hi)
    const at = { ...this.#entry(frame, index), value }
    const what = `${check.kind.name} ${hex(value)}`
    if (check.faulting.touches(lo, hi))
      this.#sink.report('reserved-bits', {
        ...at,
        message: `${what}: ${setBits(check.faulting, lo, hi)} are set: a walk that meets them faults`,
      })
    if (check.odd.touches(lo, hi))
      this.#sink.report('reserved-bits', { ...at, message: `${what}: ${setBits(check.odd, lo, hi)} are set` }, 'warning')
    if (check.misaligned.touches(lo, hi))
      this.#sink.report('misaligned-block', { ...at, message: `${what}: ${setBits(check.misaligned, lo, hi)} are set, below its size` })
    if (check.beyond.touches(last, hi))
      this.#sink.report('address-out-of-range', {
        ...at,
        message: `${what} is, or is followed by one, beyond ${this.#tables.geometry.oas} address bits`,
      })
  }

  /** The groups that entries from `index` on are in; a group that does not hold together is told once. @returns entries that were looked at */
  #group(frame: Frame, index: number, entries: number, check: LeafCheck, leaf: LaneLeaf): number {
    const { words, offset, from, to, node } = frame
    const start = index - (index % check.group)
    const rest = Math.min(start + check.group, to) - index
    if (frame.badGroup === start || start < from) return Math.min(entries, rest)
    const at = offset + (start - from) * node.words
    const count = Math.min(check.group, to - start)
    const why = index === start ? groupFault({ words, at, count, node }, check, leaf) : 'its first entries are of another kind or size'
    if (why === undefined) return rest
    frame.badGroup = start
    const value = joined(words[at + (index - start) * node.words]!, node.words === 2 ? words[at + (index - start) * 2 + 1]! : 0)
    this.#sink.report(check.steps ? 'contiguous-inconsistent' : 'repeat-inconsistent', {
      ...this.#entry(frame, index),
      value,
      message: `entries ${start} to ${start + count - 1}, ${hex(check.size.pgsize)} bytes: ${why}`,
    })
    return Math.min(entries, rest)
  }

  #mapping(iova: number, paddr: number, bytes: number, verdict: Verdict): void {
    const open = this.#open
    if (open.verdict === verdict && open.iova + open.bytes === iova && open.paddr + open.bytes === paddr) {
      open.bytes += bytes
      return
    }
    this.#flush()
    open.iova = iova
    open.paddr = paddr
    open.bytes = bytes
    open.verdict = verdict
  }

  #flush(): void {
    const { iova, paddr, bytes, verdict } = this.#open
    if (verdict !== undefined) this.#sink.mapping(this.#owner, iova, paddr, bytes, verdict)
    this.#open.verdict = undefined
  }

  #table(frame: Frame, table: LaneTable, i: number, lo: number, hi: number): void {
    const child = table.child(lo, hi)
    if (child === undefined) {
      this.#illegal(frame, i, joined(lo, hi), 'no table can be at that level')
      return
    }
    const next = table.address(lo, hi)
    const seen = this.#seen.get(next) ?? 0
    const isNew = (seen & bitOf(child)) === 0
    const isAncestor = seen !== 0 && this.#stack.some((above) => above.table === next)
    // first, since a page may be missing, and then all of it comes again
    if (isNew && this.#stack.length < MAX_DEPTH)
      this.#read(child, next, frame.base + i * frame.node.slot, child.from, child.to, frame.way.by(table, frame.node.node, lo, hi))
    const check = this.#tableChecks.get(table) ?? this.#newTableCheck(frame, table)
    const align = Math.max(child.node.align ?? 0, child.entries * child.node.entryBytes)
    if (seen === 0 && !check.faulting.touches(lo, hi) && !check.odd.touches(lo, hi) && !check.beyond.touches(lo, hi) && next % align === 0)
      return
    const report: Report = (code, message, severity) =>
      this.#sink.report(code, { ...this.#entry(frame, i), value: joined(lo, hi), message }, severity)
    tableBits(report, check, lo, hi, next)
    if (next % align !== 0) report('table-misaligned', `the table at ${hex(next)} is no multiple of ${hex(align)}`)
    const level = (seen >> LEVEL) - 1
    if (isAncestor) report('cycle', `the table at ${hex(next)} is its own ancestor`)
    else if (!isNew) this.#shared.add(next, child.ordinal, () => ({ ...this.#entry(frame, i), value: joined(lo, hi) }))
    else if ((seen & KNOWN) !== 0 && level !== child.node.level)
      report('table-two-levels', `the table at ${hex(next)} is one of level ${level}, too`)
  }

  #newTableCheck(frame: Frame, table: LaneTable): KindCheck {
    const check = new KindCheck(this.#tables.geometry, frame.node.node, table.kind)
    this.#tableChecks.set(table, check)
    return check
  }

  #illegal(frame: Frame, index: number, value: bigint, why: string): void {
    this.#sink.report('illegal-kind', {
      ...this.#entry(frame, index),
      value,
      message: `${hex(value)} at level ${frame.node.node.level}: ${why}`,
    })
  }

  #entry({ node, table, base }: Frame, index: number): Pick<Finding, 'place' | 'iova' | 'table' | 'index' | 'level'> {
    return { ...this.#place(base + index * node.slot, table), index, level: node.node.level }
  }

  #place(iova: number, table: number): { place: string; iova: bigint; table: bigint } {
    return { place: this.#tables.name, iova: BigInt(iova), table: BigInt(table) }
  }
}

function tableBits(report: Report, { faulting, odd, beyond }: KindCheck, lo: number, hi: number, next: number): void {
  const what = `table descriptor ${hex(joined(lo, hi))}`
  if (faulting.touches(lo, hi)) report('reserved-bits', `${what}: ${setBits(faulting, lo, hi)} are set: a walk that meets them faults`)
  if (odd.touches(lo, hi)) report('reserved-bits', `${what}: ${setBits(odd, lo, hi)} are set`, 'warning')
  if (beyond.touches(lo, hi)) report('address-out-of-range', `the table at ${hex(next)} is beyond the hardware's address bits`)
}

function setBits(mask: { readonly lo: number; readonly hi: number }, lo: number, hi: number): string {
  return hex(joined(lo & mask.lo, hi & mask.hi))
}
