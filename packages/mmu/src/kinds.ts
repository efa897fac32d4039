/** The kinds of a level by lanes: how each is told, and which bits of a descriptor of it count. Cold: made once. */
import {
  type AccessRules,
  bitsOf,
  faultingBits,
  type HardwareUpdate,
  type Kind,
  type LeafKind,
  type LevelNode,
  type Match,
  type Meaning,
  ones,
  type TableKind,
} from '@io-pgtable/core'
import { laneHi, laneLo, lanePieces, type Moves, movesOf } from '@io-pgtable/core/compiled'

/** One kind of one level. */
export class KindPatterns {
  readonly kind: Kind
  readonly index: number
  readonly maskLo: number
  readonly maskHi: number
  readonly valueLo: number
  readonly valueHi: number
  /** A conjunction that only descriptors of this kind pass; what passes it has few bits that count. */
  readonly sureMaskLo: number
  readonly sureMaskHi: number
  readonly sureLo: number
  readonly sureHi: number
  /** Bits that count: of what passes the conjunction, and of all others. */
  readonly countsLo: number
  readonly countsHi: number
  readonly allLo: number
  readonly allHi: number
  /** Of a table: the bits that entries below ask for. */
  readonly asked: bigint
  /** How its address moves; undefined where no fixed form fits. */
  readonly moves: Moves | undefined

  constructor(rules: AccessRules, node: LevelNode, kind: Kind, withUpdates: boolean) {
    this.kind = kind
    this.index = node.kinds.indexOf(kind)
    this.maskLo = laneLo(kind.match.mask)
    this.maskHi = laneHi(kind.match.mask)
    this.valueLo = laneLo(kind.match.value)
    this.valueHi = laneHi(kind.match.value)
    const before = node.kinds.slice(0, this.index).map(({ match }) => match)
    const sure = conjunction(kind.match, before)
    const told = before.reduce((mask, match) => mask | match.mask, kind.match.mask)
    this.asked = kind.type === 'table' ? askedBelow(rules, kind) : 0n
    const counts = countingBits(rules, kind, withUpdates) | this.asked
    this.sureMaskLo = laneLo(sure?.mask ?? 0n)
    this.sureMaskHi = laneHi(sure?.mask ?? 0n)
    // a value that no masked descriptor has, where there is no conjunction
    this.sureLo = sure === undefined ? 1 : laneLo(sure.value)
    this.sureHi = laneHi(sure?.value ?? 0n)
    this.countsLo = laneLo(counts | (sure?.mask ?? told))
    this.countsHi = laneHi(counts | (sure?.mask ?? told))
    this.allLo = laneLo(counts | told)
    this.allHi = laneHi(counts | told)
    this.moves = kind.type === 'table' || kind.type === 'leaf' ? movesOf(lanePieces(kind.address), 0) : undefined
  }
}

/** Bits whose values implies `own` and none of the matches before it; undefined where no such set is found. */
function conjunction(own: Match, before: readonly Match[]): Match | undefined {
  let { mask, value } = own
  for (;;) {
    const open = before.filter((match) => (match.mask & mask & (match.value ^ value)) === 0n)
    if (open.length === 0) return { mask, value }
    const best = bestBit(open, mask)
    if (best === undefined) return undefined
    mask |= best.mask
    value |= best.value
  }
}

/** The bit that excludes most of the matches that are still open. */
function bestBit(open: readonly Match[], taken: bigint): Match | undefined {
  let best: Match | undefined
  let most = 0
  for (let at = 0n; at < 64n; at++) {
    const mask = 1n << at
    if ((taken & mask) !== 0n) continue
    for (const value of [mask, 0n]) {
      const hits = open.filter((match) => (match.mask & mask) !== 0n && (match.value & mask) !== value).length
      if (hits > most) {
        most = hits
        best = { mask, value }
      }
    }
  }
  return best
}

/** What decides, beside what tells the kind: fields with a meaning, reserved bits that fault, an address that is too large, sizes, updates. */
function countingBits(rules: AccessRules, kind: Kind, withUpdates: boolean): bigint {
  if (kind.type !== 'table' && kind.type !== 'leaf') return 0n
  const { geometry } = rules
  let bits = faultingBits(kind, ones(63))
  for (const meaning of meaningsOf(kind)) bits |= rules.compiled(meaning, kind).mask
  for (const [hi, lo, at] of kind.address) {
    const first = lo + Math.max(0, geometry.oas - at)
    if (first <= hi) bits |= ones(hi, first)
  }
  if (kind.type === 'leaf') for (const { match } of kind.sizes) bits |= match?.mask ?? 0n
  else bits |= chooserBits(rules, kind)
  if (withUpdates) for (const update of updatesOf(rules, kind)) bits |= update.clear | update.set | (update.when?.mask ?? 0n)
  return bits
}

function updatesOf({ context }: AccessRules, kind: LeafKind | TableKind): HardwareUpdate[] {
  const { accessed, dirty } = kind.updates?.(context) ?? {}
  return [accessed, dirty].filter((update) => update !== undefined)
}

/** The field that chooses a child, and address bits that a table's alignment leaves no place for. */
function chooserBits({ geometry }: AccessRules, kind: TableKind): bigint {
  const { child } = kind
  const ids = typeof child === 'string' ? [child] : Object.values(child.nodes)
  const sizes = geometry.nodes.filter(({ id }) => ids.includes(id)).map(({ bits, entryBytes }) => bits + Math.log2(entryBytes))
  let bits = typeof child === 'string' ? 0n : bitsOf(kind.fields.find(({ name }) => name === child.field)?.pieces ?? [])
  for (const [hi, lo, at] of kind.address) {
    const last = Math.min(hi, lo + Math.max(0, ...sizes) - at - 1)
    if (last >= lo) bits |= ones(last, lo)
  }
  return bits
}

/** Everything that a descriptor of a kind may mean. */
export function meaningsOf(kind: Kind): Meaning<unknown>[] {
  const all =
    kind.type === 'leaf' ? [kind.grants, kind.traps, kind.memory, kind.global] : kind.type === 'table' ? [kind.limits, kind.global] : []
  return all.filter((meaning) => meaning !== undefined)
}

/** The bits of a table entry that entries of the tables below ask for (`^Field`). */
function askedBelow(rules: AccessRules, kind: TableKind): bigint {
  const ids = typeof kind.child === 'string' ? [kind.child] : Object.values(kind.child.nodes)
  const below = rules.geometry.nodes.filter(({ id }) => ids.includes(id)).flatMap(({ kinds }) => kinds)
  return below.flatMap((one) => meaningsOf(one).map((meaning) => rules.compiled(meaning, one, kind).maskAbove)).reduce((a, b) => a | b, 0n)
}
