/** How golden vectors speak of this format. */
import { pgsizeBitmap, SZ_1G, SZ_2M, SZ_4K, SZ_64K, SZ_512G, type VectorBinding } from '@io-pgtable/core'
import { type Riscv64Quirk, riscv64 } from './index.ts'

/** Features of generic_pt that are quirks here. */
const QUIRKS: Readonly<Record<string, Riscv64Quirk>> = {
  SIGN_EXTEND: 'SIGN_EXTEND',
  RISCV_SVNAPOT_64K: 'SVNAPOT_64K',
  RISCV_SVPBMT: 'SVPBMT',
}

const binding: VectorBinding<typeof riscv64> = {
  family: 'generic_pt',
  format: 'riscv64',
  fmt: riscv64,
  config: ({ features, vaBits, oaBits }) => ({
    pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, SZ_2M, SZ_1G, SZ_512G, 2 ** 48),
    ias: vaBits,
    oas: oaBits,
    coherentWalk: !features.includes('DMA_INCOHERENT'),
    quirks: features.flatMap((name) => QUIRKS[name] ?? []),
  }),
  // The hardware has Svpbmt, and IOMMUs that do not snoop; Linux 7.2 supports neither, and demands detailed gathers of its own driver.
  driverRefuses: ({ features }) =>
    features.includes('RISCV_SVPBMT') || features.includes('DMA_INCOHERENT') || !features.includes('DETAILED_GATHER')
      ? 'EOPNOTSUPP'
      : undefined,
  registers: ({ regs }) => ({ hw: { mode: regs.mode } }),
  level: (node) => node.level,
  tableAddressMask: () => (1n << 54n) - (1n << 10n),
  tableMemory: ({ oas }) => 0xa_5a5a_5a40_0000n & ((1n << BigInt(oas)) - 1n),
}

export const vectorBindings: readonly VectorBinding[] = [binding]
