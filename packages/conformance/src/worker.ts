/** A worker of the concurrency laws: opens the shared table, makes its calls when the others are ready, and says what went wrong. */
import { type AnyFmt, hex, IoPageTable, IotlbGather } from '@io-pgtable/core'
import { builtin } from './check/environment.ts'
import type { WorkerAnswer, WorkerCall, WorkerJob } from './check/worker-protocol.ts'

interface Port {
  postMessage(answer: WorkerAnswer): void
  on(event: 'message', listen: (job: WorkerJob) => void): void
}

/** Problems that one worker tells at most. */
const MOST = 5

async function loadFormat({ module, format }: WorkerJob): Promise<AnyFmt> {
  const exports = Object.values((await import(module)) as Record<string, unknown>)
  const found = exports.find((value) => (value as AnyFmt | undefined)?.FORMAT === format)
  if (found === undefined) throw new Error(`${module} exports no format ${format}`)
  return found as AnyFmt
}

/** All workers begin at once: that is when they race for the upper tables. */
function meet({ gate, workers }: WorkerJob): void {
  Atomics.add(gate, 0, 1)
  Atomics.notify(gate, 0)
  for (let ready = Atomics.load(gate, 0); ready < workers; ready = Atomics.load(gate, 0)) Atomics.wait(gate, 0, ready, 5000)
}

function makeCall(table: IoPageTable, { op, iova, paddr, pgsize, count, prot, bytes }: WorkerCall): string | undefined {
  if (op === 'unmap') {
    const gather = new IotlbGather()
    const unmapped = table.unmapPages(iova, pgsize, count, gather)
    gather.sync()
    return unmapped === bytes ? undefined : `unmapPages(${hex(iova)}, ${hex(pgsize)}, ${count}): ${bytes} bytes expected, got ${unmapped}`
  }
  const { mapped, error } = table.mapPages(iova, paddr, pgsize, count, prot)
  if (mapped !== bytes || error !== undefined) return `mapPages(${hex(iova)}, ${hex(pgsize)}, ${count}): ${mapped} bytes, ${error?.message}`
  const last = iova + BigInt(bytes) - 1n
  const found = table.iovaToPhys(last)
  return found === paddr + BigInt(bytes) - 1n ? undefined : `iovaToPhys(${hex(last)}): ${found === undefined ? 'unmapped' : hex(found)}`
}

async function run(job: WorkerJob, port: Port): Promise<void> {
  const problems: string[] = []
  try {
    const format = await loadFormat(job)
    let paused = !job.pause
    const sync = (): void => {
      if (paused) return
      paused = true
      port.postMessage({ type: 'paused' })
      Atomics.wait(job.gate, 1, 0, 10_000)
    }
    const table = IoPageTable.attach(format, job.token, { sync })
    meet(job)
    for (const call of job.calls) {
      const problem = makeCall(table, call)
      if (problem !== undefined && problems.length < MOST) problems.push(problem)
    }
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error))
  }
  port.postMessage({ type: 'done', problems })
}

function listen(): void {
  const port = builtin<{ parentPort?: Port }>('node:worker_threads')?.parentPort
  if (port !== undefined && port !== null) port.on('message', (job) => void run(job, port))
  else {
    const scope = globalThis as unknown as { postMessage: Port['postMessage']; onmessage: (event: { data: WorkerJob }) => void }
    scope.onmessage = ({ data }) => void run(data, { postMessage: (answer) => scope.postMessage(answer), on: () => {} })
  }
}
listen()
