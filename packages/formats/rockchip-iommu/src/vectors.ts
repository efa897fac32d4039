/** How golden vectors that were recorded from Linux's driver speak of this format. */
import { hex, SZ_4K, type VectorBinding } from '@io-pgtable/core'
import { type RockchipIommuVariant, rockchipIommu } from './index.ts'

export const vectorBindings: readonly VectorBinding<typeof rockchipIommu>[] = [
  {
    family: 'driver',
    format: 'rockchip-iommu',
    fmt: rockchipIommu,
    config: ({ variant }, usual) => ({ ...usual, quirks: [], variant: variant as RockchipIommuVariant }),
    /** The driver offers 4K to 4M, each a run of entries in one table that a failed call takes back as a whole. */
    unit: SZ_4K,
    registers: ({ regs }) => ({
      pgsizeBitmap: '0x7ff000',
      dteAddrAttr: hex(regs.dteAddr & 0xfn),
    }),
    rootRegister: ({ dteAddr }) => dteAddr,
    level: (node) => node.level,
    tableAddressMask: ({ variant }) => (variant === 'v1' ? 0xffff_f000n : 0xffff_fff0n),
    /** Above 4 GiB where tables may lie there. */
    tableMemory: ({ variant }) => (variant === 'v1' ? 0x8000_0000n : 0xab_4000_0000n),
  },
]
