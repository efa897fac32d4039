/** The constants of the fast path for one page a call, which is in `hot/one-page.ts`. */
import type { OnePage } from '../hot/one-page.ts'
import type { Compiled } from './compile.ts'
import type { LeafPlan } from './leaf-plan.ts'

/** What {@link onePageOf} looks at. */
export type OnePageParts = Pick<Compiled, 'outputMaskLo' | 'outputMaskHi' | 'plans' | 'last' | 'pagesFit'>

/** The constants, or undefined where the smallest page is not of the fast path's shape. */
export function onePageOf(c: OnePageParts): OnePage | undefined {
  const plan = c.plans[0]
  const fits =
    plan !== undefined &&
    plan.node === c.last &&
    plan.slots === 1 &&
    (plan.plain || plan.moves !== undefined) &&
    plan.simple &&
    plan.offsetHi === 0 &&
    c.outputMaskHi < 0 &&
    c.pagesFit &&
    !isLeaf(plan, 0)
  return fits ? constantsOf(c, plan) : undefined
}

/** Whether an entry of zeros is a leaf: where memory is gone, reads give what counts as zero, and must not be taken for one. */
function isLeaf({ node, matchMask, matchValue }: LeafPlan, low: number): boolean {
  return (low & matchMask) === matchValue && (low & node.emptyMask) !== node.emptyValue
}

function constantsOf(c: OnePageParts, plan: LeafPlan): OnePage {
  const { node } = plan
  // `| 0`: `plan.pgsize` is a double where any format has large pages, and comparing with it costs every call
  const pgsize = plan.pgsize | 0
  return {
    pgsize,
    mapped: Object.freeze({ mapped: pgsize, error: undefined }),
    offsetLo: plan.offsetLo,
    badLo: plan.unfitLo | c.outputMaskLo,
    badHi: plan.unfitHi | c.outputMaskHi,
    wordShift: (node.shift - node.entryLg) | 0,
    wordMask: (node.indexMask << node.entryLg) | 0,
    entryLg: node.entryLg,
    emptyMask: node.emptyMask,
    emptyValue: node.emptyValue,
    emptyLo: node.emptyLo,
    emptyHi: node.emptyHi,
    addressLo: plan.addressLo & ~plan.offsetLo,
    addressHi: node.entryLg === 1 ? plan.addressHi : 0,
    moves: plan.plain ? undefined : plan.moves,
    matchMask: plan.matchMask,
    matchValue: plan.matchValue,
    matchMaskHi: plan.matchMaskHi,
    matchValueHi: plan.matchValueHi,
    attrs: plan.attrs,
  }
}
