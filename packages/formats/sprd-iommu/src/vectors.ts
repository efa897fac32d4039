/** How golden vectors that were recorded from Linux's driver speak of this format. */
import type { VectorBinding } from '@io-pgtable/core'
import { sprdIommu } from './index.ts'

export const vectorBindings: readonly VectorBinding<typeof sprdIommu>[] = [
  {
    family: 'driver',
    format: 'sprd-iommu',
    fmt: sprdIommu,
    config: (_config, usual) => ({ ...usual, quirks: [] }),
    registers: () => ({}),
    rootRegister: ({ firstPpn }) => firstPpn,
    level: (node) => node.level,
    tableAddressMask: () => 0n,
    /** Linux says EINVAL of addresses outside of the window. */
    errors: { EINVAL: 'ERANGE' },
    differences: {
      holesCountAsUnmapped: { op: 'unmap', when: 'hole', reason: 'Linux counts holes as unmapped; here an unmap ends at the first' },
    },
  },
]
