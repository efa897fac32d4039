/**
 * 50,000 images made by flipping bits of real ones, for 60 seconds at least: no error but those that are documented, no image that takes
 * long, no memory that stays. FUZZ_SEED gives other images.
 */
import { expect, it } from 'vitest'
import { type FormatSet, scanSmmuv3 } from '../src/index.ts'
import { fuzzOne, kernels } from '../test/support/fuzz.ts'
import { random } from '../test/support/memory.ts'

const IMAGES = 50_000
const SECONDS = 60
/** Milliseconds of CPU that one image may take: several hundred times what one does. Of CPU, since other programs run as well. */
const MOST_MS = 1000
const MOST_HEAP = 512 * 2 ** 20

const cpu = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

it(`${IMAGES} images`, async () => {
  const seed = Number(process.env.FUZZ_SEED ?? 4269199955)
  console.log(`inspect fuzz: FUZZ_SEED=${seed}`)
  const rnd = random(seed)
  const all = kernels()
  const start = performance.now()
  let refused = 0
  let slowest = 0
  let heap = 0
  for (let i = 0; i < IMAGES || performance.now() - start < SECONDS * 1000; i++) {
    const before = cpu()
    const kernel = all[i % all.length] as (typeof all)[number]
    const runs = await fuzzOne(kernel, rnd)
    if (runs === undefined) refused++
    slowest = Math.max(slowest, cpu() - before)
    if (i % 1000 === 0) heap = Math.max(heap, process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers)
  }
  console.log(`inspect fuzz: ${refused} refused, slowest ${slowest.toFixed(0)} ms of CPU, most memory ${(heap / 2 ** 20).toFixed(0)} MiB`)
  expect(slowest, `seed ${seed}`).toBeLessThan(MOST_MS)
  expect(heap, `seed ${seed}`).toBeLessThan(MOST_HEAP)
  // Most flipped bits are somewhere in the middle
  expect(refused).toBeLessThan(IMAGES / 2)
}, 1_800_000)

it('a stream table of 2^32 entries, all of them the same, ends', () => {
  const everywhere = new Uint8Array(2 ** 16)
  const none: FormatSet = {}
  const { findings, visited } = scanSmmuv3({ strtabBase: 0n, strtabBaseCfg: 32n }, () => everywhere, none)
  expect(findings).toMatchObject([{ code: 'too-many' }])
  expect(visited).toBeLessThan(5_000_000)
})
