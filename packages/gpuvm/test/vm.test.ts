/** The VA space alone: what it refuses, looking at it, plans, buffer objects. */
import { describe, expect, test } from 'vitest'
import { describePlan, GpuVm, type GpuVmOps, type GpuVmPlan } from '../src/index.ts'

const PAGE = 4096n
const SIZE = 16n * PAGE
const RESERVED = { addr: 0x8000n, range: 2n * PAGE, name: 'kernel' }

const NOTHING: GpuVmOps = { stepMap() {}, stepUnmap() {}, stepRemap() {} }

function world() {
  const vm = new GpuVm({ name: 'vm0', start: PAGE, range: 1n << 20n, reserved: [RESERVED] })
  return { vm, bo: vm.obtain({ name: 'tex', size: SIZE }) }
}

function refused(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    const { code, value, message } = error as { code: string; value: unknown; message: string }
    return { code, value, message }
  }
  return 'taken'
}

describe('a VA space that cannot be', () => {
  const range = 1n << 20n
  test.each([
    ['zero bytes', { range: 0n }, 'EINVAL', 0n],
    ['a start that is not aligned', { start: 5n, range }, 'EINVAL', 5n],
    ['a granule that is no power of two', { range, granule: 3000 }, 'EINVAL', 3000],
    ['the end of the address space', { start: (1n << 64n) - PAGE, range: 2n * PAGE }, 'ERANGE', (1n << 64n) - PAGE],
    ['more granules than a number counts', { range: 1n << 63n, granule: 64 }, 'ERANGE', 1n << 63n],
    ['a number for a bigint', { range: 4096 as unknown as bigint }, 'EINVAL', 4096],
    ['a reserved range outside', { range, reserved: [{ addr: range, range: PAGE }] }, 'ERANGE', range],
    ['a reserved range of zero', { range, reserved: [{ addr: 0n, range: 0n }] }, 'EINVAL', 0n],
    [
      'reserved ranges that overlap',
      {
        range,
        reserved: [
          { addr: 0x3000n, range: PAGE },
          { addr: 0n, range: 4n * PAGE },
        ],
      },
      'EINVAL',
      0x3000n,
    ],
  ] as const)('%s', (_, options, code, value) => {
    expect(refused(() => new GpuVm(options))).toMatchObject({ code, value })
  })
})

test('the whole 64-bit space, and its last granule', () => {
  const vm = new GpuVm({ range: 1n << 64n })
  const bo = vm.obtain({ size: SIZE })
  vm.apply(vm.smMap({ addr: (1n << 64n) - PAGE, range: PAGE, bo }), NOTHING)
  expect([vm.find((1n << 64n) - 1n)?.range, vm.find((1n << 64n) - PAGE - 1n)]).toEqual([PAGE, undefined])
})

