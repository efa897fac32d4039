/** A scenario on one format: every request made, compared with a model, and told. */
import { type AnyFmt, type ConfigOf, IoPgtableError, pageSizes } from '@io-pgtable/core'
import { describeStep, type GpuVmPlan } from '@io-pgtable/gpuvm'
import type { Check } from '../report.ts'
import { GpuDriver, type JobResult, type Vm } from './driver.ts'
import type { GpuReport, GpuStepReport } from './gpu-report.ts'
import type { Buffer } from './memory.ts'
import { VmModel } from './model.ts'
import type { Scenario, Step } from './scenario.ts'
import { treeOf } from './tree.ts'
import { barOf, lettersOf } from './va-bar.ts'

/** What a step came to. */
interface Outcome {
  readonly plans: readonly GpuVmPlan<Buffer>[]
  readonly error?: IoPgtableError
  readonly job?: JobResult
}

/** Differences from the model that a report holds. */
const SHOWN = 10

class Run<F extends AnyFmt> {
  readonly driver: GpuDriver<F>
  readonly scenario: Scenario
  readonly vms = new Map<string, Vm>()
  readonly models = new Map<Vm, VmModel>()
  readonly buffers = new Map<string, Buffer>()
  readonly #letters: ReadonlyMap<string, string>
  readonly differences: string[] = []
  comparisons = 0
  compared = 0

  constructor(format: F, config: ConfigOf<F>, scenario: Scenario) {
    this.driver = new GpuDriver(format, config, scenario.slots, scenario.tables)
    this.scenario = scenario
    this.#letters = lettersOf(scenario.buffers.map(({ name }) => name))
    for (const { name, size, chunk } of scenario.buffers) this.buffers.set(name, this.driver.createBuffer(name, size, chunk))
    for (const spec of scenario.vms) {
      const vm = this.driver.createVm(spec.name, spec)
      this.vms.set(spec.name, vm)
      this.models.set(vm, new VmModel(vm))
    }
  }

  /** One step, and all that can be seen after it. */
  step(step: Step, number: number): GpuStepReport {
    const before = this.driver.firmware.counts.flushes
    const { plans, error, job } = this.#outcomeOf(step)
    const went = error?.code ?? job?.outcome ?? 'done'
    const wanted = step.refused ?? (step.op === 'job' && step.faults ? 'fault' : 'done')
    const changed = step.op !== 'job' || job?.faults.some(({ fix }) => fix !== undefined)
    if (changed || number === this.scenario.steps.length) this.#compare(number)
    return {
      number,
      op: step.op,
      ...subjectOf(step),
      note: step.note,
      plans: plans.map((plan) => plan.steps.map(describeStep)),
      outcome: went,
      asExpected: went === wanted,
      message: error?.message ?? job?.message,
      faults: (job?.faults ?? []).map(({ fix, ...fault }) => ({ ...fault, fix: fix?.steps.map(describeStep) })),
      flushes: this.driver.firmware.counts.flushes - before,
      bars: [...this.vms.values()].map(({ name, space }) => ({ vm: name, cells: barOf(space.vm, this.#letters) })),
    }
  }

  #outcomeOf(step: Step): Outcome {
    try {
      return this.#do(step)
    } catch (error) {
      if (error instanceof IoPgtableError) return { plans: [], error }
      throw error
    }
  }

  #do(step: Step): Outcome {
    const { driver } = this
    if (step.op === 'evict' || step.op === 'restore') return { plans: driver[step.op](this.#buffer(step.buffer)) }
    const vm = this.#vm(step.vm)
    const model = this.models.get(vm)
    if (step.op === 'unmap') {
      const plan = driver.unmap(vm, step.at, step.size)
      model?.unmap(step.at, step.size)
      return { plans: [plan] }
    }
    if (step.op !== 'job') {
      const { at, size, offset, prot, chunk } = step
      const buffer = this.#buffer(step.buffer)
      if (step.op === 'heap') {
        vm.heaps.push({ addr: at, size: Number(size), buffer, chunk, prot })
        return { plans: [] }
      }
      const plan = driver.map(vm, at, buffer, offset, size, prot)
      model?.map(at, size, buffer, offset, prot)
      return { plans: [plan] }
    }
    const job = driver.run(vm, step.commands)
    for (const { fix } of job.faults)
      for (const one of fix?.steps ?? [])
        if (one.op === 'map') model?.map(one.va.addr, one.va.range, one.va.bo.object, one.va.offset, one.va.flags)
    return { plans: [], job }
  }

  #vm(name: string): Vm {
    return known(this.vms.get(name), name)
  }

  #buffer(name: string): Buffer {
    return known(this.buffers.get(name), name)
  }

  /** The descriptors' permissions take longer to read: at the end, and now and then. */
  #compare(number: number): void {
    const last = number === this.scenario.steps.length
    for (const [{ name }, model] of this.models) {
      this.comparisons++
      this.compared += model.pages
      const differences = [...model.differences(), ...(last || number % 16 === 0 ? model.permissions() : [])]
      for (const difference of differences) this.differences.push(`after step ${number}, ${name}: ${difference}`)
    }
  }
}

function known<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Error(`${name} is not known`)
  return value
}

