/** How golden vectors that were recorded from Linux's io-pgtable speak of this format. */
import { hex, type VectorBinding } from '@io-pgtable/core'
import { type ArmV7sQuirk, armV7s } from './index.ts'

const TTBR_ATTRIBUTES = 0x7fn

export const vectorBindings: readonly VectorBinding<typeof armV7s>[] = [
  {
    family: 'io-pgtable',
    format: 'arm-v7s',
    fmt: armV7s,
    config: (config) => ({ ...config, quirks: config.quirks as readonly ArmV7sQuirk[] }),
    /** The kernel's tables lay below 4 GiB: address bits 34:32, which a MediaTek TTBR has in bits 2:0, were zero. */
    registers: ({ regs, roots }) => ({
      tcr: hex(regs.tcr),
      nmrr: hex(regs.nmrr),
      prrr: hex(regs.prrr),
      ttbrAttr: hex(regs.ttbr & TTBR_ATTRIBUTES & ~((roots[0] ?? 0n) >> 32n)),
    }),
    level: (node) => node.level,
    tableAddressMask: ({ quirks }) => (quirks.includes('ARM_MTK_TTBR_EXT') ? 0xffff_fe30n : 0xffff_fc00n),
    /** Address bits 34 and 32 set, where tables may lie there. */
    tableMemory: ({ quirks, oas }) => (quirks.includes('ARM_MTK_TTBR_EXT') && oas === 35 ? 0x5_8000_0000n : 0x8000_0000n),
  },
]
