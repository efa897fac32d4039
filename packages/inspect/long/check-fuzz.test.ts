/**
 * `check` on images made by flipping bits of real ones: no exception, and a bound on time, on tables read and on memory. FUZZ_SEED gives
 * other images, FUZZ_IMAGES more of them.
 */
import { expect, it } from 'vitest'
import { bytesSource, checkTables, openImage } from '../src/index.ts'
import { kernels } from '../test/support/fuzz.ts'
import { random } from '../test/support/memory.ts'

const IMAGES = Number(process.env.FUZZ_IMAGES ?? 10_000)
/** Milliseconds of CPU that one image may take: a hundred times what one does. Of CPU, since other programs run as well. */
const MOST_MS = 2000
const MOST_HEAP = 512 * 2 ** 20

const cpu = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

it('check of flipped images', async () => {
  const seed = Number(process.env.FUZZ_SEED ?? 4271317570)
  console.log(`check fuzz: FUZZ_SEED=${seed}`)
  const rnd = random(seed)
  const all = kernels()
  const found = new Map<string, number>()
  let slowest = 0
  let heap = 0
  for (let images = 0; images < IMAGES; images++) {
    const kernel = all[images % all.length] as (typeof all)[number]
    const bytes = kernel.bytes.slice()
    // behind the headers: what is checked are tables, not files
    const first = 4096
    for (let bits = 1 + (rnd() % 2 ** (rnd() % 8)); bits > 0; bits--) {
      const at = first + (rnd() % (bytes.byteLength - first))
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (rnd() & 7))
    }
    const image = await openImage(bytesSource(bytes), { format: 'elf' })
    const before = cpu()
    const tables = kernel.roots(image, (value) => value)
    const result = checkTables(tables, { maxFindings: 20 })
    slowest = Math.max(slowest, cpu() - before)
    for (const { code } of result.findings) found.set(code, (found.get(code) ?? 0) + 1)
    // each entry that is known leads to one table at most, known or not, at each level, for each root
    expect(result.tables, `seed ${seed}`).toBeLessThanOrEqual(tables.length * (8 + (4 * Number(image.known)) / 4))
    expect(result.complete, `seed ${seed}`).toBe(true)
    if (images % 1000 === 0) heap = Math.max(heap, process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers)
  }
  console.log(
    `check fuzz: ${IMAGES} images, slowest ${slowest.toFixed(0)} ms of CPU, most memory ${(heap / 2 ** 20).toFixed(0)} MiB`,
    Object.fromEntries(found),
  )
  expect(slowest, `seed ${seed}`).toBeLessThan(MOST_MS)
  expect(heap, `seed ${seed}`).toBeLessThan(MOST_HEAP)
  // flips do reach the tables
  expect(found.size).toBeGreaterThan(6)
}, 1_800_000)
