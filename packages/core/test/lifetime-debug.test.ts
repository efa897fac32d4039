/** `debug.lifetime`: tables of `createRaw` that nobody frees, or that are freed too late, are reported. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Device, IoPageTable, type IoPgtableError, type LifetimeDebug } from '@io-pgtable/core'
import type { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { MiB, newPool, PAGE, RW, SIZES, thrownBy } from './helpers.ts'
import { type Toy, toy } from './toy-format.ts'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

interface Watched {
  readonly pool: PtPool
  readonly reports: IoPgtableError[]
  readonly make: (name?: string, device?: Device) => IoPageTable<Toy>
}

function watched(shared = false): Watched {
  const pool = newPool({}, { shared, size: 2 * MiB })
  const reports: IoPgtableError[] = []
  const report: LifetimeDebug['report'] = (misuse) => void reports.push(misuse)
  const make = (name?: string, device?: Device): IoPageTable<Toy> =>
    IoPageTable.createRaw(toy(), {
      allocator: pool,
      ...{ pgsizeBitmap: SIZES, ias: 24, oas: 52 },
      ...(name !== undefined && { name }),
      debug: { lifetime: { report, ...(device && { device }) } },
    })
  return { pool, reports, make }
}

/** Collects garbage until something holds, or for a second. */
async function collect(until: () => boolean = () => false): Promise<void> {
  for (let i = 0; i < 20 && !until(); i++) {
    gc()
    await new Promise((resolve) => setTimeout(resolve, i < 5 ? 1 : 20))
  }
}

const textOf = (reports: readonly IoPgtableError[]): string[] => reports.map(({ message }) => message)

test('a table that is garbage before it is freed', async () => {
  const { pool, reports, make } = watched()
  const drop = (): void => make('gpu vm 3').map(0n, 0n, PAGE, RW)
  drop()
  await collect(() => reports.length > 0)
  expect(textOf(reports)).toEqual([
    'ENODEV: createRaw: table gpu vm 3 was dropped before it was freed: its tables stay allocated, and a device may still walk them',
  ])
  expect([reports[0]?.code, reports[0]?.value, pool.leaks().length]).toEqual(['ENODEV', 'gpu vm 3', 3])
})

test('one that is freed, in use, or shared is not reported', async () => {
  const { reports, make } = watched(true)
  const used = make('used')
  const drop = (): void => {
    make('freed').free()
    make('disposed')[Symbol.dispose]()
    make('shared').share()
  }
  drop()
  make('sentinel')
  await collect(() => reports.length > 0)
  await collect(() => reports.length > 1)
  expect(reports.map(({ value }) => value)).toEqual(['sentinel'])
  used.free()
})

test('one that outlives the binding of its device is reported when that ends, and when it is freed after it', () => {
  const { reports, make } = watched()
  const device = new Device('gpu').bind()
  const [late, right] = [make('late', device), make('right', device)]
  right.free()
  device.unbind()
  expect(textOf(reports)).toEqual(['ENODEV: createRaw: table late is not freed, and device gpu, which may walk it, is unbound'])
  late.free()
  expect(textOf(reports).slice(1)).toEqual(['ENODEV: createRaw: table late was freed after device gpu was unbound'])
  device.bind().unbind()
  expect(reports).toHaveLength(2)
})

test('a device that is not bound has no tables, and no memory is taken for them', () => {
  const { pool, make } = watched()
  expect(thrownBy(() => make('x', new Device('gpu'))).code).toBe('ENODEV')
  expect(pool.stats().live).toBe(0)
})

test('what it is told with does not stand in the way of sharing', () => {
  const { make } = watched(true)
  const table = make()
  const token = structuredClone(table.share())
  expect(Object.keys(token.debug)).toEqual([])
  const other = IoPageTable.attach(toy(), token)
  table.map(0n, 0x7000n, PAGE, RW)
  expect(other.iovaToPhys(0n)).toBe(0x7000n)
  table.free()
})
