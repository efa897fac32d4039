/** A scenario on one format: every request made, and what it came to, compared with a model of pages. */
import { type AnyFmt, type ConfigOf, IoPgtableError } from '@io-pgtable/core'
import { describeStep, type GpuVmPlan } from '../../src/index.ts'
import { GpuDriver, type JobResult, type Vm } from './driver.ts'
import type { Buffer } from './memory.ts'
import { VmModel } from './model.ts'
import { RW, type Scenario, type Step } from './steps.ts'

/** What a step came to. */
export interface StepResult {
  /** The steps of each plan that was applied. */
  readonly plans: readonly (readonly string[])[]
  /** `done`, the code of an error, or how a job ended. */
  readonly outcome: string
  readonly asExpected: boolean
  readonly message: string | undefined
  /** Faults of a job: where the walk ended, and the steps that fixed it. */
  readonly faults: readonly {
    readonly address: bigint
    readonly access: string
    readonly level: number | undefined
    readonly descriptor: bigint | undefined
    readonly fix: readonly string[] | undefined
  }[]
  /** The VA spaces after it. */
  readonly spaces: readonly string[]
}

/** What a step came to before it is told. */
interface Outcome {
  readonly plans: readonly GpuVmPlan<Buffer>[]
  readonly error?: IoPgtableError
  readonly job?: JobResult
}

export interface RunResult {
  readonly steps: readonly StepResult[]
  /** Where VA spaces or tables are not as the model has them. */
  readonly differences: readonly string[]
  /** Comparisons with the model. */
  readonly comparisons: number
  readonly refused: number
  readonly faults: number
  readonly requests: number
  /** Blocks that were split for a boundary, and bytes whose descriptors stayed although their mapping was replaced. */
  readonly cuts: number
  readonly keptBytes: number
  readonly locks: number
  readonly flushes: number
  readonly switches: number
  readonly pagesByAddress: number
  /** Accesses that came to a locked range. */
  readonly stalls: number
  readonly peakBytes: number
  /** The code of the error that kept tables give after the device is gone, and what is left of their memory. */
  readonly afterUnbind: string
  readonly leakedBytes: number
}

class Run<F extends AnyFmt> {
  readonly driver: GpuDriver<F>
  readonly vms = new Map<string, Vm>()
  readonly differences: string[] = []
  comparisons = 0
  readonly #models = new Map<Vm, VmModel>()
  readonly #buffers = new Map<string, Buffer>()
  readonly #steps: number

  constructor(format: F, config: ConfigOf<F>, { slots, tables, buffers, vms, steps }: Scenario) {
    this.driver = new GpuDriver(format, config, slots, tables)
    this.#steps = steps.length
    for (const [name, { size, pieces }] of Object.entries(buffers)) this.#buffers.set(name, this.driver.createBuffer(name, size, pieces))
    for (const { name, start, size, kernel } of vms) {
      const reserved = kernel && { kernel: { addr: BigInt(kernel.at), range: BigInt(kernel.size) } }
      const vm = this.driver.createVm(name, { start: BigInt(start), range: BigInt(size), ...reserved })
      this.vms.set(name, vm)
      this.#models.set(vm, new VmModel(vm))
    }
  }

  /** One step, and all that can be seen after it. */
  step(step: Step, number: number): StepResult {
    const { plans, error, job } = this.#outcomeOf(step)
    const outcome = error?.code ?? job?.outcome ?? 'done'
    const wanted = step.refused ?? (step.op === 'job' && step.faults ? 'fault' : 'done')
    const changed = step.op !== 'job' || job?.faults.some(({ fix }) => fix !== undefined)
    if (changed || number === this.#steps) this.#compare(number)
    return {
      plans: plans.map((plan) => plan.steps.map(describeStep)),
      outcome,
      asExpected: outcome === wanted,
      message: error?.message ?? job?.message,
      faults: (job?.faults ?? []).map(({ address, access, walk, fix }) => {
        const last = walk.at(-1)
        return { address, access, level: last?.node.level, descriptor: last?.raw, fix: fix?.steps.map(describeStep) }
      }),
      spaces: [...this.vms.values()].flatMap(({ space }) =>
        [...space.vm.mappings()].map(({ addr, range, bo }) => `${addr} ${range} ${bo.object.name}`),
      ),
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
    const vm = known(this.vms.get(step.vm), step.vm)
    const model = this.#models.get(vm)
    if (step.op === 'job') return this.#job(vm, step)
    const [at, size] = [BigInt(step.at), BigInt(step.size)]
    if (step.op === 'unmap') {
      const plan = driver.unmap(vm, at, size)
      model?.unmap(at, size)
      return { plans: [plan] }
    }
    const buffer = this.#buffer(step.buffer)
    if (step.op === 'heap') {
      vm.heaps.push({ addr: at, size: step.size, buffer, chunk: step.chunk, prot: RW })
      return { plans: [] }
    }
    const plan = driver.map(vm, at, buffer, BigInt(step.offset), size, step.prot)
    model?.map(at, size, buffer, BigInt(step.offset), step.prot)
    return { plans: [plan] }
  }

  #job(vm: Vm, { commands }: Step & { op: 'job' }): Outcome {
    const job = this.driver.run(vm, commands)
    for (const { fix } of job.faults)
      for (const one of fix?.steps ?? [])
        if (one.op === 'map') this.#models.get(vm)?.map(one.va.addr, one.va.range, one.va.bo.object, one.va.offset, one.va.flags)
    return { plans: [], job }
  }

  #buffer(name: string): Buffer {
    return known(this.#buffers.get(name), name)
  }

  /** The descriptors' permissions take longer to read: at the end, and now and then. */
  #compare(number: number): void {
    for (const [{ name }, model] of this.#models) {
      this.comparisons++
      const differences = [...model.differences(), ...(number === this.#steps || number % 16 === 0 ? model.permissions() : [])]
      for (const difference of differences) this.differences.push(`after step ${number}, ${name}: ${difference}`)
    }
  }
}

function known<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Error(`${name} is not known`)
  return value
}

/** Runs a scenario. @throws what the scenario's VMs and buffers themselves give: ranges that the format does not translate, no memory */
export function runScenario<F extends AnyFmt>(format: F, config: ConfigOf<F>, scenario: Scenario): RunResult {
  const run = new Run(format, config, scenario)
  const { driver, differences } = run
  const steps = scenario.steps.map((step, i) => run.step(step, i + 1))
  const total = (of: (vm: Vm) => number): number => [...run.vms.values()].reduce((sum, vm) => sum + of(vm), 0)
  const counts = {
    requests: total(({ space }) => space.stats.requests),
    cuts: total(({ space }) => space.stats.cuts),
    keptBytes: total(({ space }) => Number(space.stats.kept)),
  }
  const afterUnbind = driver.unbind()
  const { live, peak } = driver.pool.stats()
  return {
    steps,
    differences,
    comparisons: run.comparisons,
    refused: steps.filter(({ outcome }) => /^E/.test(outcome)).length,
    faults: steps.reduce((sum, { faults }) => sum + faults.length, 0),
    ...counts,
    ...driver.firmware.counts,
    pagesByAddress: driver.pagesByAddress,
    stalls: driver.mmu.stalls,
    peakBytes: peak,
    afterUnbind,
    leakedBytes: live,
  }
}
