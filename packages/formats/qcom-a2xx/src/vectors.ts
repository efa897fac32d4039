/** How golden vectors that were recorded from Linux's driver speak of this format. */
import { type DriverVectorBinding, hex, type VectorBinding } from '@io-pgtable/core'
import { commonConfig, OVERWRITES, unmapEachPage } from '@io-pgtable/gpu-common/vectors'
import { qcomA2xx } from './index.ts'

const ENTRIES = 0xfff * 16
const SPARE =
  'the driver allocates the entries of the window and 32 bytes for errors; here the table begins at address 0, and has a power of two'

const binding: DriverVectorBinding<typeof qcomA2xx> = {
  family: 'driver',
  format: 'qcom-a2xx',
  fmt: qcomA2xx,
  /** The files count the bits of the window's size. */
  config: (config) => ({ ...commonConfig(config), ias: 29 }),
  registers: ({ regs }) => {
    const base = regs.vaRange & 0xffff_f000n
    const bytes = (regs.vaRange & 0xfffn) << 16n
    return {
      ias: 28,
      rootEntries: Number(bytes >> 12n),
      rootBytes: ENTRIES * 4,
      allocBytes: ENTRIES * 4 + 32,
      tranErrorOffset: ENTRIES * 4,
      vaRange: hex(regs.vaRange),
      apertureStart: hex(base),
      apertureLast: hex(base + bytes - 1n),
    }
  },
  level: (node) => node.level,
  tableAddressMask: () => 0n,
  tableMemory: () => 0xa5a0_0000n,
  operations: { unmap: unmapEachPage },
  differences: { mapOverMapped: OVERWRITES },
  leavesOut: { tableBytes: SPARE },
}

export const vectorBindings: readonly VectorBinding[] = [binding]
