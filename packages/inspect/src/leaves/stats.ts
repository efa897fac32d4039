/** Tables in numbers. */

import type { LaneLeaf, LaneNode } from '@io-pgtable/core/compiled'
import type { Finding } from '../finding.ts'
import type { LeafTaker, WalkLimits } from './leaf-taker.ts'
import { LeafWalk } from './leaf-walk.ts'
import type { Tables } from './tables.ts'

/** The tables of one level. */
export interface LevelStats {
  readonly level: number
  readonly name: string
  /** Tables, each counted once. */
  readonly tables: number
  /** Bytes that they take. */
  readonly bytes: number
  /** Their entries that are empty, and those that are no descriptor. */
  readonly empty: number
  readonly invalid: number
}

/** The leaves of one size. A table that is reached in several ways counts for each of them. */
export interface LeafStats {
  readonly level: number
  readonly kind: string
  readonly leafSize: number
  readonly count: number
  /** Bytes of input addresses that they map. */
  readonly bytes: number
}

export interface TableStats {
  readonly levels: readonly LevelStats[]
  readonly leaves: readonly LeafStats[]
  readonly complete: boolean
  readonly findings: readonly Finding[]
}

/** Counts tables, entries and leaves. @throws what reading throws */
export function tableStats(tables: Tables, limits: WalkLimits = {}): TableStats {
  return new StatsWalk(tables, limits).run()
}

/** The same, to be run again after a page miss: `image.loading(() => walk.run())`. */
export class StatsWalk {
  readonly #walk: LeafWalk
  readonly #levels: Map<LaneNode, { tables: number; empty: number; invalid: number }> = new Map()
  readonly #leaves: Map<LaneLeaf, number> = new Map()

  constructor(tables: Tables, limits: WalkLimits = {}) {
    const taker: LeafTaker = {
      leaves: (leaf, _iova, _paddr, count) => this.#leaves.set(leaf, (this.#leaves.get(leaf) ?? 0) + count),
      table: (node) => this.#level(node).tables++,
      other: (node, { kind }, count) => {
        this.#level(node)[kind.type === 'invalid' ? 'invalid' : 'empty'] += count
      },
    }
    this.#walk = new LeafWalk(tables, taker, limits)
  }

  run(): TableStats {
    this.#walk.run()
    const levels = [...this.#levels].map(([{ node }, { tables, empty, invalid }]): LevelStats => {
      return { level: node.level, name: node.name, tables, bytes: tables * node.tableBytes, empty, invalid }
    })
    const leaves = [...this.#leaves].map(([{ node, kind, leafSize }, count]): LeafStats => {
      return { level: node.level, kind: kind.name, leafSize, count, bytes: count * leafSize }
    })
    leaves.sort((a, b) => b.leafSize - a.leafSize)
    return { levels, leaves, complete: !this.#walk.isStopped, findings: this.#walk.findings.list }
  }

  #level(node: LaneNode): { tables: number; empty: number; invalid: number } {
    let level = this.#levels.get(node)
    if (level === undefined) this.#levels.set(node, (level = { tables: 0, empty: 0, invalid: 0 }))
    return level
  }
}
