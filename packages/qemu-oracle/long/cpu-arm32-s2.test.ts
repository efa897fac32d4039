/** An ARMv7 CPU of QEMU walks arm32-lpae-s2 below tables of arm32-lpae-s1, which reach all of its 40 bits. */
import { arm32LpaeS2 } from '@io-pgtable/arm32-lpae-s2'
import { Prot, SZ_1M, SZ_4K } from '@io-pgtable/core'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { Arm32 } from '../src/cpu/arm32.ts'
import { ARM_LIMITS, ARM_TARGETS, ARM_VECTORS, armTables } from '../src/cpu/arm64.ts'
import { a32AccessCode, a32Landmark } from '../src/cpu/guest-a32.ts'
import { leafBits, S2AP_FLIPS, STAGE2_PROTS, stage2Flips, stage2Rules, XN_FLIP } from '../src/cpu/lpae.ts'
import { nested } from '../src/cpu/nested.ts'
import { physicalOf, Subject } from '../src/cpu/subject.ts'
import { record, requirement } from '../src/machine/index.ts'

const qemu = requirement('arm')
const RULES = stage2Rules('aarch32')
const SZ_4M = 4 * SZ_1M
/** As stage 2 maps it: RAM begins at 1 GiB, which not all inputs reach. */
const NESTED = {
  tables: { iova: 0x0800_0000n, paddr: 0x4400_0000n, size: SZ_4M },
  code: { iova: 0x0100_0000n, paddr: ARM_VECTORS, size: SZ_4K },
}
const LIMITS = [
  ...ARM_LIMITS,
  'a translation that stage 2 refuses for its permission ends the model: such accesses are loads, stores and fetches',
]

describe.skipIf(qemu.skip)(qemu.title('an ARMv7 CPU and arm32-lpae-s2'), () => {
  let cpu: Arm32
  beforeAll(async () => {
    cpu = await Arm32.start()
  })
  afterAll(() => cpu.stop())

  const codable = arm32LpaeS2.configs.filter(
    ({ config }) => config.quirks === undefined && arm32LpaeS2.regs(arm32LpaeS2.configure(config), [0n], '').vtcrValue !== undefined,
  )
  it.each(codable)('$name', async ({ name, config }) => {
    const { qtest, version } = cpu.machine
    const subject = new Subject(qtest, armTables(config.oas), arm32LpaeS2, config, RULES)
    const { table } = subject
    subject.fix({ ...NESTED.tables, prot: Prot.READ | Prot.WRITE | Prot.CACHE })
    subject.fix({ ...NESTED.code, prot: Prot.READ | Prot.CACHE })
    void qtest.write(ARM_VECTORS, a32AccessCode())
    subject.draw({ count: 2000, prots: STAGE2_PROTS })
    const reachable = subject.draw({ count: 300, prots: STAGE2_PROTS, target: ARM_TARGETS })
    const { vttbr, vtcrValue = 0n } = table.regs
    const ask = nested(cpu, NESTED, { vttbr, vtcr: vtcrValue })
    const spots = subject.spots(500)
    const grants = (flag: Prot) => spots.filter(({ mapping }) => mapping === undefined || (mapping.prot & flag) !== 0)
    await subject.check(grants(Prot.READ), ask, ['priv read'])
    await subject.check(grants(Prot.WRITE), ask, ['priv write'])
    const prepare = (paddrs: readonly bigint[]): void => {
      for (const paddr of paddrs) void qtest.write(paddr, a32Landmark())
    }
    const landmarks = subject.spotsIn(reachable, 16n)
    prepare(landmarks.map(physicalOf))
    await subject.check(landmarks, ask, ['priv run'])
    const data = landmarks.map((spot) => ({ ...spot, iova: spot.iova + 8n }))
    await subject.check(data, ask, ['priv load', 'priv store'])
    const readable = subject.model.list.filter(({ prot }) => (prot & Prot.READ) !== 0)
    await subject.catchFlips(stage2Flips(leafBits(table.geometry)), ask, { among: readable })
    await subject.catchFlips([...S2AP_FLIPS, XN_FLIP], ask, { among: reachable, prepare })
    record(subject.outcome({ oracle: 'ARMv7 MMU', config: name, qemu: version, limits: LIMITS }))
  })
})
