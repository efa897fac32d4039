/** AArch64 CPUs of QEMU walk arm64-lpae-s1. */
import { type ArmLpaeS1Config, arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { Prot, pgsizeBitmap, SZ_1G, SZ_2M, SZ_4K, SZ_64K, SZ_512M } from '@io-pgtable/core'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { ARM_LIMITS, ARM_TARGETS, ARM_VECTORS, Arm64, armTables, TCR_EPD, TCR_HA_HD } from '../src/cpu/arm64.ts'
import { a64El1Vectors, a64Landmark } from '../src/cpu/guest-a64.ts'
import { leafBits, NEVER_FLIPS_A64, RUN, STAGE1_A64, stage1Flips, stage1Scramble } from '../src/cpu/lpae.ts'
import { outsideSpots } from '../src/cpu/outside.ts'
import { READ_AND_MAYBE_MORE } from '../src/cpu/question.ts'
import { physicalOf, Subject } from '../src/cpu/subject.ts'
import { record, requirement } from '../src/machine/index.ts'

const qemu = requirement('aarch64')

describe.skipIf(qemu.skip)(qemu.title('AArch64 CPUs and arm64-lpae-s1'), () => {
  let cpu: Arm64
  beforeAll(async () => {
    cpu = await Arm64.start('max')
  })
  afterAll(() => cpu.stop())

  const extra: { name: string; config: ArmLpaeS1Config }[] = [
    { name: '4K, 39 bits, TTBR1', config: { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G), ias: 39, oas: 40, quirks: ['ARM_TTBR1'] } },
  ]
  it.each([...arm64LpaeS1.configs, ...extra])('$name', async ({ name, config }) => {
    const { qtest } = cpu.machine
    const subject = new Subject(qtest, armTables(config.oas), arm64LpaeS1, config, STAGE1_A64)
    const { table } = subject
    const vectors = subject.place(ARM_VECTORS, Prot.READ | Prot.PRIV)
    void qtest.write(ARM_VECTORS, a64El1Vectors())
    subject.draw({ count: 2000, prots: READ_AND_MAYBE_MORE })
    const runnable = subject.draw({ count: 300, prots: READ_AND_MAYBE_MORE, target: ARM_TARGETS })
    const { ttbr, tcrValue, mair } = table.regs
    const half = table.config.quirks.includes('ARM_TTBR1') ? 'ttbr1' : 'ttbr0'
    const updates = table.config.quirks.includes('ARM_HD')
    const ask = cpu.stage1({ [half]: ttbr, tcr: tcrValue | (updates ? TCR_HA_HD : 0n), mair, vbar: vectors.iova })
    await subject.check(subject.spots(500), ask)
    await subject.check(outsideSpots(table.geometry, subject.random, 200, 0), ask)
    const prepare = (paddrs: readonly bigint[]): void => {
      for (const paddr of paddrs) void qtest.write(paddr, a64Landmark())
    }
    const landmarks = subject.spotsIn(runnable, 8n)
    prepare(landmarks.map(physicalOf))
    await subject.check(landmarks, ask, RUN)
    await subject.scramble(stage1Scramble(table, { ...table.context, updates }), ask)
    await subject.catchFlips(stage1Flips(leafBits(table.geometry), updates), ask)
    await subject.catchFlips(NEVER_FLIPS_A64, ask, { among: runnable, prepare })
    record(subject.outcome({ oracle: 'AArch64 MMU', config: name, qemu: cpu.machine.version, limits: ARM_LIMITS }))
  })

  it('TTBR0 and TTBR1', async () => {
    const { qtest, version } = cpu.machine
    const all = armTables(48)
    const half = all.size / 2
    const upper = { base: all.base + BigInt(half), size: half }
    const low: ArmLpaeS1Config = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G), ias: 39, oas: 48 }
    const top: ArmLpaeS1Config = { pgsizeBitmap: pgsizeBitmap(SZ_64K, SZ_512M), ias: 48, oas: 48, quirks: ['ARM_TTBR1'] }
    const first = new Subject(qtest, { ...all, size: half }, arm64LpaeS1, low, STAGE1_A64)
    const second = new Subject(qtest, upper, arm64LpaeS1, top, STAGE1_A64)
    first.draw({ count: 1500, prots: READ_AND_MAYBE_MORE })
    second.draw({ count: 1500, prots: READ_AND_MAYBE_MORE })
    const tcr = (first.table.regs.tcrValue & ~TCR_EPD.epd1) | (second.table.regs.tcrValue & ~TCR_EPD.epd0)
    const ask = cpu.stage1({ ttbr0: first.table.regs.ttbr, ttbr1: second.table.regs.ttbr, tcr, mair: first.table.regs.mair })
    for (const subject of [first, second]) {
      await subject.check(subject.spots(500), ask)
      await subject.catchFlips(stage1Flips(leafBits(subject.table.geometry)), ask)
    }
    const config = 'TTBR0 of 39 bits with 4K, TTBR1 of 48 bits with 64K'
    record(first.include(second).outcome({ oracle: 'AArch64 MMU', config, qemu: version, limits: ARM_LIMITS }))
  })
})
