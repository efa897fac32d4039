/** How golden vectors speak of this format. */
import { hex, type VectorBinding } from '@io-pgtable/core'
import { type ArmLpaeS2Quirk, arm64LpaeS2 } from './index.ts'

/** The address bits of a table descriptor. */
const TABLE_ADDRESS = 0xffff_ffff_f000n

/** A pattern of address bits, so that a table descriptor that loses one leads out of the memory; the low two MiB are zero. */
const TABLE_MEMORY = 0xa_5a5a_5a40_0000n

const binding: VectorBinding<typeof arm64LpaeS2> = {
  family: 'io-pgtable',
  format: 'arm64-lpae-s2',
  fmt: arm64LpaeS2,
  config: ({ quirks, ...config }) => ({ ...config, quirks: quirks as readonly ArmLpaeS2Quirk[] }),
  // all but the root's address, whose bits 51:48 stand in bits 5:2
  registers: ({ regs, roots: [root = 0n] }) => ({
    vtcr: { ...regs.vtcr },
    vttbrAttr: hex(regs.vttbr ^ ((root & 0xffff_ffff_ffffn) | ((root >> 48n) << 2n))),
  }),
  level: (node) => node.level,
  tableAddressMask: () => TABLE_ADDRESS,
  tableMemory: ({ oas }) => TABLE_MEMORY & ((1n << BigInt(oas)) - 1n),
}

export const vectorBindings: readonly VectorBinding[] = [binding]
