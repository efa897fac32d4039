/** How golden vectors that were recorded from Linux's driver speak of this format. */
import type { DriverVectorBinding, VectorBinding } from '@io-pgtable/core'
import { commonConfig, unmapAndTrim } from '@io-pgtable/gpu-common/vectors'
import { gma500Sgx } from './index.ts'

const binding: DriverVectorBinding<typeof gma500Sgx> = {
  family: 'driver',
  format: 'gma500-sgx',
  fmt: gma500Sgx,
  config: commonConfig,
  registers: () => ({ scratchPageBytes: 4096, scratchTableBytes: 4096 }),
  level: (node) => node.level,
  tableAddressMask: () => 0xffff_f000n,
  tableMemory: () => 0xa5a0_0000n,
  /** The driver frees a table with its last page: an unmap and a trim. */
  operations: { unmap: unmapAndTrim },
}

export const vectorBindings: readonly VectorBinding[] = [binding]
