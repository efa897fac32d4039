/** How golden vectors that were recorded from Linux's driver speak of this format. */
import { hex, type VectorBinding } from '@io-pgtable/core'
import { type TegraSmmuVariant, tegraSmmu } from './index.ts'

export const vectorBindings: readonly VectorBinding<typeof tegraSmmu>[] = [
  {
    family: 'driver',
    format: 'tegra-smmu',
    fmt: tegraSmmu,
    config: ({ variant }, usual) => ({ ...usual, quirks: [], variant: variant as TegraSmmuVariant }),
    registers: ({ regs }) => ({ ptbDataAttr: hex(regs.ptbData & 0xf000_0000n) }),
    rootRegister: ({ ptbData }) => ptbData,
    level: (node) => node.level,
    tableAddressMask: ({ variant }) => (variant === 'tegra30' || variant === 'tegra114' ? 0xf_ffffn : 0x3f_ffffn),
    tableMemory: ({ oas }) => (oas === 34 ? 0x3_4000_0000n : 0x8000_0000n),
    /** Linux frees a table with its last page. */
    trims: true,
    differences: {
      mapOverwrites: { op: 'map', when: 'mapped', reason: 'Linux overwrites a mapped page; here it is EEXIST' },
    },
  },
]
