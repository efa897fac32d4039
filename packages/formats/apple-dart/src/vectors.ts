/** How golden vectors that were recorded from Linux's io-pgtable speak of this format. */
import type { VectorBinding } from '@io-pgtable/core'
import { appleDart, type DartConfig } from './index.ts'

export const vectorBindings: readonly VectorBinding<typeof appleDart>[] = [
  {
    family: 'io-pgtable',
    format: 'apple-dart',
    fmt: appleDart,
    /** Quirks of other formats, too: the files have some, and DART ignores them. */
    config: (config) => config as DartConfig,
    registers: ({ regs }) => ({ nTtbrs: regs.ttbrs.length, nLevels: regs.nLevels }),
    /** Linux counts down to 1, the level of the pages, whose index starts at bit 12 or 14; the others start at bit 21 or 25, and 30 or 36. */
    level: ({ shift }) => (shift < 20 ? 1 : shift < 30 ? 2 : 3),
    tableAddressMask: () => 0xf_ffff_f000n,
    tableMemory: () => 0xf_5a40_0000n,
  },
]
