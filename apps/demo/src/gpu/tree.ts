/** The tables of a VM as a tree: each table once, and runs of alike leaves in it. */
import {
  type DecodedLeaf,
  type EntryPlace,
  type IoPageTable,
  type LevelNode,
  type ProtName,
  protNames,
  slotBytes,
  walkTables,
} from '@io-pgtable/core'
import { attributeBits } from '../tables.ts'

export interface TreeLine {
  /** 0 for the root. */
  readonly depth: number
  readonly level: number
  readonly type: 'table' | 'leaves'
  /** Of the entry, in the table above; of leaves the first one. The root has none. */
  readonly index: number | undefined
  readonly iova: bigint
  /** The table's address, or that of the first page. */
  readonly paddr: bigint
  readonly kind: string
  /** Of one leaf, bytes, and how many of them follow one another. */
  readonly pgsize: number
  readonly count: number
  readonly prot: readonly ProtName[]
}

export function treeOf(table: IoPageTable): TreeLine[] {
  const { geometry, format, context } = table
  const top = geometry.nodes.find(({ id }) => id === geometry.top)
  const lines: TreeLine[] = [tableLine(0, top, undefined, 0n, table.roots[0] ?? 0n)]
  const path: (LevelNode | undefined)[] = [top]
  let run: { leaf: DecodedLeaf & EntryPlace; line: TreeLine } | undefined
  walkTables(geometry, table.roots, table.readMemory, {
    table: ({ node, child, index, iova, next }) => {
      while (path.length > 1 && path.at(-1) !== node) path.pop()
      lines.push(tableLine(path.length, child, index, iova, next))
      path.push(child)
      run = undefined
    },
    leaf: (leaf) => {
      while (path.length > 1 && path.at(-1) !== leaf.node) path.pop()
      if (leaf.iova % BigInt(leaf.size.pgsize) !== 0n) return // the other entries of a large page
      if (run !== undefined && follows(run.leaf, run.line, leaf)) {
        run.line = { ...run.line, count: run.line.count + 1 }
        lines[lines.length - 1] = run.line
        return
      }
      const prot = protNames(format.prot(leaf.raw, leaf.kind, context))
      const { index, iova, paddr, kind, node, size } = leaf
      const line: TreeLine = {
        depth: path.length,
        level: node.level,
        type: 'leaves',
        index,
        iova,
        paddr,
        kind: kind.name,
        pgsize: size.pgsize,
        count: 1,
        prot,
      }
      lines.push(line)
      run = { leaf, line }
    },
  })
  return lines
}

function tableLine(depth: number, node: LevelNode | undefined, index: number | undefined, iova: bigint, paddr: bigint): TreeLine {
  const pgsize = node === undefined ? 0 : slotBytes(node) * 2 ** node.bits
  return { depth, level: node?.level ?? 0, type: 'table', index, iova, paddr, kind: node?.name ?? '', pgsize, count: 1, prot: [] }
}

/** Whether a leaf goes on with a run: in the same table, alike, and next to it on both sides. */
function follows(first: DecodedLeaf & EntryPlace, { count }: TreeLine, leaf: DecodedLeaf & EntryPlace): boolean {
  const step = BigInt(count * leaf.size.pgsize)
  const alike = leaf.table === first.table && leaf.size === first.size && attributeBits(leaf) === attributeBits(first)
  return alike && leaf.iova - first.iova === step && leaf.paddr - first.paddr === step
}
