import { Prot, pgsizeBitmap, SZ_4K } from '@io-pgtable/core'
import { describe, expect, it } from 'vitest'
import { mapAll, SMMU_STAGE1, SMMU_STAGE2, SmmuV3, setUp } from '../src/iommu/index.ts'
import { Random, requirement } from '../src/machine/index.ts'
import { describeIommu, SEED } from './iommu-body.ts'

describeIommu('aarch64', 'SMMUv3', () => SmmuV3.start(), [...SMMU_STAGE1, ...SMMU_STAGE2])

/** IHI 0070 7.3.13: the output address is beyond the SMMU's. */
const F_ADDR_SIZE = 0x11

const qemu = requirement('aarch64')
describe.skipIf(qemu.skip)(qemu.title('SMMUv3 of QEMU with 44 output address bits'), () => {
  it('refuses what tables for 48 bits map above them, bit for bit', async () => {
    const smmu = await SmmuV3.start()
    const config = { pgsizeBitmap: pgsizeBitmap(SZ_4K), ias: 48, oas: 48 }
    const { table, planner } = setUp(smmu, { ...SMMU_STAGE1[0]!, config }, new Random(SEED))
    for (let bit = 44n; bit < 48n; bit++) {
      const mapping = { ...planner.claim(SZ_4K), paddr: 1n << bit, prot: Prot.READ | Prot.WRITE }
      mapAll(table, [mapping])
      await smmu.edu.write(0, mapping.iova, 4)
      expect(await smmu.faults()).toEqual([{ code: F_ADDR_SIZE, address: mapping.iova, device: smmu.device, write: true }])
    }
    await smmu.machine.stop()
  })
})
