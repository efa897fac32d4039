/** What the rows are compared with: how fast this machine, in this run, writes the same bytes without any page table logic. */
import { expectEqual, type Row } from './row.ts'

/** Descriptors of 1 GiB of 4K pages, two int32 lanes each. */
const DESCRIPTORS = 1 << 18
const FIRST = 0x0000_0f03
const HIGH = 0x0060_0008
const STEP = 0x1000

/**
 * The loop writes unconditionally what the engine's loop writes after its checks, and is unrolled like it. Its constants are a function's,
 * since bundlers may make variables of a module's: V8 then has the array and the values in the code, as an engine never can.
 */
function fillOf(): { words: Int32Array; fill: () => number } {
  const DESCRIPTORS = 1 << 18
  const HIGH = 0x0060_0008
  const STEP = 0x1000
  const words = new Int32Array(DESCRIPTORS * 2)
  function fill(): number {
    let d = FIRST
    for (let i = 0; i < 2 * DESCRIPTORS; i = (i + 16) | 0) {
      words[i] = d
      words[i + 1] = HIGH
      words[i + 2] = (d + STEP) | 0
      words[i + 3] = HIGH
      words[i + 4] = (d + 2 * STEP) | 0
      words[i + 5] = HIGH
      words[i + 6] = (d + 3 * STEP) | 0
      words[i + 7] = HIGH
      words[i + 8] = (d + 4 * STEP) | 0
      words[i + 9] = HIGH
      words[i + 10] = (d + 5 * STEP) | 0
      words[i + 11] = HIGH
      words[i + 12] = (d + 6 * STEP) | 0
      words[i + 13] = HIGH
      words[i + 14] = (d + 7 * STEP) | 0
      words[i + 15] = HIGH
      d = (d + 8 * STEP) | 0
    }
    return DESCRIPTORS
  }
  return { words, fill }
}

function verifyFill(words: Int32Array): void {
  for (let i = 0; i < DESCRIPTORS; i++) {
    expectEqual(`low lane ${i}`, words[2 * i], (FIRST + i * STEP) | 0)
    expectEqual(`high lane ${i}`, words[2 * i + 1], HIGH)
  }
}

/** The row that all others are divided by. */
export const FILL: Row = {
  id: 'fill',
  title: 'write the same descriptors unconditionally',
  unit: 'descriptor',
  units: DESCRIPTORS,
  prepare: () => {
    const { words, fill } = fillOf()
    return { run: fill, expected: DESCRIPTORS, reset: () => void words.fill(0), verify: () => verifyFill(words) }
  },
}

export const MEMORY: Row = {
  id: 'memory',
  title: 'TypedArray.fill of the same bytes',
  unit: 'descriptor',
  units: DESCRIPTORS,
  prepare: () => {
    const words = new Int32Array(DESCRIPTORS * 2)
    return {
      run: () => words.fill(FIRST).length / 2,
      expected: DESCRIPTORS,
      verify: () => expectEqual('lanes', words.filter((lane) => lane === FIRST).length, DESCRIPTORS * 2),
    }
  },
}

/** What reading the two addresses of a call takes by itself: objects of the heap, one after the other, and their digits. */
export const READ: Row = {
  id: 'read',
  title: 'read the bigints of one page a call: an iova and a paddr',
  unit: 'call',
  units: DESCRIPTORS,
  prepare: () => {
    const pair = new BigUint64Array(2)
    const iovas = Array.from({ length: DESCRIPTORS }, (_, i) => 0x40_0000_0000n + BigInt(i * STEP))
    const paddrs = Array.from({ length: DESCRIPTORS }, (_, i) => 0x8_4000_0000n + BigInt(i * STEP))
    return {
      run: () => {
        for (let i = 0; i < iovas.length; i++) {
          pair[0] = iovas[i]!
          pair[1] = paddrs[i]!
        }
        return DESCRIPTORS
      },
      expected: DESCRIPTORS,
      verify: () => {
        expectEqual('last iova', pair[0], iovas.at(-1))
        expectEqual('last paddr', pair[1], paddrs.at(-1))
      },
    }
  },
}
