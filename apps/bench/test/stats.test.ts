import { expect, test } from 'vitest'
import { median, randomSource, summarize } from '../src/stats.ts'

test('the median of an odd number of values is the middle one, whatever their order', () => {
  expect(median([3])).toBe(3)
  expect(median([9, 1, 5])).toBe(5)
  expect(median([10, 9, 100, 1, 2])).toBe(9)
})

test('the median of an even number of values lies between the two middle ones', () => {
  expect(median([4, 1])).toBe(2.5)
  expect(median([1, 2, 10, 100])).toBe(6)
})

test('the median of no values is an error, and the values are left as they were', () => {
  expect(() => median([])).toThrow(RangeError)
  expect(() => summarize([])).toThrow(RangeError)
  const values = [3, 1, 2]
  median(values)
  expect(values).toEqual([3, 1, 2])
})

test('a summary is not moved by one run that was disturbed', () => {
  expect(summarize([2, 2.25, 2.5, 2.25, 1000])).toEqual({ runs: 5, median: 2.25, min: 2, spread: 0.25 })
})

test('the random integers are 32-bit, the same for the same seed, and others for another', () => {
  const take = (seed: number): number[] => Array.from({ length: 1000 }, randomSource(seed))
  expect(take(7)).toEqual(take(7))
  expect(take(7)).not.toEqual(take(8))
  expect(new Set(take(0)).size).toBe(1000)
  for (const value of take(7)) expect(value >>> 0).toBe(value)
})
