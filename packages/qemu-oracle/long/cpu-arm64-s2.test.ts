/** AArch64 CPUs of QEMU walk arm64-lpae-s2: stage 2 alone, with concatenated roots, with and without FEAT_XNX. */
import { type ArmLpaeS2Config, arm64LpaeS2 } from '@io-pgtable/arm64-lpae-s2'
import { Prot, pgsizeBitmap, SZ_1G, SZ_2M, SZ_4K, SZ_16K, SZ_32M, SZ_64K, SZ_512M } from '@io-pgtable/core'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { ARM_LIMITS, ARM_TARGETS, ARM_VECTORS, Arm64, armTables, HCR_FWB } from '../src/cpu/arm64.ts'
import { a64AccessCode, a64Landmark } from '../src/cpu/guest-a64.ts'
import { leafBits, S2AP_FLIPS, STAGE2_PROTS, stage2Flips, stage2Rules, XN_FLIP } from '../src/cpu/lpae.ts'
import { outsideSpots } from '../src/cpu/outside.ts'
import { physicalOf, Subject } from '../src/cpu/subject.ts'
import { record, requirement } from '../src/machine/index.ts'

const qemu = requirement('aarch64')

const sizes4K = pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G)
const sizes16K = pgsizeBitmap(SZ_16K, SZ_32M)
const lpa2 = true
const MORE: readonly { readonly name: string; readonly config: ArmLpaeS2Config }[] = [
  { name: '4K, 34 bits', config: { pgsizeBitmap: sizes4K, ias: 34, oas: 48 } },
  { name: '4K, 43 bits', config: { pgsizeBitmap: sizes4K, ias: 43, oas: 48 } },
  { name: '64K, 42 bits', config: { pgsizeBitmap: pgsizeBitmap(SZ_64K, SZ_512M), ias: 42, oas: 42 } },
  { name: '4K, 50 bits, LPA2, from level -1', config: { pgsizeBitmap: sizes4K, ias: 50, oas: 52, lpa2 } },
  { name: '16K, 50 bits, LPA2, from level 0', config: { pgsizeBitmap: sizes16K, ias: 50, oas: 52, lpa2 } },
  { name: '16K, 48 bits, LPA2, 2 concatenated tables', config: { pgsizeBitmap: sizes16K, ias: 48, oas: 52, lpa2 } },
]
const OLD: readonly { readonly name: string; readonly config: ArmLpaeS2Config }[] = [
  { name: '4K, 40 bits, without FEAT_XNX', config: { pgsizeBitmap: sizes4K, ias: 40, oas: 40 } },
]
const LIMITS = [
  ...ARM_LIMITS,
  'an AT instruction that stage 2 refuses for its permission ends the model: such accesses are loads, stores and fetches',
]
const PS_LIMIT = 'with DS set and fewer than 52 output address bits, bits 9:8 of a descriptor, OA[51:50], are ignored and do not fault'

describe.skipIf(qemu.skip)(qemu.title('AArch64 CPUs and arm64-lpae-s2'), () => {
  describe.each([
    { model: 'max', xnx: true, most: 52, configs: [...arm64LpaeS2.configs, ...MORE] },
    { model: 'cortex-a57', xnx: false, most: 44, configs: OLD },
  ])('$model', ({ model, xnx, most, configs }) => {
    let cpu: Arm64
    beforeAll(async () => {
      cpu = await Arm64.start(model)
    })
    afterAll(() => cpu.stop())

    it.each(configs)('$name', async ({ name, config }) => {
      const { qtest, version } = cpu.machine
      const subject = new Subject(qtest, armTables(config.oas), arm64LpaeS2, config, stage2Rules(xnx ? 'xnx' : 'aarch64'))
      const { table } = subject
      void qtest.write(ARM_VECTORS, a64AccessCode())
      const code = subject.place(ARM_VECTORS, Prot.READ)
      subject.draw({ count: 2000, prots: STAGE2_PROTS })
      const reachable = subject.draw({ count: 300, prots: STAGE2_PROTS, target: ARM_TARGETS })
      const hcr = table.config.quirks.includes('ARM_S2FWB') ? HCR_FWB : 0n
      const ask = cpu.stage2({ vttbr: table.regs.vttbr, vtcr: table.regs.vtcrValue, hcr, accessCode: code.iova })
      const spots = subject.spots(500)
      const grants = (flag: Prot) => spots.filter(({ mapping }) => mapping === undefined || (mapping.prot & flag) !== 0)
      await subject.check(grants(Prot.READ), ask, ['priv read', 'user read'])
      await subject.check(grants(Prot.WRITE), ask, ['priv write', 'user write'])
      await subject.check(outsideSpots(table.geometry, subject.random, 200, 0, (1n << BigInt(most)) - 1n), ask)
      const prepare = (paddrs: readonly bigint[]): void => {
        for (const paddr of paddrs) void qtest.write(paddr, a64Landmark())
      }
      const landmarks = subject.spotsIn(reachable, 16n)
      prepare(landmarks.map(physicalOf))
      await subject.check(landmarks, ask, ['priv run'])
      const data = landmarks.map((spot) => ({ ...spot, iova: spot.iova + 8n }))
      await subject.check(data, ask, ['priv load', 'priv store'])
      const ignored = table.config.lpa2 && table.config.oas < 52 ? 0x300n : 0n
      const readable = subject.model.list.filter(({ prot }) => (prot & Prot.READ) !== 0)
      await subject.catchFlips(stage2Flips(leafBits(table.geometry) & ~ignored), ask, { among: readable })
      await subject.catchFlips(S2AP_FLIPS, ask, { among: reachable })
      if (!xnx) await subject.catchFlips([XN_FLIP], ask, { among: reachable, prepare })
      const limits = ignored === 0n ? LIMITS : [...LIMITS, PS_LIMIT]
      record(subject.outcome({ oracle: 'AArch64 MMU', config: name, qemu: version, limits }))
    })
  })
})
