import type { AnyFmt, ConfigOf } from '@io-pgtable/core'
import { onBoth } from '../formats.ts'
import { barOf } from '../gpu/bar.ts'
import { type Buffer, GpuDriver } from '../gpu/driver.ts'
import type { Scene } from '../stage.ts'

const MiB = 0x10_0000n
const VIEWER = 0x4000_0000n

function drive<F extends AnyFmt>(format: F, config: ConfigOf<F>) {
  const driver = new GpuDriver(format, config, 1)
  const [game, viewer] = [driver.createVm('game', 0n, 16n * MiB), driver.createVm('viewer', VIEWER, 16n * MiB)]
  const frame: Buffer = { name: 'frame', size: 4n * MiB, paddr: 0x9000_0000n }
  driver.bind(game, 8n * MiB, frame)
  driver.bind(viewer, VIEWER + 2n * MiB, frame)
  const size = Number(frame.size)
  const drawn = driver.run(game, [{ op: 'fill', at: 8n * MiB, size, value: 0x11 }])
  // one slot: the game loses it, and its TLB
  const seen = driver.run(viewer, [{ op: 'expect', at: VIEWER + 2n * MiB, size, value: 0x11 }])
  const bars = [barOf(game.space.vm)]
  let away: ReturnType<typeof driver.run> | undefined
  driver.move(frame, 0xa000_0000n, [game, viewer], () => {
    bars.push(barOf(game.space.vm))
    away = driver.run(viewer, [{ op: 'expect', at: VIEWER + 2n * MiB, size: 4096, value: 0x11 }])
  })
  bars.push(barOf(game.space.vm))
  const back = driver.run(viewer, [{ op: 'expect', at: VIEWER + 2n * MiB, size, value: 0x11 }])
  const at = [game, viewer].map(({ table }, i) => table.access().iovaToPhys(i === 0 ? 8n * MiB : VIEWER + 2n * MiB))
  driver.device.unbind()
  return { name: format.FORMAT, drawn, seen, away, back, at, bars, stalls: driver.gpu.stalls, leaked: driver.pool.stats().live }
}

export const eviction: Scene = {
  title: 'Two programs, one slot, and a buffer that moves',
  about:
    "Two VMs share a frame, and take turns in the GPU's one slot. The frame's memory is needed elsewhere: it goes in both, and comes back at another place.",
  play(stage) {
    const both = onBoth(drive)
    for (const [i, what] of ['drawn', 'evicted', 'restored'].entries()) stage.bar(what, both[0].bars[i] ?? '')
    for (const { name, drawn, seen, away, back, at, bars, stalls, leaked } of both) {
      stage.check(
        `${name}: the viewer sees what the game drew`,
        drawn.faults.length === 0 && seen.wrong === undefined && seen.fault === undefined,
      )
      stage.check(
        `${name}: while it is away an access faults, at the same addresses`,
        away?.fault?.address === VIEWER + 2n * MiB && bars[0] === bars[2],
      )
      stage.check(
        `${name}: it is at its new place in both, with its contents`,
        back.wrong === undefined && at.every((paddr) => paddr === 0xa000_0000n),
      )
      stage.check(`${name}: no access came to a locked range, no byte leaked`, stalls + leaked === 0)
    }
  },
}
