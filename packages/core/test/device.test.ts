/** `Device` and `Devres`: resources that live no longer than the binding of their device. */
import { Device, Devres, IoPageTable } from '@io-pgtable/core'
import { Owned } from '@io-pgtable/pt-allocator'
import { describe, expect, test } from 'vitest'
import { codeOf, newPool, PAGE, RW, SIZES, thrownBy } from './helpers.ts'
import { toy } from './toy-format.ts'

const REQUEST = { pgsizeBitmap: SIZES, ias: 24, oas: 52 }

/** A resource that notes its end. */
function resource(log: string[], name: string, fail = false): Disposable {
  return {
    [Symbol.dispose]() {
      if (fail) throw new Error(`${name} refuses`)
      log.push(name)
    },
  }
}

test('a table is made for a bound device, used through its Devres, and freed by the unbind', () => {
  const pool = newPool()
  const device = new Device('gpu').bind()
  const log: string[] = []
  const res = IoPageTable.create(device, toy(), {
    allocator: pool,
    ...REQUEST,
    tlb: { flushAll: () => void log.push('all'), flushWalk() {} },
  })
  const table = res.access()
  table.map(0n, 0x7000n, PAGE, RW)
  expect([device.bound, device.name, res.revoked, res.device]).toEqual([true, 'gpu', false, device])
  device.unbind()
  expect([device.bound, res.revoked, log, pool.stats().live]).toEqual([false, true, ['all'], 0])
  expect(codeOf(thrownBy(() => res.access()))).toEqual(['ENODEV', 'gpu'])
  expect(thrownBy(() => table.iovaToPhys(0n)).code).toBe('ENODEV')
})

test('a device that is not bound has no tables, and no memory is taken for them', () => {
  const pool = newPool()
  for (const device of [new Device('gpu'), unbound()]) {
    expect(codeOf(thrownBy(() => IoPageTable.create(device, toy(), { allocator: pool, ...REQUEST })))).toEqual(['ENODEV', 'gpu'])
    expect(codeOf(thrownBy(() => new Devres(device, resource([], 'x'))))).toEqual(['ENODEV', 'gpu'])
    expect(codeOf(thrownBy(() => device.unbind()))).toEqual(['ENODEV', 'gpu'])
  }
  expect(pool.stats().allocations).toBe(0)
})

function unbound(): Device {
  const device = new Device('gpu').bind()
  device.unbind()
  return device
}

test('binding twice is EBUSY; after an unbind it may be bound again, with nothing of before', () => {
  const device = new Device('gpu').bind()
  expect(codeOf(thrownBy(() => device.bind()))).toEqual(['EBUSY', 'gpu'])
  const log: string[] = []
  const old = new Devres(device, resource(log, 'old'))
  device.unbind()
  device.bind()
  expect(thrownBy(() => old.access()).code).toBe('ENODEV')
  const fresh = new Devres(device, resource(log, 'new'))
  expect(fresh.access()).toBeDefined()
  device.unbind()
  expect(log).toEqual(['old', 'new'])
})

test('the newest resource goes first', () => {
  const device = new Device('gpu').bind()
  const log: string[] = []
  for (const name of ['a', 'b', 'c', 'd']) new Devres(device, resource(log, name))
  device.unbind()
  expect(log).toEqual(['d', 'c', 'b', 'a'])
})

test('a resource that was revoked before does not go twice', () => {
  const device = new Device('gpu').bind()
  const log: string[] = []
  const [a, b] = [new Devres(device, resource(log, 'a')), new Devres(device, resource(log, 'b'))]
  new Devres(device, resource(log, 'c'))
  b.revoke()
  b.revoke()
  b[Symbol.dispose]()
  expect([log, b.revoked, a.revoked]).toEqual([['b'], true, false])
  expect(thrownBy(() => b.access()).code).toBe('ENODEV')
  device.unbind()
  expect(log).toEqual(['b', 'c', 'a'])
})

test('one that refuses does not keep the others, its error is thrown, and it cannot be had any more', () => {
  const device = new Device('gpu').bind()
  const log: string[] = []
  const refusing = { refuse: true, [Symbol.dispose]: () => {} }
  refusing[Symbol.dispose] = () => {
    if (refusing.refuse) throw new Error('b refuses')
    log.push('b')
  }
  const a = new Devres(device, resource(log, 'a'))
  const b = new Devres(device, refusing)
  const c = new Devres(device, resource(log, 'c', true))
  const d = new Devres(device, resource(log, 'd'))
  expect(() => device.unbind()).toThrow('c refuses')
  expect([log, device.bound]).toEqual([['d', 'a'], false])
  for (const res of [a, b, c, d]) expect(codeOf(thrownBy(() => res.access()))).toEqual(['ENODEV', 'gpu'])
  // nor when the device is bound again
  device.bind()
  expect(thrownBy(() => b.access()).code).toBe('ENODEV')
  // its owner may try again to get rid of it
  refusing.refuse = false
  b.revoke()
  expect(log).toEqual(['d', 'a', 'b'])
  device.unbind()
  expect(log).toEqual(['d', 'a', 'b'])
})

test('a revoke that fails before the unbind leaves the resource to be used, and to the unbind', () => {
  const device = new Device('gpu').bind()
  const res = new Devres(device, resource([], 'a', true))
  expect(() => res.revoke()).toThrow('a refuses')
  expect([res.revoked, typeof res.access()]).toEqual([false, 'object'])
  expect(() => device.unbind()).toThrow('a refuses')
})

