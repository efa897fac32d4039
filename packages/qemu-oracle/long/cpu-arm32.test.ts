/** An ARMv7 CPU of QEMU walks arm-v7s and arm32-lpae-s1. */
import { armV7s } from '@io-pgtable/arm-v7s'
import { arm32LpaeS1 } from '@io-pgtable/arm32-lpae-s1'
import { Prot, pgsizeBitmap, SZ_1M, SZ_4K, SZ_16M, SZ_64K } from '@io-pgtable/core'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { Arm32, DACR, SCTLR_BITS } from '../src/cpu/arm32.ts'
import { ARM_LIMITS, ARM_TARGETS, ARM_VECTORS, armTables } from '../src/cpu/arm64.ts'
import { a32Landmark, a32Pl1Vectors } from '../src/cpu/guest-a32.ts'
import { leafBits, NEVER_FLIPS_A32, RUN, STAGE1_A32, stage1Flips, stage1Scramble } from '../src/cpu/lpae.ts'
import { outsideSpots } from '../src/cpu/outside.ts'
import { READ_AND_MAYBE_MORE } from '../src/cpu/question.ts'
import { SHORT_RULES, shortFlips, shortScramble, XN_FLIP } from '../src/cpu/short.ts'
import { physicalOf, Subject } from '../src/cpu/subject.ts'
import { record, requirement } from '../src/machine/index.ts'

const qemu = requirement('arm')
const LIMITS = ['PAR tells no memory attributes of short descriptors', 'domains are clients or managers: one without access ends the model']
const DIRTY = 'AArch32 CPUs do not update dirty states: DBM is ignored'
const NO_PERMS = 'permissions are switched off by manager domains, as a walker that has none'

/** TTBCR.N for a TTBR0 that ends there, and no walks of TTBR1 (PD1). */
function splitOf(ias: number): bigint {
  return BigInt(32 - ias) | (1n << 5n)
}

