/** Configuration, parameters and registers of the three versions. */
import type { FormatConfig } from '@io-pgtable/core'

/** The memory that an address is in: the GPU's own, another GPU's, or the system's, snooped or not. */
export type Aperture = 'vidmem' | 'peer' | 'sysmem-coherent' | 'sysmem-noncoherent'

export type NvidiaGmmuVersion = 1 | 2 | 3

export interface NvidiaGmmuConfig extends FormatConfig<never> {
  /** Of the MMU: 1 Fermi to Maxwell, 2 Pascal to Ada (the default), 3 Hopper and Blackwell. */
  readonly version?: NvidiaGmmuVersion
  /** Bytes of a big page: 64K, the default, or of versions 1 and 2 also 128K. */
  readonly bigPage?: number
  /** Where the root table is. Default `vidmem`. */
  readonly tables?: Exclude<Aperture, 'peer'>
  /** Physical address of the instance block, a multiple of 4K. Default 0. */
  readonly instance?: bigint
}

export interface NvidiaGmmuParams {
  readonly version: NvidiaGmmuVersion
  /** Bits of an address within a big page: 16 or 17. */
  readonly bigShift: number
  readonly ias: number
  readonly oas: number
}

/** What the driver writes into the instance block (RAMIN). */
export interface NvidiaGmmuRegs {
  /** At 0x200: address and aperture of the root table, the version, the size of big pages. */
  readonly pageDirBase: bigint
  /** At 0x208: the last input address. */
  readonly addressLimit: bigint
}

/** Of a dump: the address of the instance block and the memory, or what stands in it. */
export interface NvidiaGmmuHardware {
  readonly instanceBlock?: bigint
  readonly pageDirBase?: bigint
  /** Left out: all that the version translates. */
  readonly addressLimit?: bigint
  /**
   * 1, 2 or 3. Left out: 1 where bit 10 of `pageDirBase` is clear; else 3 where the limit is beyond 49 bits, and 2 where it is not. The block
   * alone does not tell 3 from 2.
   */
  readonly version?: bigint
  /** Bytes of a big page. Left out: by bit 11 of `pageDirBase`, which GPUs before the second Maxwell do not have. */
  readonly bigPage?: bigint
}
