/** The errors of the engine that are not about arguments. */
import { hex, IoPgtableError } from '../errors.ts'
import { settle } from '../memory/owed.ts'
import { gatheredOf, type IotlbGather, isGather } from '../tlb/gather.ts'
import type { Tree } from '../tree/tree.ts'
import type { MapResult } from './request.ts'

export function failed(mapped: number, error: IoPgtableError): MapResult {
  return { mapped, error }
}

/**
 * Ties a caller's gather to the table, which brings with its sync what is owed. Without one that is paid at once: should that throw, nothing
 * has changed. @throws `EINVAL` for what is no gather, or serves another table */
export function bindGather(op: string, gather: IotlbGather | undefined, t: Tree): void {
  if (gather === undefined) {
    if (t.owed !== undefined) settle(t, t.owed)
    return
  }
  if (!isGather(gather)) throw new IoPgtableError('EINVAL', op, `gather ${String(gather)}: an IotlbGather expected`)
  gatheredOf(gather).bind(t)
}

/** An unmap ended at a part of a larger leaf. */
export function partStays(op: string, iova: bigint, pgsize: number, more = ''): IoPgtableError {
  const text = `${hex(pgsize)} bytes at iova ${hex(iova)} are a part of a larger leaf, which stays${more}`
  return new IoPgtableError('EINVAL', op, text, { value: iova })
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
