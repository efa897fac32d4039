/** A geometry as linked levels, and the meaning of a pattern that is met for the first time: by `AccessRules`, which every reader shares. */
import { type AccessRules, type Decoded, type DecodedTable, decode, entrySpan, type LevelNode, nodeOf, ones, Right } from '@io-pgtable/core'
import { laneHi, laneLo } from '@io-pgtable/core/compiled'
import { faultCode, memoryNumber, SPARSE } from './access.ts'
import { KindPatterns, meaningsOf } from './kinds.ts'
import { KEPT, Level, LOCAL, Pattern } from './level.ts'

/** The levels of a format's tree; `top` is the root's. */
export class Levels {
  readonly rules: AccessRules
  readonly withUpdates: boolean
  readonly #levels: Map<string, Level> = new Map()
  readonly top: Level

  /** @param roots tables that the root is made of, each with its part of the index */
  constructor(rules: AccessRules, withUpdates: boolean, roots: number) {
    this.rules = rules
    this.withUpdates = withUpdates
    const { nodes, top } = rules.geometry
    for (const node of nodes) this.#levels.set(node.id, levelOf(node, node.bits - (node.id === top ? Math.log2(roots) : 0)))
    for (const level of this.#levels.values()) {
      level.kinds = level.node.kinds.map((kind) => new KindPatterns(rules, level.node, kind, withUpdates))
      level.tablesLookUp = level.node.kinds.some(
        (kind) => kind.type === 'table' && meaningsOf(kind).some(({ fields }) => fields.some((name) => name.startsWith('^'))),
      )
    }
    this.top = this.at(rules.geometry.top)
  }

  at(id: string): Level {
    return this.#levels.get(id) ?? this.at(nodeOf(this.rules.geometry, id).id)
  }

