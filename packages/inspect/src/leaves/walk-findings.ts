/** What a walk of leaves finds wrong. */
import { hex } from '@io-pgtable/core'
import { type Finding, Findings } from '../finding.ts'
import type { Frame } from './frame.ts'

export class WalkFindings extends Findings {
  readonly #place: string

  /** @param place the root's name */
  constructor(place: string) {
    super()
    this.#place = place
  }

  /** An entry that no walker may meet. A table that was gone through before tells nothing again. */
  invalid(frame: Frame, index: number, value: bigint, why: string): void {
    if (frame.again) return
    const message = `${hex(value)} at level ${frame.node.node.level}: ${why}`
    this.add({ severity: 'error', code: 'invalid-descriptor', message, ...this.#entry(frame, index), index, value })
  }

  cycle(frame: Frame, index: number, next: number): void {
    const message = `the table at ${hex(next)} is its own ancestor`
    this.add({ severity: 'warning', code: 'cycle', message, ...this.#entry(frame, index), index })
  }

  /** A table of which the entries from `known` on are not in memory. */
  unknown(frame: Frame): void {
    const { node, table, to, known } = frame
    const bytes = (to - known) * node.node.entryBytes
    const message = `${bytes} bytes of the level ${node.node.level} table at ${hex(table)} are not in the image`
    this.add({ severity: 'error', code: 'unknown-memory', message, ...this.#entry(frame, known) })
  }

  workLimit(): void {
    const message = 'ended: tables that are reached in many ways would go on; give a range of addresses, or more work'
    this.add({ severity: 'error', code: 'work-limit', place: this.#place, message })
  }

  #entry({ node, base, table }: Frame, index: number): Pick<Finding, 'place' | 'iova' | 'table' | 'level'> {
    return { place: this.#place, iova: BigInt(base + index * node.slot), table: BigInt(table), level: node.node.level }
  }
}
