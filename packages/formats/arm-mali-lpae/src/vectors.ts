/** How golden vectors speak of this format. */
import { hex, type VectorBinding } from '@io-pgtable/core'
import { armMaliLpae } from './index.ts'

/** The address bits of a table descriptor. */
const TABLE_ADDRESS = 0xffff_ffff_f000n

/** A pattern of address bits, so that a table descriptor that loses one leads out of the memory; the low two MiB are zero. */
const TABLE_MEMORY = 0xa_5a5a_5a40_0000n

const binding: VectorBinding<typeof armMaliLpae> = {
  family: 'io-pgtable',
  format: 'arm-mali-lpae',
  fmt: armMaliLpae,
  config: ({ quirks, ...config }) => ({ ...config, quirks: quirks as readonly never[] }),
  registers: ({ regs, roots: [root = 0n] }) => ({ memattr: hex(regs.memattr), transtabAttr: hex(regs.transtab ^ root) }),
  level: (node) => node.level,
  tableAddressMask: () => TABLE_ADDRESS,
  tableMemory: ({ oas }) => TABLE_MEMORY & ((1n << BigInt(oas)) - 1n),
}

export const vectorBindings: readonly VectorBinding[] = [binding]
