/** A short fuzz; the long one is in long/. */
import { expect, it } from 'vitest'
import { fuzzOne, kernels } from './support/fuzz.ts'
import { random } from './support/memory.ts'

it.each(kernels())('$name: flipped bits throw nothing but what is documented', async (kernel) => {
  const seed = 20_261_121
  const rnd = random(seed)
  let looked = 0
  for (let i = 0; i < 16; i++) {
    const runs = await fuzzOne(kernel, rnd)
    if (runs !== undefined) looked++
  }
  expect(looked, `seed ${seed}`).toBeGreaterThan(8)
})