test('callbacks of the unbind cannot make new resources, or unbind again', () => {
  const device = new Device('gpu').bind()
  const codes: string[] = []
  const nested = {
    [Symbol.dispose]() {
      codes.push(thrownBy(() => device.unbind()).code, thrownBy(() => new Devres(device, resource([], 'late'))).code)
    },
  }
  new Devres(device, nested)
  device.unbind()
  expect(codes).toEqual(['ENODEV', 'ENODEV'])
})

test('two devices are apart', () => {
  const pool = newPool()
  const [one, two] = [new Device('one').bind(), new Device('two').bind()]
  const a = IoPageTable.create(one, toy(), { allocator: pool, ...REQUEST })
  const b = IoPageTable.create(two, toy(), { allocator: pool, ...REQUEST })
  one.unbind()
  expect([a.revoked, b.revoked]).toEqual([true, false])
  b.access().map(0n, 0n, PAGE, RW)
  two.unbind()
  expect(pool.stats().live).toBe(0)
})

describe('a resource that a job uses', () => {
  function three(): { device: Device; log: string[]; a: Devres<Disposable>; b: Devres<Disposable>; c: Devres<Disposable> } {
    const device = new Device('gpu').bind()
    const log: string[] = []
    const [a, b, c] = ['a', 'b', 'c'].map((name) => new Devres(device, resource(log, name))) as [
      Devres<Disposable>,
      Devres<Disposable>,
      Devres<Disposable>,
    ]
    return { device, log, a, b, c }
  }

  test('defers the unbind: access ends at once, it and what is older go with the last release, in reverse order', () => {
    const { device, log, a, b, c } = three()
    const jobs = [b.acquire(), b.acquire()]
    device.unbind()
    expect([log, device.bound, device.unbinding, b.inUse]).toEqual([['c'], false, true, true])
    for (const res of [a, b, c]) {
      expect(codeOf(thrownBy(() => res.access()))).toEqual(['ENODEV', 'gpu'])
      expect(codeOf(thrownBy(() => res.acquire()))).toEqual(['ENODEV', 'gpu'])
      expect(res.revoked).toBe(true)
    }
    expect(codeOf(thrownBy(() => device.bind()))).toEqual(['EBUSY', 'gpu'])
    expect(codeOf(thrownBy(() => device.unbind()))).toEqual(['ENODEV', 'gpu'])
    jobs[0]?.release()
    jobs[0]?.release()
    expect([log, device.unbinding]).toEqual([['c'], true])
    jobs[1]?.[Symbol.dispose]()
    expect([log, device.unbinding, b.inUse]).toEqual([['c', 'b', 'a'], false, false])
    expect(thrownBy(() => jobs[1]?.resource).code).toBe('ENODEV')
    device.bind()
    expect(device.bound).toBe(true)
  })

  test('stays whole until then: a table is walked by the job to its end', () => {
    const pool = newPool()
    const device = new Device('gpu').bind()
    const res = IoPageTable.create(device, toy(), { allocator: pool, ...REQUEST })
    res.access().map(0n, 0x7000n, PAGE, RW)
    const job = res.acquire()
    device.unbind()
    expect([job.resource.iovaToPhys(0x10n), pool.stats().live > 0]).toEqual([0x7010n, true])
    const table = job.resource
    job.release()
    expect([pool.stats().live, thrownBy(() => table.iovaToPhys(0n)).code, thrownBy(() => job.resource).code]).toEqual([
      0,
      'ENODEV',
      'ENODEV',
    ])
  })

  test('a guard that is released before the unbind changes nothing', () => {
    const { device, log, b } = three()
    b.acquire().release()
    expect(b.access()).toBeDefined()
    device.unbind()
    expect(log).toEqual(['c', 'b', 'a'])
  })

  test('defers a revoke, which leaves the others alone', () => {
    const { device, log, a, b } = three()
    const job = b.acquire()
    b.revoke()
    expect([log, b.revoked, a.revoked]).toEqual([[], true, false])
    expect(thrownBy(() => b.acquire()).code).toBe('ENODEV')
    job.release()
    expect(log).toEqual(['b'])
    device.unbind()
    expect(log).toEqual(['b', 'c', 'a'])
  })

  test('one that is disposed of may release what it used: each goes once, in order', () => {
    const device = new Device('gpu').bind()
    const log: string[] = []
    const a = new Devres(device, resource(log, 'a'))
    const guard = a.acquire()
    new Devres(device, {
      [Symbol.dispose]() {
        guard.release()
        log.push('b')
      },
    })
    device.unbind()
    expect([log, device.unbinding]).toEqual([['b', 'a'], false])
  })

  test('one that refuses throws from the release that was waited for, and does not keep the others', () => {
    const device = new Device('gpu').bind()
    const log: string[] = []
    new Devres(device, resource(log, 'a'))
    const job = new Devres(device, resource(log, 'b', true)).acquire()
    device.unbind()
    expect(() => job.release()).toThrow('b refuses')
    expect([log, device.unbinding]).toEqual([['a'], false])
  })
})

test('`using` ends a table, a guard, a resource and an owned block with their scope', () => {
  const pool = newPool()
  const device = new Device('gpu').bind()
  const seen: unknown[] = []
  {
    using table = IoPageTable.createRaw(toy(), { allocator: pool, ...REQUEST })
    table.map(0n, 0x7000n, PAGE, RW)
    using block = Owned.alloc(pool, 4096)
    using res = IoPageTable.create(device, toy(), { allocator: pool, ...REQUEST })
    using job = res.acquire()
    seen.push(table.iovaToPhys(0n), block.owned, res.inUse, job.resource === res.access())
  }
  expect([seen, pool.stats().live, pool.leaks()]).toEqual([[0x7000n, true, true, true], 0, []])
  device.unbind()
})