describe('a request that cannot be', () => {
  const { vm, bo } = world()
  const good = { addr: PAGE, range: 2n * PAGE, bo }
  vm.apply(vm.smMap(good), NOTHING)
  const before = [...vm.mappings()]
  const other = new GpuVm({ range: 1n << 20n }).obtain({ name: 'alien', size: SIZE })
  test.each([
    ['zero bytes', { range: 0n }, 'EINVAL', 0n],
    ['an address that is not aligned', { addr: 0x1001n }, 'EINVAL', 0x1001n],
    ['a range that is not aligned', { range: 5n }, 'EINVAL', 5n],
    ['an offset that is not aligned', { offset: 7n }, 'EINVAL', 7n],
    ['a negative address', { addr: -PAGE }, 'EINVAL', -PAGE],
    ['a number for a bigint', { addr: 4096 as unknown as bigint }, 'EINVAL', 4096],
    ['before the VA space', { addr: 0n }, 'ERANGE', 0n],
    ['over its end', { addr: 1n << 20n }, 'ERANGE', 1n << 20n],
    ['over the end of 64 bits', { addr: (1n << 64n) - PAGE }, 'ERANGE', (1n << 64n) - PAGE],
    ['into the reserved range', { addr: 0x7000n }, 'EINVAL', 0x7000n],
    ['in the reserved range', { addr: 0x8000n, range: PAGE }, 'EINVAL', 0x8000n],
    ['over the reserved range', { addr: PAGE, range: 16n * PAGE }, 'EINVAL', PAGE],
    ['beyond the buffer object', { offset: 15n * PAGE }, 'ERANGE', 15n * PAGE],
    ['a buffer object of another VM', { bo: other }, 'EINVAL', 'alien'],
    ['no buffer object', { bo: undefined as unknown as typeof bo }, 'EINVAL', undefined],
    ['flags that are no whole number', { flags: 0.5 }, 'EINVAL', 0.5],
    ['negative flags', { flags: -1 }, 'EINVAL', -1],
  ] as const)('%s', (_, wrong, code, value) => {
    expect(refused(() => vm.smMap({ ...good, ...wrong }))).toMatchObject({ code, value })
    expect([...vm.mappings()]).toEqual(before)
  })
  test.each([
    ['zero bytes', { range: 0n }, 'EINVAL'],
    ['over the reserved range', { range: 16n * PAGE }, 'EINVAL'],
    ['outside', { addr: 1n << 30n }, 'ERANGE'],
  ] as const)('unmap: %s', (_, wrong, code) => {
    expect(refused(() => vm.smUnmap({ ...good, ...wrong }))).toMatchObject({ code })
  })
  test('what it says', () => {
    expect(refused(() => vm.smMap({ ...good, addr: 0x7000n }))).toMatchObject({
      message: 'EINVAL: smMap: 0x7000..0x8fff touches the reserved range 0x8000..0x9fff (kernel)',
    })
  })
  test('the next granule to a reserved range is free', () => {
    vm.smMap({ ...good, addr: 0x6000n })
    vm.smMap({ ...good, addr: 0xa000n })
  })
})

test('looking: one address, a range, whether it is empty', () => {
  const { vm, bo } = world()
  for (const addr of [2n, 4n, 12n]) vm.apply(vm.smMap({ addr: addr * PAGE, range: PAGE, bo }), NOTHING)
  const addrs = (...range: [] | [bigint] | [bigint, bigint]) => [...vm.mappings(...range)].map(({ addr }) => addr / PAGE)
  expect(addrs()).toEqual([2n, 4n, 12n])
  expect(addrs(3n * PAGE)).toEqual([4n, 12n])
  expect(addrs(2n * PAGE, 3n * PAGE)).toEqual([2n, 4n])
  expect([1n, 2n, 3n].map((page) => vm.find(page * PAGE + 17n)?.addr)).toEqual([undefined, 2n * PAGE, undefined])
  expect([vm.find(0n), vm.find(1n << 40n)]).toEqual([undefined, undefined])
  expect([vm.isEmpty(5n * PAGE, 7n * PAGE), vm.isEmpty(5n * PAGE, 8n * PAGE)]).toEqual([true, false])
  expect(refused(() => vm.mappings(PAGE, 1n << 20n))).toBe('taken')
  expect(refused(() => vm.mappings(2n * PAGE, 1n << 20n))).toMatchObject({ code: 'ERANGE', value: 2n * PAGE })
  expect(refused(() => vm.find(5 as unknown as bigint))).toMatchObject({ code: 'EINVAL', value: 5 })
  expect(refused(() => vm.isEmpty(0n, PAGE))).toMatchObject({ code: 'ERANGE', value: 0n })
})

