/**
 * What follows from where the root is, and changes when a root grows. Made when it is asked for: registers are bigints put together, which take
 * longer than all the rest of a table.
 */
import type { Geometry } from '../format/format.ts'
import type { Tree } from './tree.ts'

export interface RootView {
  /** The root's word in the table's state. */
  readonly state: number
  readonly geometry: Geometry
  readonly roots: readonly bigint[]
  readonly regs: unknown
}

/** The view of the root as it is now. */
export function rootView(t: Tree): RootView {
  if (t.compiled.grows) t.refresh()
  if (t.view?.state !== t.rootState) t.view = describeRoot(t)
  return t.view as RootView
}

function describeRoot(t: Tree): RootView {
  const { format, config, geometry: declared } = t.compiled
  const geometry = { ...declared, top: t.root.node.id }
  const n = geometry.roots ?? 1
  const first = t.pool.base + BigInt(t.rootWord) * 4n
  const roots = Array.from({ length: n }, (_, i) => first + BigInt((t.root.node.tableBytes / n) * i))
  return { state: t.rootState, geometry, roots: Object.freeze(roots), regs: Object.freeze(format.regs(config, roots, geometry.top)) }
}
