/**
 * The cases of the kernel documentation "DRM GPUVM", section "Split and Merge", each under its number there: what is mapped, what is
 * asked for, the steps, and what is mapped then. Addresses and offsets are the diagrams', in pages; `n` is page 10 of a buffer object.
 */
import { describe, expect, test } from 'vitest'
import { type GpuVa, GpuVm, type GpuVmPlan, type GpuVmStep } from '../src/index.ts'

type Bo = 'a' | 'b'
/** First page, the one behind the last, buffer object, page in it. */
type Shown = readonly [from: number, to: number, bo: Bo, offset: number]

const PAGE = 4096n
const N = 10
const M = 70

function shown({ addr, end, bo, offset }: GpuVa): Shown {
  return [Number(addr / PAGE), Number(end / PAGE), bo.name as Bo, Number(offset / PAGE)]
}

function world(old: Shown) {
  const vm = new GpuVm({ range: 1n << 32n })
  const bos = { a: vm.obtain({ name: 'a', size: 1n << 30n }), b: vm.obtain({ name: 'b', size: 1n << 30n }) }
  const request = ([from, to, bo, offset]: Shown) => ({
    addr: BigInt(from) * PAGE,
    range: BigInt(to - from) * PAGE,
    bo: bos[bo],
    offset: BigInt(offset) * PAGE,
  })
  const apply = (plan: GpuVmPlan): string[] => {
    const seen: string[] = []
    const note = (step: GpuVmStep): void => void seen.push(stepText(step))
    vm.apply(plan, { stepMap: note, stepUnmap: note, stepRemap: note })
    return seen
  }
  apply(vm.smMap(request(old)))
  return { vm, request, apply }
}

function stepText(step: GpuVmStep): string {
  const keep = step.op !== 'map' && step.keep ? ' keep' : ''
  const text = (va: GpuVa | undefined): string => (va === undefined ? '-' : shown(va).join(' '))
  if (step.op !== 'remap') return `${step.op} ${text(step.va)}${keep}`
  return `remap ${text(step.va)}: prev ${text(step.prev)}, next ${text(step.next)}${keep}`
}

interface Case {
  readonly title: string
  readonly old: Shown
  readonly req: Shown
  readonly steps: readonly string[]
  readonly now: readonly Shown[]
}

