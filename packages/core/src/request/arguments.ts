/** Argument checks of the engine: cheap tests for the hot path, and cold code that says which one failed. */

import type { Compiled } from '../compile/compile.ts'
import type { LeafPlan } from '../compile/leaf-plan.ts'
import { type ErrorCode, hex, IoPgtableError } from '../errors.ts'
import { PROT_LIMIT, type Prot, Prot as Prots } from '../format/prot.ts'
import { type AddressLanes, highOf, isBelow64, join, lowOf } from '../hot/lanes.ts'
import type { AddressRange } from '../read/walk.ts'

/** What the checks look at of a request: see there. */
export interface Wanted extends Readonly<AddressLanes> {
  readonly t: { readonly compiled: Compiled }
  readonly size: LeafPlan
  readonly count: number
  readonly prot: number
}

/** The plan of exactly that page size; undefined where the agreed bitmap lacks it. */
export function planOf(c: Compiled, pgsize: number): LeafPlan | undefined {
  const plans = c.plans
  for (let i = 0; i < plans.length; i++) if (plans[i]!.pgsize === pgsize) return plans[i]
  return undefined
}

/** Whether a value is a bigint of 64 bits. */
export function isAddress(value: unknown): value is bigint {
  return typeof value === 'bigint' && isBelow64(value, highOf(value))
}

/** Whether an address is one that the table translates. */
export function inWindow(c: Compiled, hi: number, lo: number): boolean {
  const h = hi & c.inputMaskHi
  const l = lo & c.inputMaskLo
  return (h === c.inputHi && l === c.inputLo) || (h === c.upperHi && l === c.upperLo)
}

/** Whether the pages that a map wants are, at both ends, aligned and in range. */
export function isMappable(r: Wanted): boolean {
  return isInput(r) && isOutput(r)
}

/** Whether the pages that the request wants are aligned and inside the input window. */
export function isInput({ t, size, count, hi, lo }: Wanted): boolean {
  const c = t.compiled
  if (((lo & size.offsetLo) | (hi & size.offsetHi)) !== 0 || !inWindow(c, hi, lo)) return false
  if (count === 1 && c.pagesFit) return true
  // Exact: the addresses are multiples of a page, so that the sums have at most 53 significant bits.
  return offsetIn(c, hi, lo) + count * size.pgsize <= c.inputBytes
}

/** Whether the output addresses of these pages are, too, and the descriptor has a place for each of their bits. */
function isOutput({ t, size, count, paddrHi: hi, paddrLo: lo }: Wanted): boolean {
  const c = t.compiled
  if (((lo & size.unfitLo) | (hi & size.unfitHi) | (lo & c.outputMaskLo) | (hi & c.outputMaskHi)) !== 0) return false
  if (count === 1 && c.pagesFit) return true
  const first = (hi >>> 0) * 0x1_0000_0000 + (lo >>> 0)
  const bytes = count * size.pgsize
  return first >= c.leastOutput && first + bytes <= c.outputBytes && runFits(size, first, bytes)
}

/** Whether `bytes` from the request's address on are whole pages inside one input window. */
export function isInputRange({ t, hi, lo }: Wanted, bytes: number): boolean {
  const c = t.compiled
  return isSize(c, bytes) && isMultiple(c, hi, lo) && inWindow(c, hi, lo) && offsetIn(c, hi, lo) + bytes <= c.inputBytes
}

/** Whether `bytes` from its output address on are whole pages of the output addresses. */
export function isOutputRange({ t, paddrHi: hi, paddrLo: lo }: Wanted, bytes: number): boolean {
  const c = t.compiled
  const first = (hi >>> 0) * 0x1_0000_0000 + (lo >>> 0)
  return isSize(c, bytes) && isMultiple(c, hi, lo) && first >= c.leastOutput && first + bytes <= c.outputBytes
}

/** How far into the input window an address is. */
function offsetIn(c: Compiled, hi: number, lo: number): number {
  return ((hi & ~c.inputMaskHi) >>> 0) * 0x1_0000_0000 + ((lo & ~c.inputMaskLo) >>> 0)
}

function isSize(c: Compiled, size: number): boolean {
  return Number.isSafeInteger(size) && size > 0 && isMultiple(c, size / 0x1_0000_0000, size)
}

/** Whether a number, by lane, is a multiple of the smallest page. */
function isMultiple(c: Compiled, hi: number, lo: number): boolean {
  return ((lo & c.offsetLo) | (hi & c.offsetHi)) === 0
}

