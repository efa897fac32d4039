/** How golden vectors that were recorded from Linux's driver speak of this format. */
import { hex, type VectorBinding } from '@io-pgtable/core'
import { mtkIommuV1 } from './index.ts'

export const vectorBindings: readonly VectorBinding<typeof mtkIommuV1>[] = [
  {
    family: 'driver',
    format: 'mtk-iommu-v1',
    fmt: mtkIommuV1,
    config: (_config, usual) => ({ ...usual, quirks: [] }),
    registers: ({ regs, roots }) => ({ ptBaseAttr: hex(regs.ptBaseAddr ^ (roots[0] ?? 0n)) }),
    rootRegister: ({ ptBaseAddr }) => ptBaseAddr,
    level: (node) => node.level,
    tableAddressMask: () => 0n,
    differences: {
      holesCountAsUnmapped: { op: 'unmap', when: 'hole', reason: 'Linux counts holes as unmapped; here an unmap ends at the first' },
    },
  },
]
