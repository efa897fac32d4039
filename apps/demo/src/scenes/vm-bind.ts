import type { AnyFmt, ConfigOf } from '@io-pgtable/core'
import { describeStep } from '@io-pgtable/gpuvm'
import { onBoth, pagesOf } from '../formats.ts'
import { barOf, LEGEND } from '../gpu/bar.ts'
import { type Buffer, GpuDriver, wrongPages } from '../gpu/driver.ts'
import type { Scene } from '../stage.ts'
import { bytes } from '../text.ts'

const MiB = 0x10_0000n

function drive<F extends AnyFmt>(format: F, config: ConfigOf<F>) {
  const driver = new GpuDriver(format, config)
  const vm = driver.createVm('game', 0n, 16n * MiB)
  const textures: Buffer = { name: 'textures', size: 3n * MiB, chunk: 0x1_0000, paddr: 0x9100_0000n }
  const frame: Buffer = { name: 'frame', size: 4n * MiB, paddr: 0xa000_0000n }
  const overlay: Buffer = { name: 'overlay', size: MiB, paddr: 0xb000_1000n }
  // a job gives the VM a slot, so that its requests lock and flush the GPU
  driver.run(vm, [])
  const requests = [
    () => driver.bind(vm, MiB, textures),
    () => driver.bind(vm, 8n * MiB, frame),
    () => driver.bind(vm, 0x90_1000n, overlay, 0xf_e000n),
    () => vm.space.unmap({ addr: 2n * MiB, range: 0x18_8000n }),
    () => driver.bind(vm, MiB, textures, MiB / 2n),
  ]
  const steps = requests.map((request) => ({ plan: request().steps.map(describeStep), bar: barOf(vm.space.vm), wrong: wrongPages(vm) }))
  const { cuts, kept } = vm.space.stats
  const pages = pagesOf(vm.table.access(), 8n * MiB, 4 * Number(MiB))
  driver.device.unbind()
  return { name: format.FORMAT, steps, pages, cuts, kept: Number(kept), locks: driver.gpu.flushes, leaked: driver.pool.stats().live }
}

export const vmBind: Scene = {
  title: 'A GPU VA space',
  about:
    'A driver in the manner of Tyr: each request is planned, its range locked, done on the tables, and flushed as it is unlocked. A map takes the place of what is there; what reaches over its ends stays.',
  play(stage) {
    const both = onBoth(drive)
    for (const { plan, bar } of both[0].steps) {
      stage.say(plan.join('\n'))
      stage.bar('game', bar)
    }
    stage.say(LEGEND)
    stage.table(
      ['format', 'pages of frame and overlay', 'cuts', 'kept', 'flushes'],
      both.map(({ name, pages, cuts, kept, locks }) => [name, pages, cuts, bytes(kept), locks]),
    )
    const plans = both.map(({ steps }) => JSON.stringify(steps.map(({ plan, bar }) => [plan, bar])))
    stage.check('both formats plan alike, and end alike', plans[0] === plans[1], `${both[0].steps.length} requests`)
    for (const { name, steps, cuts, kept, leaked } of both) {
      stage.check(`${name}: every page is where the VA space says`, leaked === 0 && steps.every(({ wrong }) => wrong === 0))
      stage.check(`${name}: cuts at the overlay's ends; what is mapped again stays`, cuts > 0 && kept === Number(MiB / 2n))
    }
    stage.check(
      'a request flushes once at most',
      both.every(({ locks, steps }) => locks > 0 && locks <= steps.length),
    )
  },
}