/** Whether every page of a run can be expressed, when the first one can: no address in it has the lowest bit that has no place. */
function runFits(plan: LeafPlan, first: number, bytes: number): boolean {
  return (first % plan.unfitStep) + bytes <= plan.unfitStep
}

/** Whether so many pages can be asked for at all. */
export function isCount(plan: LeafPlan, pgcount: number): boolean {
  return Number.isInteger(pgcount) && pgcount > 0 && pgcount * plan.pgsize <= Number.MAX_SAFE_INTEGER
}

/** Prots are below this: the leaf kinds that are written have the same attributes of the format's own, so that the smallest page tells. */
function limitOf({ plans }: Compiled): number {
  const [first] = plans
  return first === undefined ? PROT_LIMIT : first.attrs.length >> 2
}

/** Whether `prot` is an OR of known flags, and attributes of the format's own, with READ or WRITE in it. */
export function isProt(c: Compiled, prot: Prot): boolean {
  return Number.isInteger(prot) && prot >= 0 && prot < limitOf(c) && (prot & (Prots.READ | Prots.WRITE)) !== 0
}

/** Whether the leaf of the size that is wanted can have the request's prot, which is one; its attribute bits are cached from the first time on. */
export function isExpressible({ t, size, prot }: Wanted): boolean {
  return size.attrs[(prot << 2) | 2] === prot || size.resolve(t.compiled.format, t.compiled.config, prot)
}

/** What is wrong with the pages of a call: for a call that failed the tests above. `paddr` undefined: an unmap. */
export function explainPages(
  c: Compiled,
  op: string,
  iova: bigint,
  paddr: bigint | undefined,
  pgsize: number,
  pgcount: number,
): IoPgtableError {
  const plan = planOf(c, pgsize)
  for (const [name, value] of [
    ['pgsize', pgsize],
    ['pgcount', pgcount],
  ] as const)
    if (typeof value === 'bigint') return noNumber(op, name, value)
  if (plan === undefined)
    return invalid(op, 'pgsize', pgsize, `one of the page sizes ${c.plans.map((p) => hex(p.pgsize)).join(', ')} expected`)
  if (!Number.isInteger(pgcount) || pgcount < 1) return invalid(op, 'pgcount', pgcount, 'a positive integer expected')
  const bytes = pgsize * pgcount
  if (bytes > Number.MAX_SAFE_INTEGER) {
    const most = Math.floor(Number.MAX_SAFE_INTEGER / pgsize)
    return error('ERANGE', op, 'pgcount', pgcount, `pgcount * pgsize must be below 2^53: ${hex(most)} pages of ${hex(pgsize)} at most`)
  }
  return (
    explainAddress(c, op, 'iova', iova, pgsize, bytes) ??
    (paddr === undefined ? undefined : (explainAddress(c, op, 'paddr', paddr, pgsize, bytes) ?? explainFit(op, plan, paddr, bytes))) ??
    invalid(op, 'iova', iova, 'refused')
  )
}

/** Addresses are bigints, so that sizes are mistaken for them. */
function noNumber(op: string, name: string, value: bigint): IoPgtableError {
  return invalid(op, name, value, 'sizes and counts are numbers, this is a bigint')
}

/** What is wrong with one input address; undefined when it is good. */
export function explainOne(c: Compiled, op: string, iova: bigint): IoPgtableError | undefined {
  return explainAddress(c, op, 'iova', iova, 1, 1)
}

/** Whether the descriptor has a place for every bit of the output addresses. */
function explainFit(op: string, plan: LeafPlan, paddr: bigint, bytes: number): IoPgtableError | undefined {
  const lost = paddr & join(plan.unfitHi, plan.unfitLo)
  if (lost === 0n && runFits(plan, Number(paddr), bytes)) return undefined
  const bits = lost === 0n ? BigInt(plan.unfitStep) : lost
  return invalid(op, 'paddr', paddr, `the descriptor of a ${hex(plan.pgsize)} page has no place for the address bits ${hex(bits)}`)
}

