/**
 * The optional accelerator: a WebAssembly module of some 300 bytes that does the bulk runs of pools on a `WebAssembly.Memory`, 128 bits at a
 * time. It is invisible: it leaves in memory what the loops of `hot.ts` leave, does a run or nothing, and where there is no WebAssembly (or a
 * page's policy forbids it) the loops do everything. The module is assembled here, from the mnemonics below; it knows no format.
 */
import type { PtPool } from '@io-pgtable/pt-allocator'

type AcceleratedPool = Pick<PtPool, 'shared'> & { readonly wasm?: PtPool['wasm'] }

/**
 * Checks that `words` words from word `at` on all hold `value` under `mask`, entry by entry, and only then writes the run (lo, hi) over them,
 * whose low lane rises by `step`. `wide`: 1 for entries of 64 bits; 0 for 32, with the high lanes equal to the low ones.
 * @param words a positive multiple of {@link RUN_WORDS}
 * @returns 1 when it wrote; 0, and nothing is written
 */
export type RunKernel = (
  at: number,
  words: number,
  maskLo: number,
  maskHi: number,
  valueLo: number,
  valueHi: number,
  lo: number,
  hi: number,
  step: number,
  wide: number,
) => number

/** Words that one round of the module takes: runs of a multiple of it can be handed over. */
const RUN_WORDS = 16

/** Whether the kernel takes a run of so many words. It does not miss memory that was taken from the pool: then the loops must. */
export function isKernelRun({ words }: { readonly words: Int32Array }, count: number): boolean {
  return count > 0 && (count & (RUN_WORDS - 1)) === 0 && words.length > 0
}

// Parameters, in the order of RunKernel, and locals.
const [AT, WORDS, MASK_LO, MASK_HI, VALUE_LO, VALUE_HI, LO, HI, STEP, WIDE] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] as const
const [I, END, MASK, VALUE, D, STRIDE] = [10, 11, 12, 13, 14, 15] as const

const I32 = 0x7f
const V128 = 0x7b
const get = (local: number): number[] => [0x20, local]
const set = (local: number): number[] => [0x21, local]
/** From -64 to 63. */
const constant = (value: number): number[] => [0x41, value & 0x7f]
const add = [0x6a]
const subtract = [0x6b]
const shiftLeft = [0x74]
const notEqual = [0x47]
const loop = [0x03, 0x40]
const ifTrue = [0x04, 0x40]
const orElse = [0x05]
const end = [0x0b]
const again = [0x0d, 0x00]
const giveBack = [0x0f]
const load = (offset: number): number[] => [0xfd, 0x00, 0x02, offset]
const store = (offset: number): number[] => [0xfd, 0x0b, 0x02, offset]
const splat = [0xfd, 0x11]
const lane = (n: number): number[] => [0xfd, 0x1c, n]
const and = [0xfd, 0x4e]
const or = [0xfd, 0x50]
const xor = [0xfd, 0x51]
const anyTrue = [0xfd, 0x53]
const addLanes = [0xfd, 0xae, 0x01]

/** A vector of two entries of 64 bits, or four of 32 where both lanes are equal. */
const pair = (lo: number, hi: number): number[] => [...get(lo), ...splat, ...get(hi), ...lane(1), ...get(hi), ...lane(3)]
const times = (power: number): number[] => [...get(STEP), ...constant(power), ...shiftLeft]
const differs = (offset: number): number[] => [...get(I), ...load(offset), ...get(VALUE), ...xor]
const write = (offset: number): number[] => [...get(I), ...get(D), ...store(offset), ...get(D), ...get(STRIDE), ...addLanes, ...set(D)]
/** To the next 64 bytes. Not `less than`: the end of 4 GiB is 0. */
const next = [...get(I), ...constant(-64), ...subtract, ...set(I), ...get(I), ...get(END), ...notEqual, ...again]
const fromStart = [...get(AT), ...constant(2), ...shiftLeft, ...set(I)]

const BODY: readonly number[] = [
  ...[...get(AT), ...get(WORDS), ...add, ...constant(2), ...shiftLeft, ...set(END)],
  ...[...pair(MASK_LO, MASK_HI), ...set(MASK), ...pair(VALUE_LO, VALUE_HI), ...set(VALUE)],
  ...fromStart,
  ...loop,
  ...[...differs(0), ...differs(16), ...or, ...differs(32), ...or, ...differs(48), ...or, ...get(MASK), ...and, ...anyTrue],
  ...[...ifTrue, ...constant(0), ...giveBack, ...end],
  ...next,
  ...end,
  // the first vector of the run, and what is added to it for the next
  ...[...get(WIDE), ...ifTrue],
  ...[...pair(LO, HI), ...get(LO), ...get(STEP), ...add, ...lane(2), ...set(D)],
  ...[...times(1), ...splat, ...constant(0), ...lane(1), ...constant(0), ...lane(3), ...set(STRIDE)],
  ...orElse,
  ...[...get(LO), ...splat, ...get(LO), ...get(STEP), ...add, ...lane(1)],
  ...[...get(LO), ...times(1), ...add, ...lane(2), ...get(LO), ...times(1), ...add, ...get(STEP), ...add, ...lane(3), ...set(D)],
  ...[...times(2), ...splat, ...set(STRIDE)],
  ...end,
  ...fromStart,
  ...loop,
  ...[...write(0), ...write(16), ...write(32), ...write(48)],
  ...next,
  ...end,
  ...constant(1),
  ...end,
]

/** A vector of the binary format: its length, then its bytes. */
const sized = (bytes: readonly number[]): number[] => [...unsigned(bytes.length), ...bytes]
const section = (id: number, bytes: readonly number[]): number[] => [id, ...sized(bytes)]
const name = (text: string): number[] => sized([...text].map((letter) => letter.charCodeAt(0)))

function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)]
}

/** The module: memory `pool.memory` in, function `run` out. */
export function moduleBytes(): Uint8Array<ArrayBuffer> {
  const locals = [2, ...[2, I32], ...[4, V128]]
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [1, 0x60, ...sized(Array(10).fill(I32)), 1, I32]),
    ...section(2, [1, ...name('pool'), ...name('memory'), 0x02, 0x00, 0x00]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...name('run'), 0x00, 0x00]),
    ...section(10, [1, ...sized([...locals, ...BODY])]),
  ])
}

let compiled: WebAssembly.Module | undefined | null = null

/** Compiles it once; undefined where that is impossible or forbidden. */
function theModule(): WebAssembly.Module | undefined {
  if (compiled !== null) return compiled
  try {
    compiled = new WebAssembly.Module(moduleBytes())
  } catch {
    compiled = undefined
  }
  return compiled
}

const kernels = new WeakMap<object, RunKernel>()

/** The kernel on the memory of a pool; undefined for memory that is no WebAssembly's, or is shared with workers, and without WebAssembly. */
export function kernelOf({ wasm, shared }: AcceleratedPool): RunKernel | undefined {
  if (wasm === undefined || shared) return undefined
  const known = kernels.get(wasm)
  if (known !== undefined) return known
  const module = theModule()
  if (module === undefined) return undefined
  const { exports } = new WebAssembly.Instance(module, { pool: { memory: wasm as WebAssembly.Memory } })
  const kernel = exports.run as RunKernel
  kernels.set(wasm, kernel)
  return kernel
}
