/** How golden vectors that were recorded from Linux's driver, lima, speak of this format. */
import { type DriverVectorBinding, hex, type VectorBinding } from '@io-pgtable/core'
import { commonConfig, OVERWRITES, unmapEachPage } from '@io-pgtable/gpu-common/vectors'
import { maliUtgard } from './index.ts'

const EIGHT = 'the driver makes the tables of 32 MiB in one block of eight, and keeps them; here each comes when a page needs it'

const WHOLE = { pgsizeBitmap: 0x1000n, ias: 32, oas: 32 }

const binding: DriverVectorBinding<typeof maliUtgard> = {
  family: 'driver',
  format: 'mali-utgard',
  fmt: maliUtgard,
  config: (config) => ({ ...commonConfig(config), quirks: ['LIMA'] }),
  registers: ({ regs, roots }) => ({ tablesAtOnce: 8, dteAddrAttr: hex(regs.dteAddr - (roots[0] ?? 0n)) }),
  level: (node) => node.level,
  tableAddressMask: () => 0xffff_f000n,
  tableMemory: () => 0xa5a0_0000n,
  operations: { unmap: unmapEachPage },
  differences: { mapOverMapped: OVERWRITES },
  facts: { roots: (row) => maliUtgard.regs(maliUtgard.configure(WHOLE), [BigInt(row['root address'] as string)], 'PD').dteAddr },
  leavesOut: { tables: EIGHT, tableBytes: EIGHT },
}

/** Files of two recorders, which named the format differently. */
export const vectorBindings: readonly VectorBinding[] = [binding, { ...binding, format: 'lima' }]