/** What is wrong with the prot of a call. */
export function explainProt(c: Compiled, op: string, prot: Prot): IoPgtableError {
  const limit = limitOf(c)
  if (!Number.isInteger(prot) || prot < 0 || prot >= limit) {
    const own = limit === PROT_LIMIT ? '' : ', with attributes of the format,'
    return invalid(op, 'prot', prot, `an OR of Prot flags${own} below ${hex(limit)} expected`)
  }
  if ((prot & (Prots.READ | Prots.WRITE)) === 0) return invalid(op, 'prot', prot, 'READ or WRITE expected')
  return invalid(op, 'prot', prot, 'the format cannot express these flags')
}

/** What is wrong with a range of any size; undefined when it is good. `align`: what its start and size must be multiples of. */
export function explainRange(
  c: Compiled,
  op: string,
  iova: bigint,
  paddr: bigint | undefined,
  size: number,
  align: number,
): IoPgtableError | undefined {
  if (typeof size === 'bigint') return noNumber(op, 'size', size)
  if (!Number.isSafeInteger(size) || size <= 0) return invalid(op, 'size', size, 'a positive integer below 2^53 expected')
  if (size % align !== 0) return invalid(op, 'size', size, `a multiple of ${hex(align)} expected`)
  return (
    explainAddress(c, op, 'iova', iova, align, size) ??
    (paddr === undefined ? undefined : explainAddress(c, op, 'paddr', paddr, align, size))
  )
}

function explainAddress(
  c: Compiled,
  op: string,
  name: 'iova' | 'paddr',
  value: bigint,
  align: number,
  bytes: number,
): IoPgtableError | undefined {
  if (typeof value !== 'bigint') return invalid(op, name, value, 'a bigint expected')
  if (!isAddress(value)) return error('ERANGE', op, name, value, 'an unsigned 64-bit address expected')
  const last = value + BigInt(bytes) - 1n
  const good = name === 'paddr' ? last < 1n << BigInt(c.geometry.oas) : inOneWindow(c, value, last)
  const what = bytes === 1 ? 'it' : `${hex(bytes)} bytes from there`
  if (!good) return error('ERANGE', op, name, value, `${what} must lie inside the ${limits(c, name)}`)
  if (value % BigInt(align) !== 0n) return invalid(op, name, value, `a multiple of ${hex(align)} expected`)
  const { leastOutput = 0n } = c.geometry
  if (name === 'paddr' && value < leastOutput)
    return invalid(op, name, value, `at least ${hex(leastOutput)} expected: an entry of less is empty`)
  return undefined
}

function inOneWindow(c: Compiled, first: bigint, last: bigint): boolean {
  if (last >> 64n !== 0n) return false
  const hi = highOf(first)
  const lo = lowOf(first)
  const sameHalf = ((hi ^ highOf(last)) & c.inputMaskHi) === 0 && ((lo ^ lowOf(last)) & c.inputMaskLo) === 0
  return sameHalf && inWindow(c, hi, lo)
}

function limits(c: Compiled, name: 'iova' | 'paddr'): string {
  if (name === 'paddr') return `${c.geometry.oas} output address bits (oas)`
  const where = { low: '', top: ` at the top of the ${c.geometry.spaceBits ?? 64}-bit space`, 'sign-extended': ', sign-extended' }
  return `${c.geometry.ias} input address bits (ias)${where[c.geometry.window]}`
}

function invalid(op: string, name: string, value: bigint | number, expected: string): IoPgtableError {
  return error('EINVAL', op, name, value, expected)
}

function error(code: ErrorCode, op: string, name: string, value: bigint | number, expected: string): IoPgtableError {
  return new IoPgtableError(code, op, `${name} ${show(value)}: ${expected}`, { value })
}

/** Hex where the value has one; arguments may be anything in spite of their types. */
function show(value: unknown): string {
  if (typeof value === 'bigint') return value < 0n ? `-${hex(-value)}` : hex(value)
  return Number.isInteger(value) && (value as number) >= 0 ? hex(value as number) : String(value)
}

/** Every address. */
export const EVERYTHING: AddressRange = { first: 0n, last: (1n << 64n) - 1n }

/** A range that a caller gave, or everything. @throws `EINVAL` for what is no range of 64-bit addresses */
export function checkedRange(op: string, range: AddressRange = EVERYTHING): AddressRange {
  const { first, last } = range ?? { first: 'null', last: 'null' }
  if (!isAddress(first) || !isAddress(last) || first > last) {
    const text = `range ${String(first)}..${String(last)}: two 64-bit addresses expected, the first and the last one`
    throw new IoPgtableError('EINVAL', op, text, { value: typeof first === 'bigint' ? first : String(first) })
  }
  return range
}
