/** The error of all packages, also where a program has two copies of the one that declares it. */
import { expect, test } from 'vitest'
import { IoPgtableError } from '../src/index.ts'

class Special extends IoPgtableError {}

test('an error is known by its mark', async () => {
  const copy = '../src/errors.ts?copy'
  const other = (await import(/* @vite-ignore */ copy)) as { IoPgtableError: typeof IoPgtableError }
  expect(other.IoPgtableError).not.toBe(IoPgtableError)
  const foreign = new other.IoPgtableError('EINVAL', 'alloc', 'wrong', { value: 3 })
  expect(foreign instanceof IoPgtableError).toBe(false)
  for (const error of [foreign, new IoPgtableError('ENOMEM', 'alloc', 'full'), new Special('EBUSY', 'map', 'busy')])
    expect([IoPgtableError.is(error), other.IoPgtableError.is(error)]).toEqual([true, true])
  for (const other of [new Error('EINVAL'), { code: 'EINVAL' }, null, undefined, 'EINVAL']) expect(IoPgtableError.is(other)).toBe(false)
  for (const mark of Object.getOwnPropertySymbols(foreign)) expect(Object.getOwnPropertyDescriptor(foreign, mark)?.enumerable).toBe(false)
})
