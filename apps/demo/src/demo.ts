/** The whole demo: both parts into one report. */
import { armV7s } from '@io-pgtable/arm-v7s'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { pgsizeBitmap, SZ_1G, SZ_1M, SZ_2M, SZ_4K, SZ_16M, SZ_64K } from '@io-pgtable/core'
import { driveGpu } from './driver.ts'
import type { Dumps } from './dumps.ts'
import { readAarch64 } from './kernel-aarch64.ts'
import { readArmv7 } from './kernel-armv7.ts'
import { readSmmu } from './kernel-smmu.ts'
import { readVtd } from './kernel-vtd.ts'
import type { DemoReport } from './report.ts'

/**
 * Runs everything.
 * @throws `EBADMSG` for a dump that is no ELF core, or whose JSON lacks something
 */
export function runDemo(dumps: Dumps): DemoReport {
  const driver = [
    driveGpu(arm64LpaeS1, { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G), ias: 48, oas: 48 }),
    driveGpu(armV7s, { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M, SZ_16M), ias: 32, oas: 32 }),
  ]
  const parts: Parts = {
    driver,
    smmuv3: readSmmu(dumps.smmuv3),
    armv7: readArmv7(dumps.armv7),
    aarch64: readAarch64(dumps.aarch64),
    vtd: readVtd(dumps.vtd),
  }
  const totals = totalsOf(parts)
  return { ok: totals.passed === totals.checks, totals, ...parts }
}

type Parts = Omit<DemoReport, 'ok' | 'totals'>

function totalsOf({ driver, smmuv3, armv7, aarch64, vtd }: Parts): DemoReport['totals'] {
  const images = [smmuv3, armv7, aarch64, vtd]
  const checks = [...driver, ...images].flatMap((part) => part.checks)
  const roots = [...armv7.roots, ...aarch64.roots]
  const comparisons = [
    ...smmuv3.streams.flatMap(({ facts, mappings, rebuilt }) => [facts, mappings, rebuilt, rebuilt.registers]),
    ...roots.map(({ mappings }) => mappings),
    ...vtd.streams.flatMap(({ facts, mappings }) => [facts, mappings]),
  ]
  return {
    streams: smmuv3.streams.length + vtd.streams.length,
    leaves: sum(smmuv3.streams.map(({ leaves }) => leaves)),
    identical: sum(smmuv3.streams.map(({ rebuilt }) => rebuilt.identical)),
    mappings: sum([...smmuv3.streams, ...roots, ...vtd.streams].map(({ leaves }) => leaves)),
    differences: sum(comparisons.map(({ differing }) => differing)),
    findings: sum(images.map(({ findings }) => findings.length)),
    leakedBytes: sum([...driver, smmuv3].map(({ leakedBytes }) => leakedBytes)),
    checks: checks.length,
    passed: checks.filter(({ ok }) => ok).length,
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0)
}
