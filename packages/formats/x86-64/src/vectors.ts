/** How golden vectors speak of this format. */
import { pgsizeBitmap, SZ_1G, SZ_2M, SZ_4K, type VectorBinding } from '@io-pgtable/core'
import { x8664 } from './index.ts'

const binding: VectorBinding<typeof x8664> = {
  family: 'generic_pt',
  format: 'x86_64',
  fmt: x8664,
  // X86_64_AMD_ENCRYPT_TABLES sets the C-bit of the machine it runs on; the recording one had none.
  config: ({ features, vaBits, oaBits }) => ({
    pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G),
    ias: vaBits,
    oas: oaBits,
    coherentWalk: !features.includes('DMA_INCOHERENT'),
    quirks: features.includes('SIGN_EXTEND') ? ['SIGN_EXTEND'] : [],
  }),
  // Linux takes the root's level apart from the address bits; here they say it. No x86 root grows.
  driverRefuses: ({ features, vaBits, topLevel }) =>
    features.includes('DYNAMIC_TOP') || topLevel + 1 !== (vaBits <= 48 ? 4 : 5) ? 'EOPNOTSUPP' : undefined,
  registers: ({ regs }) => ({ hw: { levels: regs.levels } }),
  level: (node) => node.level - 1,
  tableAddressMask: () => (1n << 52n) - 0x1000n,
  tableMemory: ({ oas }) => 0xa_5a5a_5a40_0000n & ((1n << BigInt(oas)) - 1n),
}

export const vectorBindings: readonly VectorBinding[] = [binding]