const CASES: readonly Case[] = [
  {
    title: '1) requested mapping is identical: replace it, but the backing PTEs could be kept',
    old: [0, 1, 'a', N],
    req: [0, 1, 'a', N],
    steps: ['unmap 0 1 a 10 keep', 'map 0 1 a 10'],
    now: [[0, 1, 'a', N]],
  },
  {
    title: '2) requested mapping is identical, except for the BO offset: replace the mapping',
    old: [0, 1, 'a', N],
    req: [0, 1, 'a', M],
    steps: ['unmap 0 1 a 10', 'map 0 1 a 70'],
    now: [[0, 1, 'a', M]],
  },
  {
    title: '3) requested mapping is identical, except for the backing BO: replace the mapping',
    old: [0, 1, 'a', N],
    req: [0, 1, 'b', N],
    steps: ['unmap 0 1 a 10', 'map 0 1 b 10'],
    now: [[0, 1, 'b', N]],
  },
  {
    title: '4) existent mapping is a left aligned subset of the requested one: replace the existing one',
    old: [0, 1, 'a', N],
    req: [0, 2, 'a', N],
    steps: ['unmap 0 1 a 10 keep', 'map 0 2 a 10'],
    now: [[0, 2, 'a', N]],
  },
  {
    title: '4) the same with a different BO',
    old: [0, 1, 'a', N],
    req: [0, 2, 'b', N],
    steps: ['unmap 0 1 a 10', 'map 0 2 b 10'],
    now: [[0, 2, 'b', N]],
  },
  {
    title: '4) the same with a BO offset that is not contiguous',
    old: [0, 1, 'a', N],
    req: [0, 2, 'a', M],
    steps: ['unmap 0 1 a 10', 'map 0 2 a 70'],
    now: [[0, 2, 'a', M]],
  },
  {
    title: '5) requested range is a left aligned subset of the existing one, but backed by a different BO: split, adjusting its BO offset',
    old: [0, 2, 'a', N],
    req: [0, 1, 'b', N],
    steps: ['remap 0 2 a 10: prev -, next 1 2 a 11', 'map 0 1 b 10'],
    now: [
      [0, 1, 'b', N],
      [1, 2, 'a', N + 1],
    ],
  },
  {
    title: '5) the same with the same BO and an offset that is not contiguous',
    old: [0, 2, 'a', N],
    req: [0, 1, 'a', M],
    steps: ['remap 0 2 a 10: prev -, next 1 2 a 11', 'map 0 1 a 70'],
    now: [
      [0, 1, 'a', M],
      [1, 2, 'a', N + 1],
    ],
  },
  {
    title: '6) existent mapping is a superset of the requested mapping, left aligned: split it up, but the backing PTEs could be kept',
    old: [0, 2, 'a', N],
    req: [0, 1, 'a', N],
    steps: ['remap 0 2 a 10: prev -, next 1 2 a 11 keep', 'map 0 1 a 10'],
    now: [
      [0, 1, 'a', N],
      [1, 2, 'a', N + 1],
    ],
  },
  {
    title:
      '7) requested range is a right aligned subset of the existing one, but backed by a different BO: split, without adjusting the BO offset',
    old: [0, 2, 'a', N],
    req: [1, 2, 'b', M],
    steps: ['remap 0 2 a 10: prev 0 1 a 10, next -', 'map 1 2 b 70'],
    now: [
      [0, 1, 'a', N],
      [1, 2, 'b', M],
    ],
  },
  {
    title: '8) existent mapping is a superset of the requested mapping, right aligned: split it up, but the backing PTEs could be kept',
    old: [0, 2, 'a', N],
    req: [1, 2, 'a', N + 1],
    steps: ['remap 0 2 a 10: prev 0 1 a 10, next - keep', 'map 1 2 a 11'],
    now: [
      [0, 1, 'a', N],
      [1, 2, 'a', N + 1],
    ],
  },
  {
    title:
      '9) existent mapping is overlapped at the end by the requested mapping backed by a different BO: split, without adjusting the BO offset',
    old: [0, 2, 'a', N],
    req: [1, 3, 'b', M],
    steps: ['remap 0 2 a 10: prev 0 1 a 10, next -', 'map 1 3 b 70'],
    now: [
      [0, 1, 'a', N],
      [1, 3, 'b', M],
    ],
  },
  {
    title:
      '10) existent mapping is overlapped by the requested mapping, both having the same backing BO with a contiguous offset: PTEs could be kept',
    old: [0, 2, 'a', N],
    req: [1, 3, 'a', N + 1],
    steps: ['remap 0 2 a 10: prev 0 1 a 10, next - keep', 'map 1 3 a 11'],
    now: [
      [0, 1, 'a', N],
      [1, 3, 'a', N + 1],
    ],
  },
  {
    title:
      '11) requested range is a centered subset of the existing one having a different backing BO: split it up into two, adjusting the right offset',
    old: [0, 3, 'a', N],
    req: [1, 2, 'b', M],
    steps: ['remap 0 3 a 10: prev 0 1 a 10, next 2 3 a 12', 'map 1 2 b 70'],
    now: [
      [0, 1, 'a', N],
      [1, 2, 'b', M],
      [2, 3, 'a', N + 2],
    ],
  },
  {
    title: '12) requested mapping is a contiguous subset of the existing one: split it up, but the backing PTEs could be kept',
    old: [0, 3, 'a', N],
    req: [1, 2, 'a', N + 1],
    steps: ['remap 0 3 a 10: prev 0 1 a 10, next 2 3 a 12 keep', 'map 1 2 a 11'],
    now: [
      [0, 1, 'a', N],
      [1, 2, 'a', N + 1],
      [2, 3, 'a', N + 2],
    ],
  },
  {
    title: '13) existent mapping is a right aligned subset of the requested one: replace the existing one',
    old: [1, 2, 'a', N + 1],
    req: [0, 2, 'a', N],
    steps: ['unmap 1 2 a 11 keep', 'map 0 2 a 10'],
    now: [[0, 2, 'a', N]],
  },
  {
    title: '13) the same with a different BO',
    old: [1, 2, 'a', N + 1],
    req: [0, 2, 'b', N],
    steps: ['unmap 1 2 a 11', 'map 0 2 b 10'],
    now: [[0, 2, 'b', N]],
  },
  {
    title: '14) existent mapping is a centered subset of the requested one: replace the existing one',
    old: [1, 2, 'a', N + 1],
    req: [0, 3, 'a', N],
    steps: ['unmap 1 2 a 11 keep', 'map 0 3 a 10'],
    now: [[0, 3, 'a', N]],
  },
  {
    title: '14) the same with a different BO',
    old: [1, 2, 'a', N + 1],
    req: [0, 3, 'b', N],
    steps: ['unmap 1 2 a 11', 'map 0 3 b 10'],
    now: [[0, 3, 'b', N]],
  },
  {
    title:
      '15) existent mapping is overlapped at the beginning by the requested mapping backed by a different BO: split, adjusting its BO offset',
    old: [1, 3, 'a', N],
    req: [0, 2, 'b', M],
    steps: ['remap 1 3 a 10: prev -, next 2 3 a 11', 'map 0 2 b 70'],
    now: [
      [0, 2, 'b', M],
      [2, 3, 'a', N + 1],
    ],
  },
]

