/** What QEMU's SMMUv3 walks of ours: stage 1 with every granule and either table base, stage 2 without concatenated roots. */
import { type ArmLpaeS1Config, arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { arm64LpaeS2 } from '@io-pgtable/arm64-lpae-s2'
import { pgsizeBitmap, SZ_1G, SZ_2M, SZ_4K, SZ_16K, SZ_32M, SZ_64K, SZ_512M } from '@io-pgtable/core'
import type { TlbStyle } from './invalidate.ts'
import { sizesOf } from './plan.ts'
import { type Case, caseOf } from './setup.ts'
import type { SmmuV3 } from './smmuv3.ts'
import type { BitRange, Ignored } from './wrong.ts'

const SIZES_4K = pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G)
const SIZES_16K = pgsizeBitmap(SZ_16K, SZ_32M)
const SIZES_64K = pgsizeBitmap(SZ_64K, SZ_512M)

const LIMITS_S1 = [
  'QEMU’s SMMUv3 ignores AttrIndx, SH, NS, AP[1], nG, and bits 63:48 (the contiguous hint, PXN, UXN, software bits)',
  'at most 44 output address bits; no 52-bit addresses',
]
const LIMITS_S2 = [
  'QEMU’s SMMUv3 ignores MemAttr, SH, and bits 63:48 (the contiguous hint, XN, software bits)',
  'of concatenated root tables it reads the first alone: not checked here',
  'at most 44 address bits; of addresses beyond them it makes no record',
]

/** Bits 63:48; SH, nG or what stands there in stage 2; and the address bits that the granule and the block's size leave out. */
function ignores(low: readonly BitRange[], pgsizeBitmap: bigint): Ignored {
  const [page = 0, block = 0] = sizesOf(pgsizeBitmap).map(Math.log2)
  const common: readonly BitRange[] = [[63, 48], [11, 11], [9, 8], ...low]
  return { page: page > 12 ? [...common, [page - 1, 12]] : common, block: [...common, [block - 1, 12]] }
}

/** AttrIndx, NS, AP[1]; MemAttr. */
const IGNORED_S1: readonly BitRange[] = [[6, 2]]
const IGNORED_S2: readonly BitRange[] = [[5, 2]]

function stage1(name: string, config: ArmLpaeS1Config, style: TlbStyle = 'each-page'): Case<SmmuV3> {
  const half = config.quirks?.includes('ARM_TTBR1') ? 'ttb1' : 'ttb0'
  return caseOf({
    name,
    format: arm64LpaeS1,
    config,
    ignores: ignores(IGNORED_S1, config.pgsizeBitmap),
    writeOnly: false,
    limits: LIMITS_S1,
    style,
    stage: (smmu) => smmu.stage1(half, style),
  })
}

function stage2(name: string, bitmap: bigint, bits: number, style: TlbStyle = 'each-page'): Case<SmmuV3> {
  const config = { pgsizeBitmap: bitmap, ias: bits, oas: 44 }
  return caseOf({
    name,
    format: arm64LpaeS2,
    config,
    ignores: ignores(IGNORED_S2, bitmap),
    writeOnly: true,
    limits: LIMITS_S2,
    style,
    stage: (smmu) => smmu.stage2(style),
  })
}

const TTBR1 = ['ARM_TTBR1'] as const

export const SMMU_STAGE1: readonly Case<SmmuV3>[] = [
  stage1('4K, 48 bits', { pgsizeBitmap: SIZES_4K, ias: 48, oas: 44 }),
  stage1('4K, 39 bits', { pgsizeBitmap: SIZES_4K, ias: 39, oas: 40 }, 'gather'),
  stage1('4K, 32 bits, not coherent', { pgsizeBitmap: SIZES_4K, ias: 32, oas: 40, coherentWalk: false }),
  stage1('16K, 48 bits', { pgsizeBitmap: SIZES_16K, ias: 48, oas: 44 }),
  stage1('16K, 36 bits', { pgsizeBitmap: SIZES_16K, ias: 36, oas: 40 }, 'gather'),
  stage1('64K, 48 bits', { pgsizeBitmap: SIZES_64K, ias: 48, oas: 44 }),
  stage1('64K, 42 bits', { pgsizeBitmap: SIZES_64K, ias: 42, oas: 42 }, 'gather'),
  stage1('4K, 48 bits, TTBR1', { pgsizeBitmap: SIZES_4K, ias: 48, oas: 44, quirks: TTBR1 }),
  stage1('16K, 47 bits, TTBR1', { pgsizeBitmap: SIZES_16K, ias: 47, oas: 44, quirks: TTBR1 }),
  stage1('64K, 39 bits, TTBR1', { pgsizeBitmap: SIZES_64K, ias: 39, oas: 44, quirks: TTBR1 }),
]

export const SMMU_STAGE2: readonly Case<SmmuV3>[] = [
  stage2('4K, 44 bits', SIZES_4K, 44),
  stage2('4K, 39 bits', SIZES_4K, 39, 'gather'),
  stage2('16K, 44 bits', SIZES_16K, 44),
  stage2('16K, 36 bits', SIZES_16K, 36),
  stage2('64K, 42 bits', SIZES_64K, 42),
  stage2('64K, 40 bits', SIZES_64K, 40, 'gather'),
]