test('buffer objects: known once, released when nothing shows them', () => {
  const { vm, bo } = world()
  expect(vm.obtain(bo.object)).toBe(bo)
  vm.apply(vm.smMap({ addr: PAGE, range: 3n * PAGE, bo }), NOTHING)
  vm.apply(vm.smUnmap({ addr: 2n * PAGE, range: PAGE }), NOTHING)
  expect([bo.count, [...bo.mappings()].map(({ addr }) => addr / PAGE)]).toEqual([2, expect.arrayContaining([1n, 3n])])
  expect(refused(() => vm.release(bo))).toMatchObject({ code: 'EBUSY', value: 2 })
  vm.apply(vm.smUnmap({ addr: PAGE, range: 4n * PAGE }), NOTHING)
  vm.release(bo)
  expect([[...vm.bos], bo.count]).toEqual([[], 0])
  expect(refused(() => vm.smMap({ addr: PAGE, range: PAGE, bo }))).toMatchObject({ code: 'EINVAL', value: 'tex' })
  expect(refused(() => vm.release(bo))).toMatchObject({ code: 'EINVAL', value: 'tex' })
  for (const nothing of [undefined, {}, { size: 0n }, { size: 4096 }])
    expect(refused(() => vm.obtain(nothing as unknown as { size: bigint }))).toMatchObject({ code: 'EINVAL' })
})

test('a callback that throws: abort, and everything as before; the plan is still good', () => {
  const { vm, bo } = world()
  vm.apply(vm.smMap({ addr: PAGE, range: 4n * PAGE, bo }), NOTHING)
  const before = [...vm.mappings()]
  const plan = vm.smMap({ addr: 2n * PAGE, range: PAGE, bo, offset: 8n * PAGE })
  const seen: unknown[] = []
  const boom = new Error('boom')
  const throwing = (which: string): GpuVmOps => {
    const at = (name: string) => (): void => {
      seen.push(name)
      if (name === which) throw boom
    }
    const abort = (_: GpuVmPlan, error: unknown): void => void seen.push(['abort', error])
    return { begin: at('begin'), stepMap: at('map'), stepUnmap: at('unmap'), stepRemap: at('remap'), end: at('end'), abort }
  }
  for (const which of ['begin', 'remap', 'map', 'end']) {
    expect(() => vm.apply(plan, throwing(which))).toThrow(boom)
    expect(seen.splice(0).slice(-2)).toEqual([which, ['abort', boom]])
    expect([...vm.mappings()]).toEqual(before)
  }
  vm.apply(plan, throwing('none'))
  expect(seen).toEqual(['begin', 'remap', 'map', 'end'])
  expect(vm.size).toBe(3)
})

test('a plan that was overtaken, one of another VM, and a request inside a request', () => {
  const { vm, bo } = world()
  const first = vm.smMap({ addr: PAGE, range: PAGE, bo })
  const second = vm.smMap({ addr: 4n * PAGE, range: PAGE, bo })
  const inside = (): void => vm.apply(second, NOTHING)
  expect(refused(() => vm.apply(first, { ...NOTHING, stepMap: inside }))).toMatchObject({ code: 'EBUSY' })
  vm.apply(first, NOTHING)
  expect(refused(() => vm.apply(second, NOTHING))).toMatchObject({ code: 'EINVAL' })
  expect(refused(() => vm.apply(first, NOTHING))).toMatchObject({ code: 'EINVAL' })
  const other = new GpuVm({ range: 1n << 20n })
  expect(refused(() => other.apply(vm.smUnmap({ addr: PAGE, range: PAGE }), NOTHING))).toMatchObject({ code: 'EINVAL' })
  expect(vm.size).toBe(1)
})

test('a plan in words', () => {
  const { vm, bo } = world()
  vm.apply(vm.smMap({ addr: PAGE, range: 3n * PAGE, bo, flags: 3 }), NOTHING)
  expect(describePlan(vm.smMap({ addr: 2n * PAGE, range: PAGE, bo, offset: PAGE, flags: 3 }))).toBe(
    [
      'map 0x2000..0x2fff',
      '  remap 0x1000..0x3fff tex+0x0 flags 0x3: prev 0x1000..0x1fff tex+0x0 flags 0x3, next 0x3000..0x3fff tex+0x2000 flags 0x3, keep',
      '  map 0x2000..0x2fff tex+0x1000 flags 0x3',
    ].join('\n'),
  )
  expect(describePlan(vm.restore(bo))).toBe('restore nothing')
})