function subjectOf(step: Step): Pick<GpuStepReport, 'vm' | 'buffer' | 'at' | 'size' | 'prot' | 'commands'> {
  return {
    vm: 'vm' in step ? step.vm : undefined,
    buffer: 'buffer' in step ? step.buffer : undefined,
    at: 'at' in step ? step.at : undefined,
    size: 'size' in step ? step.size : undefined,
    prot: 'prot' in step ? step.prot : undefined,
    commands: 'commands' in step ? step.commands : undefined,
  }
}

/** Runs a scenario. @throws what the scenario's VMs and buffers themselves give: ranges that the format does not translate, no memory */
export function runScenario<F extends AnyFmt>(format: F, config: ConfigOf<F>, scenario: Scenario): GpuReport {
  const run = new Run(format, config, scenario)
  const { driver } = run
  const steps = scenario.steps.map((step, i) => run.step(step, i + 1))
  const vms = [...run.vms.values()]
  const tree = vms.map(({ name, table }) => ({ vm: name, lines: treeOf(table.access()) }))
  const totals = totalsOf(run, steps, tree)
  const agreed = vms[0]?.table.access().config
  const afterUnbind = driver.unbind()
  const report = {
    scenario: { name: scenario.name, about: scenario.about },
    format: format.FORMAT,
    title: format.title,
    ias: agreed?.ias ?? 0,
    oas: agreed?.oas ?? 0,
    pageSizes: pageSizes(agreed?.pgsizeBitmap ?? 0n),
    letters: Object.fromEntries(lettersOf(scenario.buffers.map(({ name }) => name))),
    vms: vms.map(({ name, space }) => ({ name, start: space.vm.start, range: space.vm.range })),
    steps,
    tree,
    totals,
    differences: run.differences.slice(0, SHOWN),
    differing: run.differences.length,
    afterUnbind,
    leakedBytes: driver.pool.stats().live,
  }
  return { ...report, checks: checksOf(report) }
}

function totalsOf(
  { driver, vms, comparisons, compared }: Run<AnyFmt>,
  steps: readonly GpuStepReport[],
  tree: GpuReport['tree'],
): GpuReport['totals'] {
  const spaces = [...vms.values()]
  const total = (of: (vm: Vm) => number): number => spaces.reduce((sum, vm) => sum + of(vm), 0)
  return {
    requests: total(({ space }) => space.stats.requests),
    steps: total(({ space }) => space.stats.steps),
    refused: steps.filter(({ outcome }) => /^E/.test(outcome)).length,
    cuts: total(({ space }) => space.stats.cuts),
    keptBytes: total(({ space }) => Number(space.stats.kept)),
    faults: steps.reduce((sum, { faults }) => sum + faults.length, 0),
    tables: tree.reduce((sum, { lines }) => sum + lines.filter(({ type }) => type === 'table').length, 0),
    tableBytes: total(({ table }) => table.access().tableBytes),
    peakBytes: driver.pool.stats().peak,
    ...driver.firmware.counts,
    byAddress: driver.tlb.counts,
    tlbHits: driver.mmu.hits,
    tlbWalks: driver.mmu.walks,
    stalls: driver.mmu.stalls,
    comparisons,
    compared,
  }
}

function checksOf({ steps, differing, totals, afterUnbind, leakedBytes }: Omit<GpuReport, 'checks'>): Check[] {
  const asExpected = steps.filter((step) => step.asExpected).length
  const jobs = steps.filter(({ op }) => op === 'job')
  return [
    {
      name: 'every step went as the scenario says',
      ok: asExpected === steps.length && steps.length > 0,
      detail: `${asExpected} of ${steps.length}`,
    },
    {
      name: 'VA space and tables are as a model of pages has them',
      ok: differing === 0 && totals.comparisons > 0,
      detail: `${totals.compared.toLocaleString('en-US')} pages, ${differing} differ`,
    },
    { name: 'jobs read what was written', ok: jobs.every(({ outcome }) => outcome !== 'wrong'), detail: `${jobs.length} jobs` },
    { name: 'no access to a locked range', ok: totals.stalls === 0, detail: `${totals.locks} locks` },
    { name: 'a table that was kept is dead after the unbind', ok: afterUnbind === 'ENODEV', detail: afterUnbind },
    { name: 'bytes leaked', ok: leakedBytes === 0, detail: `${leakedBytes}` },
  ]
}
