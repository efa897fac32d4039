/**
 * The address-space (AS) registers of Mali GPUs with a command stream frontend (Valhall v10 and later), as Linux's panthor and Tyr program
 * them. Their page tables are those of `arm64-lpae-s1` with a 4K granule. Arm publishes no manual of these registers: names and layouts are
 * those of the drivers' headers.
 */
import { type AddressRange, hex, IoPgtableError, isPowerOfTwo } from '@io-pgtable/core'

/** Bytes from the start of an AS block; 64-bit registers are two words, the low one first. */
export const AS_REGISTERS = {
  TRANSTAB: 0x00,
  MEMATTR: 0x08,
  LOCKADDR: 0x10,
  COMMAND: 0x18,
  FAULTSTATUS: 0x1c,
  FAULTADDRESS: 0x20,
  STATUS: 0x28,
  TRANSCFG: 0x30,
  FAULTEXTRA: 0x38,
} as const

/** Where the block of an address space begins, bytes from the start of the GPU's registers. @throws `ERANGE` */
export function asBlock(as: number): number {
  if (!Number.isInteger(as) || as < 0 || as > 15) throw wrong('ERANGE', 'asBlock', `address space ${as}: 0 to 15 expected`, as)
  return 0x2400 + as * 0x40
}

/** Values of AS_COMMAND. */
export const AS_COMMAND = {
  NOP: 0,
  /** Takes TRANSTAB, MEMATTR and TRANSCFG over. */
  UPDATE: 1,
  /** Keeps the GPU out of the region of LOCKADDR. */
  LOCK: 2,
  UNLOCK: 3,
  /** Invalidates the TLB and the walk caches in the region, and unlocks it. */
  FLUSH_PT: 4,
  /** The same, and writes the L2 cache back. */
  FLUSH_MEM: 5,
} as const

/** Bit 0 of AS_STATUS: a command is at work. */
export const AS_STATUS_BUSY = 1

/** What AS_TRANSCFG says. */
export interface Transcfg {
  /** Bits 3:0. */
  readonly mode: 'legacy' | 'unmapped' | 'identity' | 'aarch64-4k' | 'aarch64-64k'
  /** Bits of input addresses: 55 less INA_BITS. */
  readonly inputBits: number
  /** Bits 25:24: the caching of walks. */
  readonly walks: 'non-cacheable' | 'write-back'
  /** Bits 29:28: the shareability of walks. */
  readonly shareability: 'non' | 'outer' | 'inner'
  /** Bit 30: walks allocate in the cache. */
  readonly allocates: boolean
}

/** The three registers that enable an address space. */
export interface AsRegisters {
  readonly transtab: bigint
  readonly memattr: bigint
  readonly transcfg: bigint
}

/** What tells the registers beside a table's own. */
export interface AsOptions {
  /** Bits of input addresses: those of GPU_MMU_FEATURES. */
  readonly vaBits: number
  /** The GPU snoops the CPU's caches. Default false, as Tyr has it. */
  readonly coherent?: boolean
}

const MODES = { 0: 'legacy', 1: 'unmapped', 2: 'identity', 6: 'aarch64-4k', 8: 'aarch64-64k' } as const
const SHAREABILITY = { 0: 'non', 2: 'outer', 3: 'inner' } as const
/** INA_BITS has five bits. */
const LEAST_BITS = 24
const MOST_BITS = 55

/** TRANSCFG of an address space that translates nothing. */
export const TRANSCFG_UNMAPPED = 1n

/**
 * The registers of a table: `ttbr` and `mair` are those of `arm64-lpae-s1`.
 * @throws `EINVAL` for a root that is not aligned to 4 KiB; `ERANGE` for `vaBits`
 */
export function asRegisters({ ttbr, mair }: { readonly ttbr: bigint; readonly mair: bigint }, options: AsOptions): AsRegisters {
  if ((ttbr & 0xfffn) !== 0n) throw wrong('EINVAL', 'asRegisters', `ttbr ${hex(ttbr)}: a root that is aligned to 4 KiB expected`, ttbr)
  return { transtab: ttbr, memattr: memattrOf(mair), transcfg: transcfgOf(options) }
}

