import { expect, test } from 'vitest'
import { compare, spreadOf } from '../src/compare.ts'
import { type Judgement, renderJudgement } from '../src/judgement.ts'
import { type Listed, matched, sharesOf } from '../src/shares.ts'
import { randomSource } from '../src/stats.ts'

type Noise = (random: () => number) => number

/** How other programs lengthen a process's least time, as a factor. */
const NOISE: Record<string, Noise> = {
  'a little': (random) => 1 - 0.02 * Math.log(1 - random()),
  'mostly little, sometimes double': (random) => 1 + 0.02 * random() + (random() < 0.2 ? 1 : 0),
  'either of two ways that the compiler goes': (random) => (random() < 0.4 ? 1 : 1.2) * (1 - 0.01 * Math.log(1 - random())),
}
const ROWS = 400
const RUNS = 15

/** How many of so many rows are called slower when this version takes `factor` times as long. */
function foundSlower(noise: Noise, factor: number): number {
  const random = randomSource(4711)
  const uniform = (): number => random() / 2 ** 32
  const times = (length: number, least: number): number[] => Array.from({ length }, () => least * noise(uniform))
  const rows = Array.from({ length: ROWS }, () => compare({ here: times(RUNS, factor), ref: times(RUNS, 1), copy: times(RUNS, 1) }))
  return rows.filter(({ slower }) => slower).length
}

test.each(Object.entries(NOISE))('noise is not slower, ten per cent are: %s', (_, noise) => {
  expect(foundSlower(noise, 1)).toBeLessThanOrEqual(ROWS / 100)
  expect(foundSlower(noise, 0.8)).toBe(0)
  expect(foundSlower(noise, 1.1)).toBeGreaterThan(0.9 * ROWS)
})

test('what disturbs most processes of one version does not count while one of them is left alone', () => {
  const quiet = Array.from({ length: RUNS }, (_, i) => 10 + i / 100)
  const disturbed = quiet.map((time, i) => (i === 7 ? 10 : time * 3))
  expect(compare({ here: disturbed, ref: quiet, copy: quiet })).toMatchObject({ here: 10, ref: 10, ratio: 1, slower: false })
})

test('five per cent are not slower, whatever the spread', () => {
  const exactly = (time: number): number[] => Array.from({ length: RUNS }, () => time)
  const at = (time: number) => compare({ here: exactly(time), ref: exactly(1), copy: exactly(1) })
  expect(at(1.05)).toEqual({ here: 1.05, ref: 1, ratio: 1.05, spread: 1, slower: false })
  expect(at(1.051).slower).toBe(true)
})

test('a ratio inside of the spread that the other version has against itself is not slower', () => {
  const wide = Array.from({ length: RUNS }, (_, i) => 1 + i / 10)
  const here = (least: number): number[] => wide.map((time) => time * least)
  expect(spreadOf([...wide, ...wide])).toBeCloseTo(1.3, 10)
  expect(compare({ here: here(1.29), ref: wide, copy: wide }).slower).toBe(false)
  expect(compare({ here: here(1.31), ref: wide, copy: wide }).slower).toBe(true)
})

test('the spread is what one division into halves in a hundred exceeds, and with few times what none does', () => {
  expect(spreadOf([2, 3])).toBe(1.5)
  expect(spreadOf([1, 6, 3, 4, 5, 2])).toBe(4)
  const times = Array.from({ length: 12 }, (_, i) => 2 ** i)
  const spread = spreadOf(times)
  const divisions = Array.from({ length: 2 ** 12 }, (_, bits) => times.filter((_, i) => (bits >> i) & 1)).filter(
    ({ length }) => length === 6,
  )
  const beyond = divisions.filter((half) => {
    const other = times.filter((time) => !half.includes(time))
    const ratio = Math.min(...half) / Math.min(...other)
    return Math.max(ratio, 1 / ratio) > spread
  })
  expect(divisions.length).toBe(924)
  expect(beyond.length / divisions.length).toBeLessThanOrEqual(0.01)
})

test('no times are an error', () => {
  expect(() => compare({ here: [], ref: [1], copy: [1] })).toThrow(RangeError)
})

const listed = (id: string, more: Partial<Listed> = {}): Listed => ({ id, title: `the title of ${id}`, unit: 'call', units: 1, ...more })

test('rows that one version has alone, and rows that were redefined, are not compared', () => {
  const here = [listed('a'), listed('b'), listed('c', { units: 2 }), listed('d', { title: 'another' })]
  const ref = [listed('x'), listed('c'), listed('d'), listed('a')]
  expect(matched(here, ref)).toEqual({ common: [listed('a')], onlyHere: ['b'], onlyRef: ['x'], unlike: ['c', 'd'] })
})

test('each format has a process of its own, and rows that burden the heap are apart', () => {
  const rows = [
    listed('fill'),
    listed('f/map'),
    listed('g/map'),
    listed('f/c/map', { everyFormat: true }),
    listed('h/dump', { ballast: true }),
  ]
  const shares = (columns: readonly ('one' | 'all')[]) =>
    sharesOf(rows, columns).map((share) => ({ ...share, rows: share.rows.map(({ id }) => id) }))
  expect(shares(['one'])).toEqual([
    { column: 'one', format: 'f', rows: ['f/map'] },
    { column: 'one', format: 'g', rows: ['g/map'] },
    { column: 'one', format: 'h', rows: ['h/dump'] },
  ])
  expect(shares(['all'])).toEqual([
    { column: 'all', rows: ['fill', 'f/map', 'g/map', 'f/c/map'] },
    { column: 'all', rows: ['h/dump'] },
  ])
})

test('the report ends with the rows that are slower', () => {
  const row = (id: string, time: number): Judgement['rows'][number] => {
    const processes = { here: [time], ref: [10], copy: [10] }
    return { id, column: 'one', unit: 'call', ...compare(processes), processes }
  }
  const judgement = {
    ...{ commit: 'c0ffee', machine: { cpu: 'any', cpus: 1, node: '20', v8: '11', platform: 'any' }, core: undefined, runs: 1 },
    ...{ rows: [row('a', 10), row('b', 12)], onlyHere: ['new'], onlyRef: ['old'], unlike: [] },
  }
  const text = renderJudgement(judgement)
  expect(text).toContain('not pinned')
  expect(text.split('\n').slice(-5)).toEqual([
    'only here: new',
    'only in REF: old',
    'slower, 1 of 2 figures:',
    '  b, one format: 1.200 times REF, which is up to 1.000 times itself',
    '',
  ])
  expect(renderJudgement({ ...judgement, rows: [row('a', 10)] })).toMatch(/none of 1 figures is slower\n$/)
})
