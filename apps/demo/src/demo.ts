/** The whole demo: all parts into one report. */
import { armV7s } from '@io-pgtable/arm-v7s'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { pgsizeBitmap, SZ_1G, SZ_1M, SZ_2M, SZ_4K, SZ_16M, SZ_64K } from '@io-pgtable/core'
import { driveGpu } from './driver.ts'
import type { Dumps } from './dumps.ts'
import type { GpuReport } from './gpu/gpu-report.ts'
import { runScenario } from './gpu/run.ts'
import { parseScenario, type Scenario } from './gpu/scenario.ts'
import { readAarch64 } from './kernel-aarch64.ts'
import { readArmv7 } from './kernel-armv7.ts'
import { readSmmu } from './kernel-smmu.ts'
import { readVtd } from './kernel-vtd.ts'
import { replay } from './replay.ts'
import type { Check, DemoReport } from './report.ts'

const ARM64 = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G), ias: 48, oas: 48 }
const V7S = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, SZ_1M, SZ_16M), ias: 32, oas: 32 }

/** A scenario on both formats, and the checks of both and of what they have in common. */
export function runGpu(scenario: Scenario): { reports: readonly GpuReport[]; checks: readonly Check[] } {
  const reports = [runScenario(arm64LpaeS1, ARM64, scenario), runScenario(armV7s, V7S, scenario)]
  const [first, ...others] = reports.map((report) => JSON.stringify(report.steps.map(seen)))
  const named = reports.flatMap(({ format, checks }) => checks.map((check) => ({ ...check, name: `${format}: ${check.name}` })))
  const same = {
    name: 'all formats: the same plans, outcomes and faults',
    ok: others.every((one) => one === first),
    detail: `${scenario.steps.length} steps`,
  }
  return { reports, checks: [...named, same] }
}

/** What of a step does not depend on the format. */
function seen({ plans, outcome, faults }: GpuReport['steps'][number]): unknown {
  return [plans, outcome, faults.map(({ address, access, fix }) => [String(address), access, fix])]
}

/**
 * Runs everything.
 * @throws `EBADMSG` for a dump that is no ELF core, or whose JSON lacks something
 */
export function runDemo(dumps: Dumps): DemoReport {
  const driver = [driveGpu(arm64LpaeS1, ARM64), driveGpu(armV7s, V7S)]
  const gpu = runGpu(parseScenario(dumps.scenario.text, dumps.scenario.name))
  const parts: Parts = {
    gpu: gpu.reports,
    gpuChecks: gpu.checks,
    driver,
    smmuv3: readSmmu(dumps.smmuv3),
    armv7: readArmv7(dumps.armv7),
    aarch64: readAarch64(dumps.aarch64),
    vtd: readVtd(dumps.vtd),
    traces: dumps.traces.map(({ trace, dump }) => replay(trace, dump)),
  }
  const totals = totalsOf(parts)
  return { ok: totals.passed === totals.checks, totals, ...parts }
}

type Parts = Omit<DemoReport, 'ok' | 'totals'>

function totalsOf({ gpu, gpuChecks, driver, smmuv3, armv7, aarch64, vtd, traces }: Parts): DemoReport['totals'] {
  const images = [smmuv3, armv7, aarch64, vtd]
  const checks = [...gpuChecks, ...[...driver, ...images, ...traces].flatMap((part) => part.checks)]
  const roots = [...armv7.roots, ...aarch64.roots]
  const comparisons = [
    ...smmuv3.streams.flatMap(({ facts, mappings, rebuilt }) => [facts, mappings, rebuilt, rebuilt.registers]),
    ...roots.map(({ mappings }) => mappings),
    ...vtd.streams.flatMap(({ facts, mappings }) => [facts, mappings]),
    ...traces.flatMap(({ kernel, independent }) => [kernel, independent]),
  ]
  return {
    streams: smmuv3.streams.length + vtd.streams.length,
    leaves: sum(smmuv3.streams.map(({ leaves }) => leaves)),
    identical: sum(smmuv3.streams.map(({ rebuilt }) => rebuilt.identical)),
    mappings: sum([...smmuv3.streams, ...roots, ...vtd.streams].map(({ leaves }) => leaves)),
    differences: sum(comparisons.map(({ differing }) => differing)),
    findings: sum([...images, ...traces].map(({ findings }) => findings.length)),
    leakedBytes: sum([...gpu, ...driver, smmuv3, ...traces].map(({ leakedBytes }) => leakedBytes)),
    checks: checks.length,
    passed: checks.filter(({ ok }) => ok).length,
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0)
}
