/** How golden vectors speak of this format. */
import { pgsizeBitmap, SZ_1G, SZ_2M, SZ_4K, type VectorBinding } from '@io-pgtable/core'
import { type VtdSsQuirk, vtdSs } from './index.ts'

const binding: VectorBinding<typeof vtdSs> = {
  family: 'generic_pt',
  format: 'vtdss',
  fmt: vtdSs,
  config: ({ features, vaBits, oaBits }) => ({
    pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G),
    ias: vaBits,
    oas: oaBits,
    coherentWalk: !features.includes('DMA_INCOHERENT'),
    quirks: features.filter((name) => name.startsWith('VTDSS_')).map((name) => name.slice('VTDSS_'.length) as VtdSsQuirk),
  }),
  // Linux takes the root's level apart from the address bits, and checks that they fit; here the address bits say it.
  driverRefuses: ({ features, vaBits, oaBits, topLevel }) => {
    if (oaBits < 1 || oaBits > 52) return undefined
    const levels = vaBits <= 39 ? 3 : vaBits <= 48 ? 4 : 5
    return features.includes('SIGN_EXTEND') || topLevel + 1 !== levels ? 'EOPNOTSUPP' : undefined
  },
  registers: ({ regs }) => ({ hw: { aw: regs.aw } }),
  level: (node) => node.level - 1,
  tableAddressMask: () => (1n << 52n) - 0x1000n,
  tableMemory: ({ oas }) => 0xa_5a5a_5a40_0000n & ((1n << BigInt(oas)) - 1n),
}

export const vectorBindings: readonly VectorBinding[] = [binding]
