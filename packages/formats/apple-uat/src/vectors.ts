/** How golden vectors that were recorded from the Asahi driver and from m1n1 speak of this format. */
import { type DriverVectorBinding, hex, type VectorBinding } from '@io-pgtable/core'
import { commonConfig, OVERWRITES, unmapEachPage } from '@io-pgtable/gpu-common/vectors'
import { type AppleUatQuirk, appleUat, type UatProtection, uatProt } from './index.ts'

const binding: DriverVectorBinding<typeof appleUat> = {
  family: 'driver',
  format: 'apple-uat',
  fmt: appleUat,
  config: (config) => ({ ...commonConfig(config), quirks: config.quirks as readonly AppleUatQuirk[] }),
  registers: ({ regs, roots: [root = 0n] }) => ({ ttbAttr: hex(regs.ttb - root) }),
  level: (node) => node.level,
  tableAddressMask: () => 0xffff_ffff_c000n,
  tableMemory: ({ oas }) => 0xa5_a5a0_0000n & ((1n << BigInt(oas)) - 1n),
  prot: ({ prot }) => uatProt((prot as readonly UatProtection[])[0] ?? 'FW_GPU_NA'),
  operations: { unmap: unmapEachPage },
  differences: { mapOverMapped: OVERWRITES },
}

export const vectorBindings: readonly VectorBinding[] = [binding]
