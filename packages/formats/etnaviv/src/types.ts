/** Configuration, parameters and registers of both versions. */
import type { FormatConfig } from '@io-pgtable/core'

/** NO_WARN: conflicts and refused unmaps are not told to `onWarn`. */
export type EtnavivQuirk = 'NO_WARN'

export interface EtnavivConfig extends FormatConfig<EtnavivQuirk> {
  /** Of the MMU: 1, or 2, the default. The GPU's feature bit MMU_VERSION says which. */
  readonly version?: 1 | 2
  /**
   * Physical address of a page of the caller's, where lost accesses go. Default 0. Version 1 fills unused entries with it, so that nothing
   * else can be mapped to that page.
   */
  readonly badPage?: bigint
  /** Version 2: physical address of the table of contexts (PTA, 4 KiB, of the caller's) of a GPU with the security extension; 0, the default: it has none. */
  readonly pta?: bigint
  /** The context's place in the PTA, 0 to 511. Default 0. */
  readonly context?: number
}

export interface EtnavivParams {
  readonly version: 1 | 2
  readonly ias: number
  readonly oas: number
  /** Of version 1: the value of unused entries. */
  readonly badPage: bigint
}

/** What the GPU's registers get. */
export type EtnavivRegs = EtnavivV1Regs | EtnavivV2Regs

export interface EtnavivV1Regs {
  /** The table's address, for the page-table registers of FE, TX, PE, PEZ and RA (MC 0x400 to 0x410). */
  readonly pageTable: bigint
}

export interface EtnavivV2Regs {
  /** MMUv2_CONFIGURATION (0x184), by the command stream: the MTLB's address, MODE 0: pages of 4K. */
  readonly configuration: bigint
  /** MMUv2_SAFE_ADDRESS (0x180), or NONSEC_SAFE_ADDR_LOW and SEC_SAFE_ADDR_LOW (0x398, 0x39c): bits 31:0 of the bad page. */
  readonly safeAddress: bigint
  /** MMUv2_CONTROL (0x18c), or SEC_CONTROL (0x388): on. */
  readonly control: bigint
  /** PTA_ADDRESS_LOW and HIGH (0x38c, 0x390); 0 without a PTA. */
  readonly ptaAddress: bigint
  /** PTA_CONFIG (0x1ac): the context. */
  readonly ptaConfig: bigint
  /** SAFE_ADDRESS_CONFIG (0x3a0): bits 39:32 of the bad page in 7:0 and 23:16. */
  readonly safeAddressConfig: bigint
}

/** Registers out of a dump: `pageTable` of version 1, `configuration` of 2, or `ptaAddress` and the memory. */
export interface EtnavivHardware {
  readonly pageTable?: bigint
  /** Version 1: the value of unused entries, which no register tells. Default 0. */
  readonly badPage?: bigint
  readonly configuration?: bigint
  /** Left out: on. */
  readonly control?: bigint
  readonly ptaAddress?: bigint
  /** Default 0. */
  readonly ptaConfig?: bigint
}
