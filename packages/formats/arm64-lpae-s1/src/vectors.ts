/** How golden vectors speak of this format. */
import { hex, type VectorBinding } from '@io-pgtable/core'
import { type ArmLpaeS1Quirk, arm64LpaeS1 } from './index.ts'

const LOW48 = (1n << 48n) - 1n

/** A pattern of address bits, so that a table descriptor that loses one leads out of the memory; the low two MiB are zero. */
const TABLE_MEMORY = 0xa_5a5a_5a40_0000n

const binding: VectorBinding<typeof arm64LpaeS1> = {
  family: 'io-pgtable',
  format: 'arm64-lpae-s1',
  fmt: arm64LpaeS1,
  config: ({ quirks, ...config }) => ({ ...config, quirks: quirks as readonly ArmLpaeS1Quirk[] }),
  registers: ({ regs, roots: [root = 0n] }) => ({
    tcr: { ...regs.tcr },
    mair: hex(regs.mair & 0xffff_ffffn),
    // all but the root's address, whose bits 51:48 stand in bits 5:2
    ttbrAttr: hex(regs.ttbr ^ ((root & LOW48) | ((root >> 48n) << 2n))),
  }),
  level: (node) => node.level,
  tableAddressMask: () => LOW48 & ~0xfffn,
  tableMemory: ({ oas }) => TABLE_MEMORY & ((1n << BigInt(oas)) - 1n),
}

export const vectorBindings: readonly VectorBinding[] = [binding]
