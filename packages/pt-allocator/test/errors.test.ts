import { hex, IoPgtableError } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'

test('an error has a code, an operation and the value', () => {
  const cause = new RangeError('x')
  const error = new IoPgtableError('EINVAL', 'alloc', 'bytes 0x30 is not a power of two', { value: 0x30, cause })
  expect(error).toBeInstanceOf(Error)
  expect(error.message).toBe('EINVAL: alloc: bytes 0x30 is not a power of two')
  expect(error).toMatchObject({ name: 'IoPgtableError', code: 'EINVAL', op: 'alloc', value: 0x30, cause })
  const plain = new IoPgtableError('ENODEV', 'map', 'gone')
  expect('value' in plain && plain.value !== undefined).toBe(false)
  expect('cause' in plain).toBe(false)
})

test('hex', () => {
  expect([0, 255, -1, 2 ** 40, 0x1_0000_0000_0000_0000n, -16n, 1.5, Number.NaN].map(hex)).toEqual([
    '0x0',
    '0xff',
    '-0x1',
    '0x10000000000',
    '0x10000000000000000',
    '-0x10',
    '1.5',
    'NaN',
  ])
})
