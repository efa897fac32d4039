/** How golden vectors that were recorded from Linux's driver speak of this format. */
import type { VectorBinding } from '@io-pgtable/core'
import { type ExynosSysmmuVariant, exynosSysmmu } from './index.ts'

export const vectorBindings: readonly VectorBinding<typeof exynosSysmmu>[] = [
  {
    family: 'driver',
    format: 'exynos-sysmmu',
    fmt: exynosSysmmu,
    config: ({ variant }, usual) => ({ ...usual, quirks: [], variant: variant as ExynosSysmmuVariant }),
    registers: () => ({}),
    rootRegister: ({ flptBase }) => flptBase,
    level: (node) => node.level,
    tableAddressMask: ({ variant }) => (variant === 'v1' ? 0xffff_fc00n : 0xffff_ffc0n),
    tableMemory: ({ variant }) => (variant === 'v1' ? 0x8000_0000n : 0xd_4000_0000n),
    unmapsFound: 'pgsize',
    differences: {
      holesCountAsUnmapped: { op: 'unmap', when: 'hole', reason: 'Linux counts holes as unmapped; here an unmap ends at the first' },
    },
  },
]
