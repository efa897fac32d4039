/** How golden vectors that were recorded from Linux's driver speak of this format. */
import type { DriverVectorBinding, VectorBinding } from '@io-pgtable/core'
import { commonConfig, unmapAndTrim } from '@io-pgtable/gpu-common/vectors'
import { habana } from './index.ts'

const common: Omit<DriverVectorBinding<typeof habana>, 'format' | 'config'> = {
  family: 'driver',
  fmt: habana,
  registers: ({ geometry }) => ({ hops: geometry.nodes.length }),
  level: (node) => node.level,
  tableAddressMask: () => 0xffff_ffff_ffff_f000n,
  tableMemory: () => 0x2_a5a5_a5a0_0000n,
  /** The driver frees a table with its last entry: an unmap and a trim. */
  operations: { unmap: unmapAndTrim },
  errors: { EINVAL: 'EEXIST', ENOMEM: 'EEXIST' },
}

const v1: DriverVectorBinding<typeof habana> = {
  ...common,
  format: 'habana-v1',
  config: (config) => ({ ...commonConfig(config), version: 1 }),
}

const v2: DriverVectorBinding<typeof habana> = {
  ...common,
  format: 'habana-v2',
  config: (config) => ({ ...commonConfig(config), version: 2 }),
}

export const vectorBindings: readonly VectorBinding[] = [v1, v2]
