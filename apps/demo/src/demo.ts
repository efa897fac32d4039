/** The whole demo: both parts into one report. */
import { armV7s } from '@io-pgtable/arm-v7s'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { pgsizeBitmap, SZ_1G, SZ_1M, SZ_2M, SZ_4K, SZ_16M, SZ_64K } from '@io-pgtable/core'
import { driveGpu } from './driver.ts'
import type { Dumps } from './dumps.ts'
import { readCpu } from './kernel-cpu.ts'
import { readSmmu } from './kernel-smmu.ts'
import type { CpuReport, DemoReport, DriverReport, SmmuReport } from './report.ts'

/**
 * Runs everything.
 * @throws `EBADMSG` for a dump that is no ELF core, or whose JSON lacks something
 */
export function runDemo(dumps: Dumps): DemoReport {
  const driver = [
    driveGpu(arm64LpaeS1, { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G), ias: 48, oas: 48 }),
    driveGpu(armV7s, { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M, SZ_16M), ias: 32, oas: 32 }),
  ]
  const smmuv3 = readSmmu(dumps.smmuv3)
  const armv7 = readCpu(dumps.armv7)
  const totals = totalsOf(driver, smmuv3, armv7)
  return { ok: totals.passed === totals.checks, totals, driver, smmuv3, armv7 }
}

function totalsOf(driver: readonly DriverReport[], smmuv3: SmmuReport, armv7: CpuReport): DemoReport['totals'] {
  const checks = [...driver, smmuv3, armv7].flatMap((part) => part.checks)
  const perStream = smmuv3.streams.flatMap(({ facts, mappings, rebuilt }) => [facts, mappings, rebuilt, rebuilt.registers])
  const comparisons = [...perStream, ...armv7.roots.map(({ mappings }) => mappings)]
  return {
    streams: smmuv3.streams.length,
    leaves: sum(smmuv3.streams.map(({ leaves }) => leaves)),
    identical: sum(smmuv3.streams.map(({ rebuilt }) => rebuilt.identical)),
    cpuMappings: sum(armv7.roots.map(({ leaves }) => leaves)),
    differences: sum(comparisons.map(({ differing }) => differing)),
    findings: smmuv3.findings.length + armv7.findings.length,
    leakedBytes: sum([...driver, smmuv3].map(({ leakedBytes }) => leakedBytes)),
    checks: checks.length,
    passed: checks.filter(({ ok }) => ok).length,
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0)
}
