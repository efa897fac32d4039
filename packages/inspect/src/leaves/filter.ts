/** Which runs are wanted. */
import type { Prot } from '@io-pgtable/core'
import type { LeafRun } from './run.ts'

/** Conditions on a merged run; all of those given must hold. */
export interface RunFilter {
  /** All of these flags are granted. */
  readonly prot?: Prot
  /** None of these is. */
  readonly notProt?: Prot
  /** The flags are those of the leaf alone, not of its path. */
  readonly leaf?: boolean
  /** Fields with these values. */
  readonly fields?: Readonly<Record<string, number>>
  /** Bytes of the run. */
  readonly minSize?: number
  readonly maxSize?: number
  /** Bytes of a leaf. */
  readonly leafSize?: number
  /** The run touches these physical addresses. */
  readonly paddrFirst?: bigint
  readonly paddrLast?: bigint
}

/** Whether a run is wanted. What costs least is asked first. */
export function passes(filter: RunFilter, run: LeafRun): boolean {
  const { minSize = 0, maxSize = Number.POSITIVE_INFINITY, leafSize = run.leafSize } = filter
  if (run.size < minSize || run.size > maxSize || run.leafSize !== leafSize) return false
  const { paddrFirst, paddrLast, prot = 0, notProt = 0, fields } = filter
  if (paddrFirst !== undefined && run.paddr + BigInt(run.size) <= paddrFirst) return false
  if (paddrLast !== undefined && run.paddr > paddrLast) return false
  if ((prot | notProt) !== 0) {
    const granted = filter.leaf === true ? run.leaf.prot : run.prot
    if ((granted & prot) !== prot || (granted & notProt) !== 0) return false
  }
  return fields === undefined || matchesFields(run.fields, fields)
}

function matchesFields(values: Readonly<Record<string, number>>, wanted: Readonly<Record<string, number>>): boolean {
  return Object.entries(wanted).every(([name, value]) => values[name] === value)
}
