/** How golden vectors that were recorded from Linux's driver speak of this format. */
import { hex, type VectorBinding } from '@io-pgtable/core'
import { declare, type S390ZpciFormat, type S390ZpciVariant } from './declaration.ts'

/**
 * The tables in little-endian order, which is what the recording was made in: values are what it tells, and the library writes no big-endian
 * tables. Nobody's hardware walks these.
 */
export const s390ZpciValues: S390ZpciFormat = declare({})

export const vectorBindings: readonly VectorBinding<typeof s390ZpciValues>[] = [
  {
    family: 'driver',
    format: 's390-zpci',
    fmt: s390ZpciValues,
    config: ({ variant }, usual) => ({ ...usual, quirks: [], variant: variant as S390ZpciVariant }),
    registers: ({ regs }) => ({ iotaAttr: hex(regs.iota & 0x3fffn) }),
    rootRegister: ({ iota }) => iota,
    level: (node) => node.level,
    tableAddressMask: (_config, node) => (node.id === 'ST' ? ~0x7ffn : ~0x3fffn),
    tableMemory: () => 0xb_beac_f800_0000n,
  },
]
