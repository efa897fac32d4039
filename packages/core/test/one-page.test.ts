/** The short way for one page takes no page size that is none, whatever keeps calls from it. */
import { IotlbGather } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { bench, codeOf, PAGE, RW, thrownBy } from './helpers.ts'

const SETTINGS = {
  'a pool with a sync hook': { pool: { sync: () => undefined } },
  'a driver that hears of every page': { shape: { policy: { addPagesWithoutGather: true } } },
  'nothing in the way': {},
} as const

describe.each(Object.entries(SETTINGS))('%s', (_, setting: { pool?: { sync: () => void }; shape?: object }) => {
  test.each([0, -1, Number.NaN, PAGE / 2])('a page size of %s is EINVAL, and changes nothing', (size) => {
    const { table } = bench(setting.shape, { ...(setting.pool && { pool: setting.pool }) })
    table.mapPages(0n, 0x5000n, PAGE, 2, RW)
    table.iovaToPhys(0n)
    const { mapped, error } = table.mapPages(0x2000n, 0n, size, 1, RW)
    expect([mapped, error?.code]).toEqual([0, 'EINVAL'])
    for (const gather of [undefined, new IotlbGather()])
      expect(codeOf(thrownBy(() => table.unmapPages(0n, size, 1, gather)))).toContain('EINVAL')
    expect(table.iovaToPhys(0n)).toBe(0x5000n)
    expect(table.iovaToPhys(0x2000n)).toBeUndefined()
  })
})
