/** How golden vectors speak of this format. */
import type { VectorBinding } from '@io-pgtable/core'
import { amdV1 } from './index.ts'

const binding: VectorBinding<typeof amdV1> = {
  family: 'generic_pt',
  format: 'amdv1',
  fmt: amdV1,
  config: ({ features, vaBits, oaBits, topLevel }) => ({
    pgsizeBitmap: (1n << 64n) - 0x1000n,
    ias: vaBits,
    oas: oaBits,
    coherentWalk: !features.includes('DMA_INCOHERENT'),
    topLevel: topLevel + 1,
    quirks: features.includes('AMDV1_FORCE_COHERENCE') ? ['FORCE_COHERENCE'] : [],
  }),
  /** Linux's driver wants growing roots, forced coherence and a walker that snoops, and no root of one level; the hardware has the others. */
  driverRefuses: ({ features, vaBits, topLevel }) => {
    if (vaBits > 64 || topLevel > 5) return undefined
    if (topLevel < 1) return 'EINVAL'
    const wanted = features.includes('DYNAMIC_TOP') && features.includes('AMDV1_FORCE_COHERENCE')
    return wanted && !features.includes('SIGN_EXTEND') && !features.includes('DMA_INCOHERENT') ? undefined : 'EOPNOTSUPP'
  },
  registers: ({ regs }) => ({ hw: { mode: regs.mode } }),
  level: (node) => node.level - 1,
  tableAddressMask: () => (1n << 52n) - 0x1000n,
  tableMemory: ({ oas }) => 0xa_5a5a_5a40_0000n & ((1n << BigInt(oas)) - 1n),
}

export const vectorBindings: readonly VectorBinding[] = [binding]
