/** The errors of the engine that are not about arguments. */
import { IoPgtableError } from '../errors.ts'
import type { MapResult } from '../table/table-options.ts'
import { IotlbGather } from '../tlb/gather.ts'
import type { Tree } from '../tree/tree.ts'

export function failed(mapped: number, error: IoPgtableError): MapResult {
  return { mapped, error }
}

/** Ties a caller's gather to the table. @throws `EINVAL` for what is no gather, or serves another table */
export function bindGather(op: string, gather: IotlbGather | undefined, t: Tree): void {
  if (gather === undefined) return
  if (!(gather instanceof IotlbGather)) throw new IoPgtableError('EINVAL', op, `gather ${String(gather)}: an IotlbGather expected`)
  gather.bind(t)
}

/** Whether two arrays share memory, but do not start together: what is written to one then destroys what is not yet read of the other. */
export function overlapApart(a: BigUint64Array, b: BigUint64Array): boolean {
  if (a.buffer !== b.buffer || a.byteOffset === b.byteOffset) return false
  return a.byteOffset < b.byteOffset + b.byteLength && b.byteOffset < a.byteOffset + a.byteLength
}

export function noSizes(op: string): IoPgtableError {
  return new IoPgtableError('EINVAL', op, 'the agreed configuration has no page size')
}

export function busy(op: string): IoPgtableError {
  return new IoPgtableError('EBUSY', op, 'the table must not be changed from inside its own callback')
}

export function dead(op: string, format: string): IoPgtableError {
  return new IoPgtableError('ENODEV', op, `the ${format} table is freed`)
}
