/** Every format of the workspace: made by scripts/generate.mjs from the packages' `ioPgtable` fields. */
import type { AnyFmt } from '@io-pgtable/core'
import { amdgpuVm } from '../../../packages/formats/amdgpu-vm/src/index.ts'
import { amdV1 } from '../../../packages/formats/amdv1/src/index.ts'
import { appleDart } from '../../../packages/formats/apple-dart/src/index.ts'
import { appleDart2 } from '../../../packages/formats/apple-dart2/src/index.ts'
import { appleUat } from '../../../packages/formats/apple-uat/src/index.ts'
import { armMaliLpae } from '../../../packages/formats/arm-mali-lpae/src/index.ts'
import { armV7s } from '../../../packages/formats/arm-v7s/src/index.ts'
import { arm32LpaeS1 } from '../../../packages/formats/arm32-lpae-s1/src/index.ts'
import { arm32LpaeS2 } from '../../../packages/formats/arm32-lpae-s2/src/index.ts'
import { arm64LpaeS1 } from '../../../packages/formats/arm64-lpae-s1/src/index.ts'
import { arm64LpaeS2 } from '../../../packages/formats/arm64-lpae-s2/src/index.ts'
import { etnaviv } from '../../../packages/formats/etnaviv/src/index.ts'
import { exynosSysmmu } from '../../../packages/formats/exynos-sysmmu/src/index.ts'
import { gma500Sgx } from '../../../packages/formats/gma500-sgx/src/index.ts'
import { habana } from '../../../packages/formats/habana/src/index.ts'
import { intelGgtt } from '../../../packages/formats/intel-ggtt/src/index.ts'
import { intelIpu } from '../../../packages/formats/intel-ipu/src/index.ts'
import { intelLmtt } from '../../../packages/formats/intel-lmtt/src/index.ts'
import { loongarch64 } from '../../../packages/formats/loongarch64/src/index.ts'
import { maliUtgard } from '../../../packages/formats/mali-utgard/src/index.ts'
import { mtkIommuV1 } from '../../../packages/formats/mtk-iommu-v1/src/index.ts'
import { nvidiaGmmu } from '../../../packages/formats/nvidia-gmmu/src/index.ts'
import { omapIommu } from '../../../packages/formats/omap-iommu/src/index.ts'
import { powervrRogue } from '../../../packages/formats/powervr-rogue/src/index.ts'
import { ppcTce } from '../../../packages/formats/ppc-tce/src/index.ts'
import { ppc64Radix } from '../../../packages/formats/ppc64-radix/src/index.ts'
import { qcomA2xx } from '../../../packages/formats/qcom-a2xx/src/index.ts'
import { riscv64 } from '../../../packages/formats/riscv64/src/index.ts'
import { riscv64G } from '../../../packages/formats/riscv64-g/src/index.ts'
import { rockchipIommu } from '../../../packages/formats/rockchip-iommu/src/index.ts'
import { s390Dat } from '../../../packages/formats/s390-dat/src/index.ts'
import { s390Zpci } from '../../../packages/formats/s390-zpci/src/index.ts'
import { sprdIommu } from '../../../packages/formats/sprd-iommu/src/index.ts'
import { sun50iIommu } from '../../../packages/formats/sun50i-iommu/src/index.ts'
import { sv32 } from '../../../packages/formats/sv32/src/index.ts'
import { tegraSmmu } from '../../../packages/formats/tegra-smmu/src/index.ts'
import { v3d } from '../../../packages/formats/v3d/src/index.ts'
import { vtdSs } from '../../../packages/formats/vtdss/src/index.ts'
import { x8632 } from '../../../packages/formats/x86-32/src/index.ts'
import { x8664 } from '../../../packages/formats/x86-64/src/index.ts'
import { x86Ept } from '../../../packages/formats/x86-ept/src/index.ts'
import { x86Pae } from '../../../packages/formats/x86-pae/src/index.ts'

export interface FormatGroup {
  readonly title: string
  readonly formats: readonly AnyFmt[]
}

export const GROUPS: readonly FormatGroup[] = [
  {
    title: 'CPUs, and IOMMUs that walk the same tables',
    formats: [
      // one a line: changes then seldom meet
      armV7s,
      arm32LpaeS1,
      arm32LpaeS2,
      arm64LpaeS1,
      arm64LpaeS2,
      loongarch64,
      ppc64Radix,
      riscv64,
      riscv64G,
      s390Dat,
      sv32,
      x8632,
      x8664,
      x86Ept,
      x86Pae,
    ],
  },
  {
    title: 'IOMMUs',
    formats: [
      // one a line: changes then seldom meet
      amdV1,
      appleDart,
      appleDart2,
      exynosSysmmu,
      mtkIommuV1,
      omapIommu,
      ppcTce,
      rockchipIommu,
      s390Zpci,
      sprdIommu,
      sun50iIommu,
      tegraSmmu,
      vtdSs,
    ],
  },
  {
    title: 'GPUs and media',
    formats: [
      // one a line: changes then seldom meet
      amdgpuVm,
      appleUat,
      armMaliLpae,
      etnaviv,
      gma500Sgx,
      habana,
      intelGgtt,
      intelIpu,
      intelLmtt,
      maliUtgard,
      nvidiaGmmu,
      powervrRogue,
      qcomA2xx,
      v3d,
    ],
  },
]

export const FORMATS: readonly AnyFmt[] = GROUPS.flatMap(({ formats }) => formats)
