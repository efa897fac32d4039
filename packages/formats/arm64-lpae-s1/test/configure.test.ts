/** Requests that the hardware cannot have, each refused with what was wrong; and what the others are narrowed to. */
import { IoPgtableError, pgsizeBitmap, SZ_1G, SZ_2M, SZ_4K, SZ_4T, SZ_16K, SZ_32M, SZ_64K, SZ_512M } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { type ArmLpaeS1Config, arm64LpaeS1 } from '../src/index.ts'

const GOOD: ArmLpaeS1Config = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G), ias: 48, oas: 48 }

test.each([
  ['an empty bitmap', { pgsizeBitmap: 0n }, 0n],
  ['no granule', { pgsizeBitmap: pgsizeBitmap(SZ_2M) }, pgsizeBitmap(SZ_2M)],
  ['no granule of this architecture', { pgsizeBitmap: 0x2000n }, 0x2000n],
  ['a negative ias', { ias: -1 }, -1],
  ['an ias that T0SZ cannot say', { ias: 15 }, 15],
  ['an ias that T0SZ cannot say with 64K', { pgsizeBitmap: pgsizeBitmap(SZ_64K), ias: 16 }, 16],
  ['an oas without a code', { oas: 41 }, 41],
  ['an oas without a code', { oas: 20 }, 20],
  ['a quirk of others', { quirks: ['ARM_MTK_EXT'] }, 'ARM_MTK_EXT'],
  ['outer write-back walks that snoop', { quirks: ['ARM_OUTER_WBWA'] }, 'ARM_OUTER_WBWA'],
  ['a page size of the CPU that is none', { cpuPageSize: 5000 }, 5000],
] as [string, object, unknown][])('%s is EINVAL', (_name, change, value) => {
  try {
    arm64LpaeS1.configure({ ...GOOD, ...change })
    expect.unreachable()
  } catch (error) {
    if (!(error instanceof IoPgtableError)) throw error
    expect([error.code, error.op, error.value]).toEqual(['EINVAL', 'arm64-lpae-s1 config', value])
    expect(error.message).toMatch(/: .+(expected|at least|only with|knows)/)
  }
})

test.each([
  ['the CPU page size, where it is offered', SZ_16K, [SZ_4K, SZ_16K, SZ_64K, SZ_2M, SZ_32M], [SZ_16K, SZ_32M]],
  ['the largest below it', SZ_64K, [SZ_4K, SZ_16K, SZ_2M, SZ_32M], [SZ_16K, SZ_32M]],
  ['the smallest above it', SZ_4K, [SZ_16K, SZ_64K, SZ_512M], [SZ_16K]],
  ['4K by default', undefined, [SZ_4K, SZ_64K, SZ_2M, SZ_1G, SZ_512M], [SZ_4K, SZ_2M, SZ_1G]],
] as [string, number | undefined, number[], number[]][])('the granule is %s', (_name, cpuPageSize, wanted, agreed) => {
  const config = arm64LpaeS1.configure({ ...GOOD, pgsizeBitmap: pgsizeBitmap(...wanted), ...(cpuPageSize && { cpuPageSize }) })
  expect(config.pgsizeBitmap).toBe(pgsizeBitmap(...agreed))
})

test('address bits are narrowed to what the granule has, and 4T comes with 52 output bits alone', () => {
  const sizes = (config: Partial<ArmLpaeS1Config>): unknown => {
    const { ias, oas, pgsizeBitmap } = arm64LpaeS1.configure({ ...GOOD, ...config })
    return [ias, oas, pgsizeBitmap]
  }
  const all = pgsizeBitmap(SZ_64K, SZ_512M, SZ_4T)
  expect(sizes({ ias: 64, oas: 64 })).toEqual([48, 48, GOOD.pgsizeBitmap])
  expect(sizes({ pgsizeBitmap: all, ias: 64, oas: 64 })).toEqual([52, 52, all])
  expect(sizes({ pgsizeBitmap: all, ias: 52, oas: 48 })).toEqual([52, 48, pgsizeBitmap(SZ_64K, SZ_512M)])
  expect(sizes({ pgsizeBitmap: pgsizeBitmap(SZ_16K), ias: 52, oas: 52 })).toEqual([48, 48, pgsizeBitmap(SZ_16K)])
})

test('defaults, and nothing left out', () => {
  expect(arm64LpaeS1.configure({ ...GOOD, quirks: ['ARM_HD', 'ARM_NS', 'ARM_HD'] })).toEqual({
    ...GOOD,
    quirks: ['ARM_HD', 'ARM_NS'],
    coherentWalk: true,
    cpuPageSize: SZ_4K,
    lpa2: false,
  })
})
