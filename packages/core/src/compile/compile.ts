/**
 * Compiles a format's declaration, for one agreed configuration, into what the hot loops read: masks, shifts and constants of 32-bit lanes
 * in objects of one shape whatever the format, so that the loops stay monomorphic. Descriptors are handled as a low and a high int32 lane.
 */
import { ones } from '../format/bits.ts'
import { type AnyFmt, type Geometry, nodeOf } from '../format/format.ts'
import type { Agreed, FormatConfig, Policy } from '../format/policy.ts'
import type { OnePage } from '../hot/one-page.ts'
import { HotNode } from './hot-node.ts'
import { laneHi, laneLo } from './lane-pieces.ts'
import type { LeafPlan } from './leaf-plan.ts'
import { type OnePageParts, onePageOf } from './one-page.ts'

/** A format and a configuration, and everything about them that tables share. */
export interface Compiled {
  readonly format: AnyFmt
  readonly config: Agreed<FormatConfig>
  /** What decoding leaves needs: the meaning that the configuration's registers give to their bits. */
  readonly context: unknown
  readonly geometry: Geometry
  readonly policy: Policy
  /** The nodes from the highest that a root can have down. */
  readonly chain: readonly HotNode[]
  /** The node of a new table's root. */
  readonly root: HotNode
  /** Whether the root may grow. */
  readonly grows: boolean
  /** Whether a map has something to do at its end: the root may have grown, or a gather is to be synced. */
  readonly finishes: boolean
  /** The node of the smallest pages: the last of the chain. */
  readonly last: HotNode
  /** The plans that `mapPages` may use: those of the agreed bitmap, smallest first. */
  readonly plans: readonly LeafPlan[]
  /** The smallest page, bytes: the granule of `flushWalk`. Its offset bits, by lane. */
  readonly granule: number
  readonly offsetLo: number
  readonly offsetHi: number
  /** `iova & mask` of a legal address equals `value`, or `upper` for the upper half of a sign-extended window; by lane. */
  readonly inputMaskLo: number
  readonly inputMaskHi: number
  readonly inputLo: number
  readonly inputHi: number
  readonly upperLo: number
  readonly upperHi: number
  /** Bytes of one window. */
  readonly inputBytes: number
  /** Address bits that must be zero in a paddr, by lane. */
  readonly outputMaskLo: number
  readonly outputMaskHi: number
  readonly outputBytes: number
  /** The first output address that can be mapped. */
  readonly leastOutput: number
  /** Whether one page of any size fits into both address spaces. */
  readonly pagesFit: boolean
  /** The constants of the fast path for one page a call, where the smallest page allows it. */
  readonly onePage: OnePage | undefined
}

const cache = new WeakMap<AnyFmt, Compiled[]>()

/** Compiles once per (format, agreed configuration): later tables share the result and its attribute cache. */
export function compileFormat(format: AnyFmt, config: Agreed<FormatConfig>): Compiled {
  let known = cache.get(format)
  if (known === undefined) cache.set(format, (known = []))
  for (let i = known.length - 1; i >= 0; i--) if (isSame(known[i]!.config, config)) return known[i]!
  const compiled = compile(format, frozen(config))
  known.push(compiled)
  return compiled
}

function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const member of Object.values(value)) frozen(member)
  return Object.freeze(value)
}

/** Whether two configurations, which may hold lists and objects, say the same. A key made of them costs as much as all the rest of a table. */
function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  const other = b as Record<string, unknown>
  let members = 0
  for (const key in a) {
    if (!isSame((a as Record<string, unknown>)[key], other[key])) return false
    members++
  }
  for (const _ in b) members--
  return members === 0
}

function compile(format: AnyFmt, config: Agreed<FormatConfig>): Compiled {
  const geometry = format.geometry(format.params(config))
  const policy = format.policy(config)
  const highest = nodeOf(geometry, geometry.growsTo ?? geometry.top)
  const chain: HotNode[] = []
  const first = new HotNode(geometry, highest, policy, (node, kind) => format.encodeTable(config, node, kind))
  for (let node: HotNode | undefined = first; node !== undefined; node = node.child) chain.push(node)
  const root = chain.find((hot) => hot.node.id === geometry.top)
  const leaves = chain.flatMap((hot) => hot.leaves)
  const plans = leaves.filter((plan) => (config.pgsizeBitmap & BigInt(plan.pgsize)) !== 0n).sort((a, b) => a.pgsize - b.pgsize)
  const last = chain.at(-1)
  if (root === undefined || last === undefined) throw new Error(`${format.FORMAT}: the geometry's top is not among its nodes`)
  const window = windowOf(geometry)
  const granule = Math.min(...(plans.length > 0 ? plans : leaves).map((plan) => plan.pgsize))
  const page: OnePageParts = {
    plans,
    last,
    outputMaskLo: laneLo(~ones(geometry.oas - 1)),
    outputMaskHi: laneHi(~ones(geometry.oas - 1)),
    pagesFit: (geometry.leastOutput ?? 0n) === 0n && plans.every((plan) => plan.pgsize <= Math.min(window.bytes, 2 ** geometry.oas)),
  }
  return {
    format,
    config,
    context: format.context(config),
    geometry,
    policy: policyOf(policy),
    chain,
    root,
    grows: geometry.growsTo !== undefined,
    finishes: geometry.growsTo !== undefined || policy.flushOrder === 'range',
    last,
    plans,
    granule,
    offsetLo: laneLo(BigInt(granule) - 1n),
    offsetHi: laneHi(BigInt(granule) - 1n),
    inputMaskLo: laneLo(window.mask),
    inputMaskHi: laneHi(window.mask),
    inputLo: laneLo(window.lower),
    inputHi: laneHi(window.lower),
    upperLo: laneLo(window.upper),
    upperHi: laneHi(window.upper),
    inputBytes: window.bytes,
    outputMaskLo: page.outputMaskLo,
    outputMaskHi: page.outputMaskHi,
    outputBytes: 2 ** geometry.oas,
    leastOutput: Number(geometry.leastOutput ?? 0n),
    pagesFit: page.pagesFit,
    onePage: onePageOf(page),
  }
}

/** Of one shape whatever the format wrote, so that V8 knows where its members are. */
function policyOf(p: Policy): Policy {
  const { conflict, freeTables, flushOrder, addPagesWithoutGather } = p
  return {
    conflict,
    runSlots: p.runSlots,
    freeTables,
    flushOrder,
    addPagesWithoutGather,
    breakBeforeMake: p.breakBeforeMake,
    dirty: p.dirty,
  } as Policy
}

function windowOf(geometry: Geometry): { mask: bigint; lower: bigint; upper: bigint; bytes: number } {
  const bits = geometry.window === 'sign-extended' ? geometry.ias - 1 : geometry.ias
  const mask = BigInt.asUintN(64, ~(ones(bits) >> 1n))
  const lower = geometry.window === 'top' ? BigInt.asUintN(geometry.spaceBits ?? 64, mask) : 0n
  return { mask, lower, upper: geometry.window === 'sign-extended' ? mask : lower, bytes: 2 ** bits }
}