describe.skipIf(qemu.skip)(qemu.title('an ARMv7 CPU'), () => {
  let cpu: Arm32
  beforeAll(async () => {
    cpu = await Arm32.start()
  })
  afterAll(() => cpu.stop())

  const low = arm32LpaeS1.configs.filter(({ config }) => arm32LpaeS1.regs(arm32LpaeS1.configure(config), [0n], '').ttbcr !== undefined)
  it.each(low)('arm32-lpae-s1, $name', async ({ name, config }) => {
    const { qtest, version } = cpu.machine
    const subject = new Subject(qtest, armTables(config.oas), arm32LpaeS1, config, STAGE1_A32)
    const { table } = subject
    const vectors = subject.place(ARM_VECTORS, Prot.READ | Prot.PRIV)
    void qtest.write(ARM_VECTORS, a32Pl1Vectors())
    subject.draw({ count: 2000, prots: READ_AND_MAYBE_MORE })
    const runnable = subject.draw({ count: 300, prots: READ_AND_MAYBE_MORE, target: ARM_TARGETS })
    const { ttbr, ttbcr = 0n, mair0, mair1 } = table.regs
    const half = table.config.quirks.includes('ARM_TTBR1') ? 'ttbr1' : 'ttbr0'
    const ask = cpu.stage1({ [half]: ttbr, ttbcr, mair0, mair1, vbar: vectors.iova })
    await subject.check(subject.spots(500), ask)
    if (half === 'ttbr0') await subject.check(outsideSpots(table.geometry, subject.random, 200, 1, (1n << 32n) - 1n), ask)
    const prepare = (paddrs: readonly bigint[]): void => {
      for (const paddr of paddrs) void qtest.write(paddr, a32Landmark())
    }
    const landmarks = subject.spotsIn(runnable, 8n)
    prepare(landmarks.map(physicalOf))
    await subject.check(landmarks, ask, RUN)
    const dirty = table.config.quirks.includes('ARM_HD')
    if (!dirty) await subject.scramble(stage1Scramble(table, table.context), ask)
    await subject.catchFlips(stage1Flips(leafBits(table.geometry)), ask)
    await subject.catchFlips(NEVER_FLIPS_A32, ask, { among: runnable, prepare })
    record(
      subject.outcome({
        oracle: 'ARMv7 MMU',
        config: name,
        qemu: version,
        limits: dirty ? [...ARM_LIMITS, DIRTY] : ARM_LIMITS,
      }),
    )
  })

  it.each(armV7s.configs.filter(({ config }) => config.quirks?.includes('ARM_MTK_EXT') !== true))(
    'arm-v7s, $name',
    async ({ name, config }) => {
      const { qtest, version } = cpu.machine
      const checked = config.quirks?.includes('NO_PERMS') !== true
      const subject = new Subject(
        qtest,
        armTables(config.oas),
        armV7s,
        config,
        checked ? SHORT_RULES : { ...SHORT_RULES, grants: () => true },
      )
      const { table } = subject
      const vectors = subject.place(ARM_VECTORS, Prot.READ | Prot.PRIV)
      void qtest.write(ARM_VECTORS, a32Pl1Vectors())
      subject.draw({ count: 2000, prots: READ_AND_MAYBE_MORE })
      const runnable = subject.draw({ count: 300, prots: READ_AND_MAYBE_MORE, target: ARM_TARGETS })
      const common = { ttbr0: table.regs.ttbr, ttbcr: splitOf(config.ias), vbar: vectors.iova }
      const { prrr, nmrr } = table.regs
      const remap = { mair0: BigInt(prrr), mair1: BigInt(nmrr) }
      const ask = cpu.stage1(
        checked
          ? { ...common, ...remap, sctlr: SCTLR_BITS.TRE | SCTLR_BITS.AFE }
          : { ...common, ...remap, sctlr: SCTLR_BITS.TRE, dacr: DACR.managers },
      )
      await subject.check(subject.spots(500), ask)
      await subject.check(outsideSpots(table.geometry, subject.random, 200, 1, (1n << 32n) - 1n), ask)
      const prepare = (paddrs: readonly bigint[]): void => {
        for (const paddr of paddrs) void qtest.write(paddr, a32Landmark())
      }
      const landmarks = subject.spotsIn(runnable, 8n)
      prepare(landmarks.map(physicalOf))
      await subject.check(landmarks, ask, RUN)
      if (checked) {
        await subject.scramble(shortScramble({ ...table.context, afe: true }), ask)
        await subject.scramble(shortScramble({ ...table.context, afe: false }), cpu.stage1({ ...common, ...remap, sctlr: SCTLR_BITS.TRE }))
        await subject.catchFlips([XN_FLIP], ask, { among: runnable, prepare })
      }
      await subject.catchFlips(shortFlips(checked), ask)
      record(subject.outcome({ oracle: 'ARMv7 MMU', config: name, qemu: version, limits: checked ? LIMITS : [...LIMITS, NO_PERMS] }))
    },
  )

  it('arm-v7s, TTBR0 and TTBR1', async () => {
    const { qtest, version } = cpu.machine
    const all = armTables(32)
    const half = all.size / 2
    const upper = { base: all.base + BigInt(half), size: half }
    const base = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M, SZ_16M), oas: 32 }
    const first = new Subject(qtest, { ...all, size: half }, armV7s, { ...base, ias: 31 }, SHORT_RULES)
    const second = new Subject(qtest, upper, armV7s, { ...base, ias: 32 }, SHORT_RULES)
    first.draw({ count: 1500, prots: READ_AND_MAYBE_MORE })
    // half of these lie where TTBR0 translates, and must not be seen
    second.draw({ count: 3000, prots: READ_AND_MAYBE_MORE })
    const { ttbr, prrr, nmrr } = first.table.regs
    const both = { ttbr0: ttbr, ttbr1: second.table.regs.ttbr, ttbcr: 1n }
    const ask = cpu.stage1({ ...both, mair0: BigInt(prrr), mair1: BigInt(nmrr), sctlr: SCTLR_BITS.TRE | SCTLR_BITS.AFE })
    await first.check(first.spots(500), ask)
    await second.check(
      second.spots(500).filter(({ iova }) => iova >= 1n << 31n),
      ask,
    )
    await first.catchFlips(shortFlips(true), ask)
    record(first.include(second).outcome({ oracle: 'ARMv7 MMU', config: 'TTBR0 and TTBR1', qemu: version, limits: LIMITS }))
  })
})
