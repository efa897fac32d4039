/** How golden vectors speak of this format. */
import { hex, type VectorBinding } from '@io-pgtable/core'
import { type Arm32LpaeS1Quirk, arm32LpaeS1 } from './index.ts'

/** The address bits of a table descriptor. */
const TABLE_ADDRESS = 0xffff_ffff_f000n

/** A pattern of address bits, so that a table descriptor that loses one leads out of the memory; the low two MiB are zero. */
const TABLE_MEMORY = 0xa_5a5a_5a40_0000n

const binding: VectorBinding<typeof arm32LpaeS1> = {
  family: 'io-pgtable',
  format: 'arm32-lpae-s1',
  fmt: arm32LpaeS1,
  config: ({ quirks, ...config }) => ({ ...config, quirks: quirks as readonly Arm32LpaeS1Quirk[] }),
  registers: ({ regs, roots: [root = 0n] }) => ({
    tcr: { ...regs.tcr },
    mair: hex(regs.mair & 0xffff_ffffn),
    ttbrAttr: hex(regs.ttbr ^ root),
  }),
  level: (node) => node.level,
  tableAddressMask: () => TABLE_ADDRESS,
  tableMemory: ({ oas }) => TABLE_MEMORY & ((1n << BigInt(oas)) - 1n),
}

export const vectorBindings: readonly VectorBinding[] = [binding]
