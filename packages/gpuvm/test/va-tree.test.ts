/** The tree against a sorted list: order, searches, balance, and that nodes can be entered again. */
import { expect, test } from 'vitest'
import { BoNode, VaNode } from '../src/va.ts'
import { VaTree } from '../src/va-tree.ts'

const bo = new BoNode({ size: 1n << 40n }, 'bo')
const nodeAt = (first: number): VaNode => new VaNode({ addr: BigInt(first), range: 1n, bo, offset: 0n, flags: 0 }, first, first + 1)

/** Checks a subtree, and returns its height. */
function heightOf(node: VaNode | undefined, parent: VaNode | undefined): number {
  if (node === undefined) return 0
  const left = heightOf(node.left, node)
  const right = heightOf(node.right, node)
  const height = 1 + Math.max(left, right)
  if (node.parent !== parent || Math.abs(left - right) > 1 || node.height !== height)
    throw new Error(`node ${node.first}: sides of ${left} and ${right}, height ${node.height}, or another parent`)
  return height
}

function check(tree: VaTree, expected: readonly number[]): void {
  const seen: number[] = []
  let root: VaNode | undefined
  for (let node = tree.firstFrom(0); node !== undefined; node = node.after) {
    if (node.before?.first !== seen.at(-1)) throw new Error(`node ${node.first}: ${node.before?.first} is before it`)
    seen.push(node.first)
    if (node.parent === undefined) root = node
  }
  expect(seen).toEqual(expected)
  expect(tree.size).toBe(expected.length)
  heightOf(root, undefined)
}

const ORDERS: Record<string, (i: number, n: number) => number> = {
  rising: (i) => i,
  falling: (i, n) => n - 1 - i,
  'from both ends': (i, n) => (i % 2 === 0 ? i / 2 : n - 1 - (i - 1) / 2),
  scattered: (i, n) => (i * 61) % n,
}

test.each(Object.entries(ORDERS))('entered %s, removed in every order', (_, order) => {
  const n = 127
  const nodes = Array.from({ length: n }, (_, i) => nodeAt(2 * i))
  for (const leave of Object.values(ORDERS)) {
    const tree = new VaTree()
    const inside = new Set<number>()
    const sorted = (): number[] => [...inside].sort((a, b) => a - b)
    for (let i = 0; i < n; i++) {
      const node = nodes[order(i, n)]!
      tree.insert(node)
      inside.add(node.first)
      if (i % 16 === 0) check(tree, sorted())
    }
    check(tree, sorted())
    const found = Array.from({ length: 2 * n }, (_, at) => tree.firstFrom(at)?.first)
    expect(found).toEqual(found.map((_, at) => (at % 2 === 0 ? at : at + 1 < 2 * n ? at + 1 : undefined)))
    for (let i = 0; i < n; i++) {
      const node = nodes[leave(i, n)]!
      tree.remove(node)
      inside.delete(node.first)
      if (i % 16 === 0) check(tree, sorted())
    }
    check(tree, [])
  }
})
