/** `checkFlushOps`: a driver's own TLB maintenance, put to the test that the engine's contract passes. */
import type { AnyFmt } from '@io-pgtable/core'
import { makeCase } from './case.ts'
import { type CheckFormatOptions, caseOptions, runLaw, type TestFunction } from './check-format.ts'
import type { MakeFlushOps } from './flush-ops.ts'
import type { Law } from './law.ts'
import { runTlb } from './tlb-laws.ts'

export interface CheckFlushOpsOptions extends Pick<CheckFormatOptions, 'effort' | 'seed' | 'createTable'> {
  readonly test: TestFunction
  readonly format: AnyFmt
  /**
   * Makes the driver's callbacks for a modelled device. What they send to the hardware must end in `device.remove`, `removeAt` or
   * `removeAll`, with exactly what the architecture says that such a command removes.
   */
  readonly flushOps: MakeFlushOps
  /** Names of the configurations to test. Default: all that the format lists. */
  readonly configs?: readonly string[]
}

/** Registers a test for each configuration: random maps and unmaps under these callbacks, in which no stale translation may survive. */
export function checkFlushOps(options: CheckFlushOpsOptions): void {
  const { test, format, flushOps, configs } = options
  const law: Law = {
    name: 'tlb/flush-ops',
    says: "a driver's callbacks invalidate all that the engine asks for, by what the device's commands really remove",
    check(c) {
      runTlb(c, 'tlb/flush-ops', flushOps)
      return undefined
    },
  }
  for (const { name, config } of format.configs) {
    if (configs !== undefined && !configs.includes(name)) continue
    const made = (): ReturnType<typeof makeCase> => makeCase({ ...caseOptions(options), name, request: config, replay: undefined })
    test(`${format.FORMAT} · ${name} · ${law.name}`, () => runLaw(law, options, name, made, new Map()))
  }
}