/** TRANSCFG for tables of AArch64 with a 4K granule, walked write-back. @throws `ERANGE` for fewer than 24 or more than 55 address bits */
export function transcfgOf({ vaBits, coherent = false }: AsOptions): bigint {
  if (!Number.isInteger(vaBits) || vaBits < LEAST_BITS || vaBits > MOST_BITS)
    throw wrong('ERANGE', 'transcfgOf', `vaBits ${vaBits}: 24 to 55 expected`, vaBits)
  return 6n | (BigInt(MOST_BITS - vaBits) << 6n) | (2n << 24n) | (coherent ? 2n << 28n : 0n) | (1n << 30n)
}

/** Reads a TRANSCFG. @throws `EINVAL` for a mode, caching or shareability that does not exist */
export function decodeTranscfg(raw: bigint): Transcfg {
  const bits = (hi: number, lo: number): number => Number((raw >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n))
  const mode = MODES[bits(3, 0) as keyof typeof MODES]
  const shareability = SHAREABILITY[bits(29, 28) as keyof typeof SHAREABILITY]
  const walks = bits(25, 24)
  if (mode === undefined || shareability === undefined || (walks > 2 && mode.startsWith('aarch64')))
    throw wrong('EINVAL', 'decodeTranscfg', `TRANSCFG ${hex(raw)}: a mode, caching or shareability that does not exist`, raw)
  return {
    mode,
    inputBits: MOST_BITS - bits(10, 6),
    walks: walks === 2 ? 'write-back' : 'non-cacheable',
    shareability,
    allocates: bits(30, 30) === 1,
  }
}

/**
 * MEMATTR, a byte for each AttrIndx, from a MAIR: memory that is write-back inside and outside stays that, with its allocation; all other
 * memory becomes non-cacheable.
 */
export function memattrOf(mair: bigint): bigint {
  let memattr = 0n
  for (let shift = 0n; shift < 64n; shift += 8n) {
    const byte = Number((mair >> shift) & 0xffn)
    const [outer, inner] = [byte >> 4, byte & 0xf]
    const isWriteBack = (outer & 4) !== 0 && (outer & 3) !== 0 && (inner & 4) !== 0
    memattr |= BigInt(isWriteBack ? 0x9c | (inner & 3) : 0x4c) << shift
  }
  return memattr
}

/** The smallest region that can be locked, bytes. */
const LEAST_LOCK = 32_768

/** How LOCKADDR is written. */
export interface LockOptions {
  /**
   * Low bits that are cleared in the address of the smallest region: panthor clears 16 KiB of it, Tyr all 32 KiB. The hardware ignores the bit
   * between. Default 16384.
   */
  readonly cleared?: 16_384 | 32_768
}

/**
 * LOCKADDR of the smallest region that holds a range: a power of two, from 32 KiB on, aligned to its size. Bits 5:0 are the logarithm of the
 * size less one, bits 63:12 the address.
 * @throws `ERANGE` for a range that ends before it begins, or beyond 2^64
 */
export function lockaddrOf({ first, last }: AddressRange, { cleared = 16_384 }: LockOptions = {}): bigint {
  if (first < 0n || last < first || last >= 1n << 64n) {
    const text = `${hex(first)}..${hex(last)}: the first and the last of some addresses below 2^64 expected`
    throw wrong('ERANGE', 'lockaddrOf', text, first)
  }
  if (!isPowerOfTwo(cleared)) throw wrong('EINVAL', 'lockaddrOf', `cleared ${cleared}: 16384 or 32768 expected`, cleared)
  const bits = Math.max((first ^ last).toString(2).length, Math.log2(LEAST_LOCK))
  const low = bits === Math.log2(LEAST_LOCK) ? BigInt(cleared) - 1n : (1n << BigInt(bits)) - 1n
  return (first & ~low) | BigInt(bits - 1)
}

/** The region of a LOCKADDR. */
export function lockedRange(lockaddr: bigint): AddressRange {
  const size = 1n << ((lockaddr & 0x3fn) + 1n)
  const first = lockaddr & ~0xfffn & ~(size - 1n)
  return { first, last: first + size - 1n }
}

function wrong(code: 'EINVAL' | 'ERANGE', op: string, message: string, value: bigint | number): IoPgtableError {
  return new IoPgtableError(code, op, message, { value })
}
