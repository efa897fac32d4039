/** Rows of the GPU VA space manager: what a step costs by the number of mappings and by the steps of a request, and requests with tables. */
import { SZ_4K, SZ_64K } from '@io-pgtable/core'
import { GpuAddressSpace, type GpuBo, GpuVm, type GpuVmBo, type GpuVmOps } from '@io-pgtable/gpuvm'
import { expectEqual, type Pass, type Row } from './row.ts'
import { newPool, PROT, type Subject } from './subject.ts'

const PAGE = BigInt(SZ_4K)
/** Pages of a mapping; each is a third of the way to the next one, so that requests meet holes, too. */
const PAGES = 4
const STRIDE = 12n * PAGE
const REQUESTS = 256

interface World {
  readonly vm: GpuVm
  readonly bo: GpuVmBo<GpuBo>
  /** Takes no action: the rows show the cost of the VA space alone. */
  readonly ops: GpuVmOps & { steps: number }
}

/** A VA space of `count` mappings of one buffer object. */
function worldOf(count: number): World {
  const vm = new GpuVm({ range: STRIDE * BigInt(count) })
  const bo = vm.obtain({ size: STRIDE * BigInt(count) })
  const counted = (): void => void ops.steps++
  const ops = { steps: 0, stepMap: counted, stepUnmap: counted, stepRemap: counted }
  for (let i = 0; i < count; i++) mapWhole({ vm, bo, ops }, STRIDE * BigInt(i))
  return { vm, bo, ops }
}

function mapWhole({ vm, bo, ops }: World, addr: bigint): void {
  vm.apply(vm.smMap({ addr, range: BigInt(PAGES) * PAGE, bo, offset: addr }), ops)
}

/** Splits scattered mappings by another one in their middle, and joins them again: remap, map; unmap three, map. */
function splitPass(count: number): Pass {
  const world = worldOf(count)
  const { vm, bo, ops } = world
  const addrs = Array.from({ length: REQUESTS }, (_, i) => STRIDE * BigInt(Math.floor((i * 0.6180339887 * count) % count)))
  return {
    run: () => {
      ops.steps = 0
      for (const addr of addrs) {
        vm.apply(vm.smMap({ addr: addr + PAGE, range: PAGE, bo, offset: 0n }), ops)
        mapWhole(world, addr)
      }
      return ops.steps
    },
    expected: REQUESTS * 6,
    verify: () => {
      expectEqual('mappings', vm.size, count)
      for (const addr of addrs) expectEqual('range', vm.find(addr + PAGE)?.range, BigInt(PAGES) * PAGE)
    },
  }
}

/** Unmaps a run of neighbours in one request. */
function unmapPass(count: number, steps: number): Pass {
  const world = worldOf(count)
  const { vm, ops } = world
  const first = Math.floor((count - steps) / 2)
  const addrs = Array.from({ length: steps }, (_, i) => STRIDE * BigInt(first + i))
  return {
    run: () => {
      ops.steps = 0
      vm.apply(vm.smUnmap({ addr: addrs[0]!, range: STRIDE * BigInt(steps) }), ops)
      return ops.steps
    },
    expected: steps,
    reset: () => {
      for (const addr of addrs) mapWhole(world, addr)
    },
    verify: () => expectEqual('mappings', vm.size, count - steps),
  }
}

/** Bytes of a request on tables. */
const BUFFER = BigInt(SZ_64K)

