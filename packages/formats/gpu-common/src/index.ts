/**
 * What the page-table formats of GPUs and accelerators share. Their configurations are few: some page sizes, and address bits between two
 * limits. Their registers are 32 or 64 bits wide. Most of them know one party, the device.
 */
import {
  type Agreed,
  checkConfig,
  configError,
  type FormatConfig,
  hex,
  IoPgtableError,
  type Policy,
  Prot,
  type ReadMemory,
  Right,
  type Rights,
  unknownMemory,
} from '@io-pgtable/core'

/** What a piece of hardware can do. */
export interface Reach {
  /** All page sizes that it has. */
  readonly sizes: bigint
  readonly ias: Limits
  readonly oas: Limits
}

/** Address bits, both ends included. */
export interface Limits {
  readonly least: number
  readonly most: number
}

/**
 * Narrows the members that all configurations have.
 * @throws `EINVAL` for unknown quirks, no page size that the hardware has, and too few address bits
 */
export function narrow<Q extends string>(
  format: string,
  request: FormatConfig<Q>,
  known: readonly Q[],
  { sizes, ias, oas }: Reach,
): Agreed<FormatConfig<Q>> {
  const quirks = checkConfig(format, request, known)
  const pgsizeBitmap = request.pgsizeBitmap & sizes
  if (pgsizeBitmap === 0n) throw configError(format, 'pgsizeBitmap', request.pgsizeBitmap, `a size of ${hex(sizes)} expected`)
  return {
    pgsizeBitmap,
    ias: bitsWithin(format, 'ias', request.ias, ias),
    oas: bitsWithin(format, 'oas', request.oas, oas),
    quirks,
    coherentWalk: request.coherentWalk ?? true,
    cpuPageSize: request.cpuPageSize ?? 4096,
  }
}

function bitsWithin(format: string, member: string, value: number, { least, most }: Limits): number {
  if (value < least) throw configError(format, member, value, `at least ${least} expected`)
  return Math.min(value, most)
}

/** Checks a value that a register of `bits` bits holds. @throws `EINVAL` for one that it cannot hold */
export function registerValue(name: string, value: bigint, bits: number): bigint {
  if (value < 0n || value >> BigInt(bits) !== 0n)
    throw new IoPgtableError('EINVAL', 'rootsFromRegs', `${name} ${hex(value)}: ${bits} bits expected`, { value })
  return value
}

/**
 * An entry of 8 bytes of a table of contexts, which has the place of registers.
 * @throws `EINVAL` without memory to read it from, and where that has nothing there
 */
export function contextEntry(name: string, at: bigint, read: ReadMemory | undefined): bigint {
  if (read === undefined)
    throw new IoPgtableError('EINVAL', 'rootsFromRegs', `${name}: memory to read the entry at ${hex(at)} from expected`, { value: at })
  const bytes = read(at, 8)
  if (bytes === undefined || bytes.byteLength < 8) throw unknownMemory('rootsFromRegs', at, 8)
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true)
}

/** The bytes of such an entry. */
export function entryBytes(entry: bigint): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, entry, true)
  return bytes
}

/** Checks the address of memory that the caller keeps beside the tables: a page that unmapped addresses lead to, a table of such. @throws `EINVAL` */
export function pageAddress(format: string, member: string, value: bigint, oas: number): bigint {
  if (value < 0n || value >> BigInt(oas) !== 0n || value % 4096n !== 0n)
    throw configError(format, member, value, `a multiple of 4K below 2^${oas} expected`)
  return value
}

/** Of hardware whose pages can be read and, where the bit is set, written; nobody executes. */
export function readAndWrite(readable: boolean, writable: boolean): Rights {
  return (readable ? Right.READ : 0) | (writable ? Right.WRITE : 0)
}

/** Flags that take something away, and that hardware with one party and no execution has no bit for. */
export const RESTRICTIONS: Prot = Prot.NOEXEC | Prot.PRIV

/** Mapping by mapping, so that a prefix stays: what the drivers of these devices do. */
export const PAGE_BY_PAGE: Policy = {
  conflict: 'entry',
  freeTables: 'slot',
  flushOrder: 'walks-first',
  addPagesWithoutGather: false,
}
