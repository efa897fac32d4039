/** What the tests of all IOMMUs have in common. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Case, check, type Iommu } from '../src/iommu/index.ts'
import { requirement, type Target } from '../src/machine/index.ts'

/** Any seed will do; a failure says it. */
export const SEED = BigInt(process.env.ORACLE_SEED ?? 0x5eed_0001)

/** Starts an IOMMU once and gives it the cases one after the other. */
export function describeIommu<I extends Iommu>(target: Target, oracle: string, start: () => Promise<I>, cases: readonly Case<I>[]): void {
  const qemu = requirement(target)
  describe.skipIf(qemu.skip)(qemu.title(`${oracle} of QEMU walks our tables`), () => {
    let iommu: I | undefined
    beforeAll(async () => {
      iommu = await start()
    }, 60_000)
    afterAll(() => iommu?.machine.stop())

    for (const given of cases) {
      it(`${given.format.FORMAT}: ${given.name}`, async () => {
        const checked = await check(iommu!, oracle, given, SEED)
        const seed = `ORACLE_SEED=${SEED}`
        expect.soft(checked.wrong.slice(0, 20), seed).toEqual([])
        expect.soft(checked.stale, `stale though all callbacks arrived, ${seed}`).toEqual([])
        expect.soft(checked.unproven, `callbacks whose absence does not show, ${seed}`).toEqual([])
        expect.soft(checked.missed, `bits of descriptors, ${seed}`).toEqual([])
        expect.soft(checked.leaked).toBe(0)
        expect(checked.outcome.translations).toBeGreaterThan(1000)
        expect(checked.outcome.faults).toBeGreaterThan(300)
      })
    }
  })
}
