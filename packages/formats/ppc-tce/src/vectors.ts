/** How golden vectors that were recorded from Linux's driver speak of this format. */
import { SZ_64K, type VectorBinding } from '@io-pgtable/core'
import { declare, type PpcTceFormat } from './declaration.ts'

/**
 * The tables in little-endian order, which is what the recording was made in: values are what it tells, and the library writes no big-endian
 * tables. Nobody's hardware walks these.
 */
export const ppcTceValues: PpcTceFormat = declare({})

export const vectorBindings: readonly VectorBinding<typeof ppcTceValues>[] = [
  {
    family: 'driver',
    format: 'ppc-tce',
    fmt: ppcTceValues,
    /** Recorded with CPU pages of 64K, the least table. */
    config: ({ pageShift, windowBits, levels }, { oas, coherentWalk = true }) => ({
      pgsizeBitmap: 1n << BigInt(pageShift as number),
      ias: windowBits as number,
      oas,
      coherentWalk,
      quirks: [],
      levels: levels as number,
      cpuPageSize: SZ_64K,
    }),
    registers: ({ config, regs }) => ({
      levels: config.levels,
      pageShift: Math.log2(Number(config.pgsizeBitmap)),
      // of the whole table, of which the window may need a part
      rootEntries: Number(regs.tceTableSize / 8n),
    }),
    level: (node) => node.level,
    tableAddressMask: () => ~3n,
    tableMemory: () => 0x3_5800_0000_0000n,
  },
]
