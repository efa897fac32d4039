import { type AnyFmt, type ConfigOf, Device, IoPageTable, IoPgtableError, Prot } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { onBoth } from '../formats.ts'
import type { Scene } from '../stage.ts'

/** The code of the error that `use` throws. */
function codeOf(use: () => unknown): string {
  try {
    use()
    return 'works'
  } catch (error) {
    return error instanceof IoPgtableError ? error.code : String(error)
  }
}

function drive<F extends AnyFmt>(format: F, config: ConfigOf<F>) {
  const events: string[] = []
  const allocator = new PtPool({ base: 0x8000_0000n, size: 2 ** 20, name: 'gpu tables' })
  const device = new Device('gpu').bind()
  const tlb = { flushAll: () => void events.push('flushAll'), flushWalk() {}, sync() {} }
  const resource = IoPageTable.create(device, format, { allocator, tlb, ...config })
  const kept = resource.access()
  kept.map(0x10_0000n, 0x9000_0000n, 4096, Prot.READ)
  const look = (when: string) => {
    const [access, use] = [() => resource.access(), () => kept.iovaToPhys(0x10_0000n)].map(codeOf) as [string, string]
    return { when, state: device.bound ? 'bound' : device.unbinding ? 'unbinding' : 'unbound', access, use, live: allocator.stats().live }
  }
  const steps = [look('a driver is at work')]
  const job = resource.acquire()
  device.unbind()
  steps.push(look('unplugged in a job'))
  job.release()
  steps.push(look('the job has ended'))
  return { name: format.FORMAT, steps, events, second: codeOf(() => IoPageTable.create(device, format, { allocator, tlb, ...config })) }
}

export const lifetime: Scene = {
  title: "A device's lifetime",
  about:
    'A table lives no longer than the binding of its device. An unbind ends access at once, waits for a job that is running, and frees the tables after a last flush.',
  play(stage) {
    const both = onBoth(drive)
    const rows = both[0].steps.map(({ when, state, access, use, live }) => [when, state, access, use, live])
    stage.table(['when', 'device', 'new access', 'kept reference', 'table bytes'], rows)
    for (const { name, steps, events, second } of both) {
      const [, running, ended] = steps
      stage.check(`${name}: a job keeps its table, and nobody else gets it`, running?.access === 'ENODEV' && running.use === 'works')
      stage.same(`${name}: a kept reference after it`, ended?.use ?? '', 'ENODEV')
      stage.check(`${name}: one flush of everything, and no byte leaked`, events.join() === 'flushAll' && ended?.live === 0, events.join())
      stage.same(`${name}: a table for a device that is not bound`, second, 'ENODEV')
    }
  },
}