describe('split and merge', () => {
  test.each(CASES)('$title', ({ old, req, steps, now }) => {
    const { vm, request, apply } = world(old)
    const plan = vm.smMap(request(req))
    expect([...vm.mappings()].map(shown)).toEqual([old])
    expect(plan.steps.map(stepText)).toEqual(steps)
    expect(apply(plan)).toEqual(steps)
    expect([...vm.mappings()].map(shown)).toEqual(now)
  })
})

interface UnmapCase {
  readonly title: string
  readonly from: number
  readonly to: number
  readonly steps: readonly string[]
  readonly now: readonly Shown[]
}

const UNMAPS: readonly UnmapCase[] = [
  { title: 'the mapping itself', from: 1, to: 4, steps: ['unmap 1 4 a 10'], now: [] },
  { title: 'more than the mapping', from: 0, to: 9, steps: ['unmap 1 4 a 10'], now: [] },
  { title: 'its beginning', from: 0, to: 2, steps: ['remap 1 4 a 10: prev -, next 2 4 a 11'], now: [[2, 4, 'a', 11]] },
  { title: 'its end', from: 3, to: 9, steps: ['remap 1 4 a 10: prev 1 3 a 10, next -'], now: [[1, 3, 'a', 10]] },
  {
    title: 'its middle',
    from: 2,
    to: 3,
    steps: ['remap 1 4 a 10: prev 1 2 a 10, next 3 4 a 12'],
    now: [
      [1, 2, 'a', 10],
      [3, 4, 'a', 12],
    ],
  },
  { title: 'where nothing is', from: 4, to: 9, steps: [], now: [[1, 4, 'a', 10]] },
]

describe('unmap', () => {
  test.each(UNMAPS)('$title', ({ from, to, steps, now }) => {
    const { vm, apply } = world([1, 4, 'a', N])
    const plan = vm.smUnmap({ addr: BigInt(from) * PAGE, range: BigInt(to - from) * PAGE })
    expect(apply(plan)).toEqual(steps)
    expect([...vm.mappings()].map(shown)).toEqual(now)
  })
})

test('any number of unmaps, up to two remaps, one map', () => {
  const { vm, request, apply } = world([0, 2, 'a', N])
  for (const from of [2, 4, 6]) apply(vm.smMap(request([from, from + 2, from === 4 ? 'b' : 'a', from])))
  expect(apply(vm.smMap(request([1, 7, 'b', M])))).toEqual([
    'remap 0 2 a 10: prev 0 1 a 10, next -',
    'unmap 2 4 a 2',
    'unmap 4 6 b 4',
    'remap 6 8 a 6: prev -, next 7 8 a 7',
    'map 1 7 b 70',
  ])
  expect([...vm.mappings()].map(shown)).toEqual([
    [0, 1, 'a', N],
    [1, 7, 'b', M],
    [7, 8, 'a', 7],
  ])
})
