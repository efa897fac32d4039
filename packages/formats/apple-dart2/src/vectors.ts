/** How golden vectors that were recorded from Linux's io-pgtable speak of this format. */
import type { VectorBinding } from '@io-pgtable/core'
import { appleDart2, type DartConfig } from './index.ts'

export const vectorBindings: readonly VectorBinding<typeof appleDart2>[] = [
  {
    family: 'io-pgtable',
    format: 'apple-dart2',
    fmt: appleDart2,
    /** Quirks of other formats, too: the files have some, and DART ignores them. */
    config: (config) => config as DartConfig,
    registers: ({ regs }) => ({ nTtbrs: regs.ttbrs.length, nLevels: regs.nLevels }),
    /** Linux counts down to 1, the level of the pages, whose index starts at bit 12 or 14; the others start at bit 21 or 25, and 30 or 36. */
    level: ({ shift }) => (shift < 20 ? 1 : shift < 30 ? 2 : 3),
    tableAddressMask: () => 0x3f_ffff_fc00n,
    tableMemory: ({ oas }) => 0x35a_5a40_0000n & ((1n << BigInt(oas)) - 1n),
  },
]
