import { type AnyFmt, type ConfigOf, Prot } from '@io-pgtable/core'
import { onBoth } from '../formats.ts'
import { type Buffer, GpuDriver } from '../gpu/driver.ts'
import { type Fault, faultText } from '../gpu/gpu.ts'
import type { Cell, Scene } from '../stage.ts'

const HEAP = 0xd0_0000n
const CHUNK = 0x1_0000n

function drive<F extends AnyFmt>(format: F, config: ConfigOf<F>) {
  const driver = new GpuDriver(format, config)
  const vm = driver.createVm('game', 0n, 0x100_0000n)
  const buffer: Buffer = { name: 'heap', size: 16n * CHUNK, chunk: Number(CHUNK), paddr: 0xa000_0000n }
  const shaders: Buffer = { name: 'shaders', size: CHUNK, paddr: 0x9000_0000n }
  driver.bind(vm, 0n, shaders, shaders.size, Prot.READ)
  vm.heap = { at: HEAP, buffer, chunk: CHUNK }
  const written = { at: HEAP, size: 150 * 1024, value: 0x44 }
  const { faults, fault, wrong } = driver.run(vm, [
    { op: 'fill', ...written },
    { op: 'expect', ...written },
  ])
  const readOnly = driver.run(vm, [{ op: 'fill', at: 0x4000n, size: 4096, value: 1 }])
  const nowhere = driver.run(vm, [{ op: 'expect', at: 0x80_0000n, size: 4096, value: 0 }])
  const { stalls } = driver.gpu
  driver.device.unbind()
  const done = fault === undefined && wrong === undefined
  return { name: format.FORMAT, faults, done, readOnly: readOnly.fault, nowhere: nowhere.fault, stalls, leaked: driver.pool.stats().live }
}

/** Where the walk ended, and what becomes of it. */
function rowOf({ access, address, walk: { walk } }: Fault, then: string): Cell[] {
  const last = walk.at(-1)
  if (last === undefined) throw new Error('a fault without a walk')
  return [access, address, last.node.level, last.table, last.index, last.raw, last.kind.name.toLowerCase(), then]
}

export const heapFault: Scene = {
  title: 'A job that faults',
  about:
    'A job writes 150 KiB into a heap that has no memory yet. Each fault says where the walk ended; the driver maps a chunk there, and the job goes on. Then a job that writes to what is read-only, and one that reads where nothing is.',
  play(stage) {
    for (const { name, faults, done, readOnly, nowhere, stalls, leaked } of onBoth(drive)) {
      stage.say(name)
      const rows = faults.map((fault) => rowOf(fault, 'fixed'))
      for (const fault of [readOnly, nowhere]) if (fault !== undefined) rows.push(rowOf(fault, 'ends'))
      stage.table(['access', 'address', 'level', 'table', 'index', 'descriptor', 'kind', 'then'], rows)
      const at = faults.map(({ address }) => address)
      stage.check(`${name}: three faults, one a chunk`, at.join() === [HEAP, HEAP + CHUNK, HEAP + 2n * CHUNK].join(), at.length)
      stage.check(`${name}: the job reads what it wrote`, done)
      stage.check(`${name}: a write to a read-only page ends a job`, readOnly?.walk.paddr !== undefined)
      stage.check(`${name}: a read of nothing ends a job`, nowhere?.walk.fault !== undefined, nowhere ? faultText(nowhere) : '')
      stage.check(`${name}: no access came to a locked range, no byte leaked`, stalls + leaked === 0)
    }
  },
}
