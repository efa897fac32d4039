/**
 * The mappings of a VA space by address: a balanced tree (AVL: the heights of a node's two sides differ by one at most) whose nodes are
 * threaded in order. Searching, entering and removing take O(log n), the neighbours O(1), and nothing is allocated. No two overlap.
 */
import type { GpuBo, VaNode } from './va.ts'

type Node<O extends GpuBo> = VaNode<O>

export class VaTree<O extends GpuBo = GpuBo> {
  #root: Node<O> | undefined = undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The first mapping that ends behind a granule: it holds it, or is the next one. */
  firstFrom(granule: number): Node<O> | undefined {
    let found: Node<O> | undefined
    for (let node = this.#root; node !== undefined; ) {
      if (node.last > granule) {
        found = node
        node = node.left
      } else node = node.right
    }
    return found
  }

  /** Enters a mapping that overlaps none. */
  insert(node: Node<O>): void {
    let parent: Node<O> | undefined
    let left = false
    for (let at = this.#root; at !== undefined; at = left ? at.left : at.right) {
      parent = at
      left = node.first < at.first
    }
    node.parent = parent
    node.left = node.right = undefined
    node.height = 1
    thread(node, parent, left)
    if (parent === undefined) this.#root = node
    else if (left) parent.left = node
    else parent.right = node
    this.#size++
    this.#rebalance(parent)
  }

  remove(node: Node<O>): void {
    if (node.before !== undefined) node.before.after = node.after
    if (node.after !== undefined) node.after.before = node.before
    if (node.left !== undefined && node.right !== undefined) this.#removeInner(node, node.after as Node<O>)
    else {
      this.#replace(node, node.left ?? node.right)
      this.#rebalance(node.parent)
    }
    node.parent = node.left = node.right = node.before = node.after = undefined
    this.#size--
  }

  /** Takes out a node with two sides: the next one, which has no left side, goes in its place. */
  #removeInner(node: Node<O>, next: Node<O>): void {
    const from = next.parent === node ? next : next.parent
    if (next.parent !== node) {
      this.#replace(next, next.right)
      next.right = node.right as Node<O>
      next.right.parent = next
    }
    next.left = node.left as Node<O>
    next.left.parent = next
    next.height = node.height
    this.#replace(node, next)
    this.#rebalance(from)
  }

  /** Hangs `now` where `old` is. */
  #replace(old: Node<O>, now: Node<O> | undefined): void {
    const { parent } = old
    if (parent === undefined) this.#root = now
    else if (parent.left === old) parent.left = now
    else parent.right = now
    if (now !== undefined) now.parent = parent
  }

  /** Brings heights up to date from a node upwards, and turns where a side is too high. */
  #rebalance(from: Node<O> | undefined): void {
    for (let node = from; node !== undefined; node = node.parent) {
      const before = node.height
      const lean = height(node.left) - height(node.right)
      if (lean > 1) node = this.#lowerLeft(node, node.left as Node<O>)
      else if (lean < -1) node = this.#lowerRight(node, node.right as Node<O>)
      else measure(node)
      if (node.height === before) return
    }
  }

  #lowerLeft(node: Node<O>, left: Node<O>): Node<O> {
    if (height(left.right) > height(left.left)) this.#turnLeft(left, left.right as Node<O>)
    return this.#turnRight(node, node.left as Node<O>)
  }

  #lowerRight(node: Node<O>, right: Node<O>): Node<O> {
    if (height(right.left) > height(right.right)) this.#turnRight(right, right.left as Node<O>)
    return this.#turnLeft(node, node.right as Node<O>)
  }

  /** `right`, the right child, goes above `node`. Returns it. */
  #turnLeft(node: Node<O>, right: Node<O>): Node<O> {
    this.#replace(node, right)
    node.right = right.left
    if (node.right !== undefined) node.right.parent = node
    right.left = node
    node.parent = right
    measure(node)
    measure(right)
    return right
  }

  #turnRight(node: Node<O>, left: Node<O>): Node<O> {
    this.#replace(node, left)
    node.left = left.right
    if (node.left !== undefined) node.left.parent = node
    left.right = node
    node.parent = left
    measure(node)
    measure(left)
    return left
  }
}

/** Enters a new leaf of the tree into the order: its parent is one of its neighbours. */
function thread<O extends GpuBo>(node: Node<O>, parent: Node<O> | undefined, left: boolean): void {
  node.before = left ? parent?.before : parent
  node.after = left ? parent : parent?.after
  if (node.before !== undefined) node.before.after = node
  if (node.after !== undefined) node.after.before = node
}

function height(node: { readonly height: number } | undefined): number {
  return node === undefined ? 0 : node.height
}

function measure<O extends GpuBo>(node: Node<O>): void {
  node.height = 1 + Math.max(height(node.left), height(node.right))
}
