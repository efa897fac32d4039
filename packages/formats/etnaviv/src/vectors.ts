/** How golden vectors that were recorded from Linux's driver speak of this format. */
import { type DriverVectorBinding, hex, type VectorBinding } from '@io-pgtable/core'
import { commonConfig, OVERWRITES, unmapEachPage } from '@io-pgtable/gpu-common/vectors'
import { etnaviv } from './index.ts'

const BAD_PAGE = 0x9400_0000n

const common: Omit<DriverVectorBinding<typeof etnaviv>, 'format' | 'config' | 'registers'> = {
  family: 'driver',
  fmt: etnaviv,
  level: (node) => node.level,
  tableAddressMask: () => 0xffff_f000n,
  tableMemory: () => 0xa5a0_0000n,
  operations: { unmap: unmapEachPage },
  differences: { mapOverMapped: OVERWRITES },
}

const v1: DriverVectorBinding<typeof etnaviv> = {
  ...common,
  format: 'etnaviv-v1',
  config: (config) => ({ ...commonConfig(config), version: 1, badPage: BAD_PAGE }),
  registers: () => ({ scratchBytes: 4096, apertureStart: '0x80000000', apertureLast: '0xffffffff' }),
}

const v2: DriverVectorBinding<typeof etnaviv> = {
  ...common,
  format: 'etnaviv-v2',
  config: (config) => ({ ...commonConfig(config), version: 2, badPage: BAD_PAGE }),
  registers: ({ regs, roots: [root = 0n] }) => {
    const attributes = hex('configuration' in regs ? regs.configuration - root : 0n)
    return { ptaAttr: attributes, configurationAttr: attributes, scratchBytes: 4096 }
  },
}

export const vectorBindings: readonly VectorBinding[] = [v1, v2]