/** Maps scattered buffers, each in a request of its own, and unmaps them again: VA space and tables. */
function tablesPass(subject: Subject): Pass {
  const table = subject.create(newPool(subject.poolBytes))
  const vm = new GpuVm<GpuBo & { readonly paddr: bigint }>({ start: subject.iova, range: BigInt(subject.bytes) })
  const space = new GpuAddressSpace(vm, table)
  const bo = vm.obtain({ size: BigInt(subject.bytes), paddr: subject.paddr })
  const slots = subject.bytes / SZ_64K
  const ranges = Array.from({ length: REQUESTS }, (_, i) => {
    const offset = BUFFER * BigInt(Math.floor((i * 0.6180339887 * slots) % slots))
    return { addr: subject.iova + offset, range: BUFFER, bo, offset, flags: PROT }
  })
  const mapAll = (): void => {
    for (const range of ranges) space.map(range)
  }
  return {
    run: () => {
      const before = space.stats.steps
      mapAll()
      for (const range of ranges) space.unmap(range)
      return space.stats.steps - before
    },
    expected: REQUESTS * 2,
    verify: () => {
      expectEqual('mappings', vm.size, 0)
      mapAll()
      for (const { addr, offset } of ranges) expectEqual('translation', table.iovaToPhys(addr + 5n), subject.paddr + offset + 5n)
      for (const range of ranges) space.unmap(range)
      expectEqual('translation after', table.iovaToPhys(subject.iova), undefined)
    },
  }
}

/** Unbinds every second page of a mapping: as one series, or in a call each. */
function unbindPass(subject: Subject, operations: number, series: boolean): Pass {
  const table = subject.create(newPool(subject.poolBytes))
  const vm = new GpuVm<GpuBo & { readonly paddr: bigint }>({ start: subject.iova, range: BigInt(subject.bytes) })
  const space = new GpuAddressSpace(vm, table)
  const range = 2n * PAGE * BigInt(operations)
  const bo = vm.obtain({ size: range, paddr: subject.paddr })
  const all = { addr: subject.iova, range, bo, flags: PROT }
  const unbinds = Array.from({ length: operations }, (_, i) => ({
    op: 'unmap' as const,
    addr: subject.iova + 2n * PAGE * BigInt(i),
    range: PAGE,
  }))
  const reset = (): void => void space.map(all)
  reset()
  return {
    run: () => {
      if (series) return space.bind(unbinds).done
      for (const unbind of unbinds) space.unmap(unbind)
      return operations
    },
    expected: operations,
    reset,
    verify: () => {
      expectEqual('a page that went', table.iovaToPhys(subject.iova), undefined)
      expectEqual('the one behind it', table.iovaToPhys(subject.iova + PAGE), subject.paddr + PAGE)
    },
  }
}

const SERIES = [1, 10, 1_000, 100_000]
const SIZES = [1_000, 10_000, 100_000, 1_000_000]
const WIDTHS = [1, 16, 256, 4_096]

export function gpuvmRows(subject: Subject): Row[] {
  const splits = SIZES.map((count) => ({
    id: `gpuvm/split/${count}`,
    title: `split a mapping and join it again, in a VA space of ${count} mappings, no tables`,
    unit: 'step',
    units: REQUESTS * 6,
    full: count > 100_000,
    prepare: () => splitPass(count),
  }))
  const unmaps = WIDTHS.map((steps) => ({
    id: `gpuvm/unmap/${steps}`,
    title: `unmap ${steps} mappings in one request, of 10000, no tables`,
    unit: 'step',
    units: steps,
    prepare: () => unmapPass(10_000, steps),
  }))
  const tables = {
    id: `gpuvm/tables/${subject.format}`,
    title: 'map 64K, or unmap it, in a request of its own, with its tables',
    unit: 'request',
    units: REQUESTS * 2,
    prepare: () => tablesPass(subject),
  }
  const unbinds = SERIES.flatMap((operations) =>
    (['series', 'calls'] as const).map((how) => ({
      id: `gpuvm/unbind/${operations}/${how}`,
      title: `unbind ${operations} pages with holes between them, ${how === 'series' ? 'as one series' : 'in a call each'}`,
      unit: 'operation',
      units: operations,
      full: operations > 1_000,
      prepare: () => unbindPass(subject, operations, how === 'series'),
    })),
  )
  return [...splits, ...unmaps, tables, ...unbinds]
}