  get all(): readonly Level[] {
    return [...this.#levels.values()]
  }
}

function levelOf(node: LevelNode, bits: number): Level {
  const lg = node.entryBytes === 8 ? 3 : 2
  const index = bits === 0 ? 0n : ones(node.shift + bits - 1, node.shift)
  const by = (lg - node.shift) & 31
  const rotated = (mask: number): number => (mask << by) | (mask >>> (32 - by))
  return new Level(node, lg, [rotated(laneLo(index)), rotated(laneHi(index))], by)
}

/** Both memos missed: what the descriptor means, from those that are kept or made now. Memos follow. */
export function meaningAt(levels: Levels, level: Level, lo: number, hi: number, above: number): Pattern {
  level.misses = (level.misses + 1) | 0
  const kind = kindAt(level, lo, hi)
  const sure = (((lo & kind.sureMaskLo) ^ kind.sureLo) | ((hi & kind.sureMaskHi) ^ kind.sureHi)) === 0
  const maskLo = sure ? kind.countsLo : kind.allLo
  const maskHi = sure ? kind.countsHi : kind.allHi
  const valueLo = lo & maskLo
  const valueHi = hi & maskHi
  const mixed = Math.imul(valueLo ^ maskLo, 0x9e37_79b1) + Math.imul(valueHi ^ maskHi ^ (above << 8), 0x85eb_ca6b)
  const place = (mixed ^ (mixed >>> 13)) & (KEPT - 1)
  let found = level.known[place] as Pattern
  if (
    ((found.maskLo ^ maskLo) | (found.maskHi ^ maskHi) | (found.valueLo ^ valueLo) | (found.valueHi ^ valueHi) | (found.above ^ above)) !==
    0
  ) {
    found = made(levels, level, kind, lo, hi, above)
    found.maskLo = maskLo
    found.maskHi = maskHi
    found.valueLo = valueLo
    found.valueHi = valueHi
    level.known[place] = found
  }
  if (found.fault === 0 && !found.cold) remember(level, found)
  return found
}

function kindAt({ kinds, node }: Level, lo: number, hi: number): KindPatterns {
  for (let i = 0; i < kinds.length; i++) {
    const kind = kinds[i] as KindPatterns
    if ((((lo & kind.maskLo) ^ kind.valueLo) | ((hi & kind.maskHi) ^ kind.valueHi)) === 0) return kind
  }
  throw new Error(`node ${node.id}: its last kind must match everything`)
}

function remember(level: Level, found: Pattern): void {
  if (found.leaf) {
    level.leaf = found
    return
  }
  // an entry that hardware has still to mark is met by the slower way
  const isMarked = (found.accessedSetLo | found.accessedSetHi | found.accessedClearLo | found.accessedClearHi) === 0
  if (level.tablesLookUp || found.child === undefined || !isMarked) return
  level.tableMaskLo = found.maskLo
  level.tableMaskHi = found.maskHi
  level.tableValueLo = found.valueLo
  level.tableValueHi = found.valueHi
  level.limits = found.rights
  level.low = found.low
  level.lowMask = found.lowMask
  level.high = found.high
  level.highMask = found.highMask
  level.across = found.across
  level.acrossMask = found.acrossMask
  level.second = found.second
  level.secondMask = found.secondMask
  level.up = found.up
  level.next = found.child
}

const word = (lo: number, hi: number): bigint => (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)

function made(levels: Levels, level: Level, kind: KindPatterns, lo: number, hi: number, aboveNumber: number): Pattern {
  const { rules } = levels
  level.made++
  const pattern = new Pattern()
  pattern.above = aboveNumber
  const raw = level.wide === 1 ? word(lo, hi) : BigInt(lo >>> 0)
  const entry = decode(rules.geometry, level.node, raw)
  const above = level.aboves[aboveNumber]
  const { fault } = rules.path(above === undefined ? [entry] : [above, entry])
  if (fault !== undefined) {
    pattern.fault = faultCode(fault.type)
    pattern.bitsLo = laneLo(fault.bits ?? 0n)
    pattern.bitsHi = laneHi(fault.bits ?? 0n)
    return pattern
  }
  if (entry.type === 'sparse') {
    pattern.fault = SPARSE
    return pattern
  }
  address(pattern, kind)
  if (entry.type === 'table') ofTable(levels, level, kind, entry, above, pattern)
  if (entry.type === 'leaf') ofLeaf(levels, entry, above, pattern)
  if (levels.withUpdates) updates(levels, entry, pattern)
  return pattern
}

function address(pattern: Pattern, { moves }: KindPatterns): void {
  if (moves === undefined) {
    pattern.cold = true
    return
  }
  pattern.low = moves.backLow
  pattern.lowMask = moves.ownLow
  pattern.high = moves.backHigh
  pattern.highMask = moves.ownHigh
  pattern.across = moves.backFirst
  pattern.acrossMask = moves.ownFirst
  pattern.second = moves.backSecond
  pattern.secondMask = moves.ownSecond
}

function ofTable(
  levels: Levels,
  level: Level,
  kind: KindPatterns,
  entry: DecodedTable,
  above: DecodedTable | undefined,
  pattern: Pattern,
): void {
  const { rules } = levels
  const { bits, entryBytes, shift } = entry.child
  pattern.rights = rules.limits(entry, above) | (rules.isGlobal(entry, above) ? 0 : LOCAL)
  pattern.child = levels.at(entry.child.id)
  pattern.up = kind.asked === 0n ? 0 : numberOf(pattern.child, kind, entry)
  const skips = shift + bits < level.node.shift
  // its descriptors could lie beyond the 4 GiB that the table begins in
  const unaligned = entry.next % BigInt(2 ** bits * entryBytes) !== 0n
  if (skips || unaligned) pattern.cold = true
}

/** What an entry is to the tables below it, as a number. */
function numberOf(child: Level, { asked, kind }: KindPatterns, entry: DecodedTable): number {
  const known = child.aboves.findIndex((one) => one?.kind === kind && ((one.raw ^ entry.raw) & asked) === 0n)
  return known >= 0 ? known : child.aboves.push(entry) - 1
}

function ofLeaf(levels: Levels, entry: Decoded & { readonly type: 'leaf' }, above: DecodedTable | undefined, pattern: Pattern): void {
  const { rules } = levels
  const { read, write, execute } = rules.traps(entry, above)
  const span = entrySpan(entry.node, entry.size)
  const keep = BigInt(span) - 1n
  pattern.leaf = true
  pattern.rights = rules.grants(entry, above) | (rules.isGlobal(entry, above) ? 0 : LOCAL)
  pattern.memory = memoryNumber(rules.memory(entry, above))
  pattern.trapRead = read === undefined ? 0 : faultCode(read)
  pattern.trapWrite = write === undefined ? 0 : faultCode(write)
  pattern.trapExecute = execute === undefined ? 0 : faultCode(execute)
  pattern.traps = (read === undefined ? 0 : 0b001_001) | (write === undefined ? 0 : 0b010_010) | (execute === undefined ? 0 : 0b100_100)
  pattern.open = 127 & ~pattern.traps
  pattern.sizeLg = Math.log2(span)
  pattern.keepLo = laneLo(keep)
  pattern.keepHi = laneHi(keep)
  pattern.lowMask &= ~pattern.keepLo
  pattern.highMask &= ~pattern.keepHi
  pattern.acrossMask &= ~pattern.keepHi
  pattern.secondMask &= ~pattern.keepHi
}

/** The bits that an access changes in a descriptor of this pattern; none where they are as they would be. */
function updates({ rules }: Levels, entry: Decoded, pattern: Pattern): void {
  if (entry.type !== 'table' && entry.type !== 'leaf') return
  const { accessed, dirty } = entry.kind.updates?.(rules.context) ?? {}
  const holds = (update: typeof accessed): boolean =>
    update !== undefined && (update.when === undefined || (entry.raw & update.when.mask) === update.when.value)
  if (accessed !== undefined && holds(accessed)) {
    const set = accessed.set & ~entry.raw
    const clear = accessed.clear & entry.raw
    pattern.accessedSetLo = laneLo(set)
    pattern.accessedSetHi = laneHi(set)
    pattern.accessedClearLo = laneLo(clear)
    pattern.accessedClearHi = laneHi(clear)
  }
  if (dirty !== undefined && holds(dirty)) {
    const set = dirty.set & ~entry.raw
    const clear = dirty.clear & entry.raw
    pattern.dirtySetLo = laneLo(set)
    pattern.dirtySetHi = laneHi(set)
    pattern.dirtyClearLo = laneLo(clear)
    pattern.dirtyClearHi = laneHi(clear)
    if ((set | clear) !== 0n) pattern.open &= ~(Right.WRITE as number)
  }
}
