/** How golden vectors that were recorded from Linux's driver speak of this format. */
import { hex, type VectorBinding } from '@io-pgtable/core'
import { sun50iIommu } from './index.ts'

export const vectorBindings: readonly VectorBinding<typeof sun50iIommu>[] = [
  {
    family: 'driver',
    format: 'sun50i-iommu',
    fmt: sun50iIommu,
    config: (_config, usual) => ({ ...usual, quirks: [] }),
    registers: ({ regs, roots }) => ({ ttbAttr: hex(regs.ttb ^ (roots[0] ?? 0n)) }),
    rootRegister: ({ ttb }) => ttb,
    level: (node) => node.level,
    tableAddressMask: () => 0xffff_fc00n,
    /** Linux says EBUSY of a page in the way, and EINVAL of an address beyond 4 GiB alone. */
    errors: { EBUSY: 'EEXIST', EINVAL: 'ERANGE' },
  },
]
