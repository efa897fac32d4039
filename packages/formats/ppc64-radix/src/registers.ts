/** The process table and its entries: Power ISA 3.1, book III, 6.7.6. */
import { type FoundRoot, hex, IoPgtableError, ones, type ReadMemory, unknownMemory } from '@io-pgtable/core'

/** Quadrant 3 of the effective addresses: the kernel's. */
export const KERNEL = 0xc000_0000_0000_0000n

export interface Ppc64Params {
  /** Quadrant 3, of process 0; else quadrant 0. */
  readonly isKernel: boolean
}

export interface Ppc64Regs {
  /** The root page directory, that the process table entry gets. */
  readonly root: bigint
  readonly pid: bigint
}

export interface Ppc64Hardware {
  /** The process table's address; Linux has it in `process_tb`. A PRTB's size field, 4:0, counts where it is not 0. */
  readonly processTable: bigint
  /** PIDR; 0 is the kernel. */
  readonly pid: bigint
}

/** RTS: the tree translates RTS + 31 bits. RPDS: the root has 2^RPDS entries. Hardware has one of each. */
const RTS = 21n
const RPDS = 13n
const ENTRY_BYTES = 16

/** A process table entry for a root. */
export function rootEntry(root: bigint): Uint8Array {
  const bytes = new Uint8Array(ENTRY_BYTES)
  new DataView(bytes.buffer).setBigUint64(0, ((RTS >> 3n) << 61n) | ((RTS & 7n) << 5n) | root | RPDS)
  return bytes
}

/** @throws `EINVAL` without memory, and for trees that no hardware walks; `EFAULT` where the process table is not known */
export function rootsFromRegs({ processTable, pid }: Ppc64Hardware, read?: ReadMemory): readonly FoundRoot<Ppc64Params, undefined>[] {
  if (read === undefined) throw new IoPgtableError('EINVAL', 'rootsFromRegs', 'the memory is needed: the root stands in the process table')
  if (pid >> 20n !== 0n) throw bad('pid', pid, '20 bits expected')
  const at = (processTable & ones(59, 12)) + pid * BigInt(ENTRY_BYTES)
  const bytes = read(at, ENTRY_BYTES)
  if (bytes === undefined || bytes.byteLength < ENTRY_BYTES) throw unknownMemory('rootsFromRegs', at, ENTRY_BYTES)
  const entry = new DataView(bytes.buffer, bytes.byteOffset, ENTRY_BYTES).getBigUint64(0)
  const rpds = entry & 31n
  if (rpds === 0n) return []
  const rts = (((entry >> 61n) & 3n) << 3n) | ((entry >> 5n) & 7n)
  if (rts !== RTS || rpds !== RPDS)
    throw bad(`process table entry ${pid}`, entry, `RTS ${rts} and RPDS ${rpds}: ${RTS} (52 bits) and ${RPDS} expected, which hardware has`)
  const root = entry & ones(59, 8)
  if (root % (8n << RPDS) !== 0n) throw bad(`process table entry ${pid}`, entry, `a root aligned to ${hex(8n << RPDS)} expected`)
  const isKernel = pid === 0n
  const first = isKernel ? KERNEL : 0n
  const name = isKernel ? 'kernel' : 'process'
  return [{ name, params: { isKernel }, roots: [root], first, last: first + ones(51), context: undefined }]
}

function bad(name: string, value: bigint, expected: string): IoPgtableError {
  return new IoPgtableError('EINVAL', 'rootsFromRegs', `${name} ${hex(value)}: ${expected}`, { value })
}
