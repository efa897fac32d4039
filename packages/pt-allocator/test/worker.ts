/** A thread of workers.test.ts: random allocations and frees; it checks that its blocks are zero when given and its own until freed. */
import { parentPort, workerData } from 'node:worker_threads'
import { PtPool, type PtPtr } from '@io-pgtable/pt-allocator'
import { seededIntegers } from '../../conformance/src/seeded-integers.ts'
import { isZero } from './helpers.ts'

const { token, seed, operations } = workerData
const pool = PtPool.attach(token)
const below = seededIntegers(seed)
const owner = pool.owner('worker')
const kept: { ptr: PtPtr; bytes: number }[] = []
let frees = 0
let allocations = 0

function alloc(): void {
  const bytes = 64 * 2 ** below(9)
  const ptr = pool.alloc(bytes, { owner })
  if (!isZero(pool, ptr)) throw new Error(`block ${ptr} of ${bytes} is not zero`)
  pool.view(ptr).fill(seed)
  kept.push({ ptr, bytes })
  allocations++
}

function free(): void {
  const [block] = kept.splice(below(kept.length || 1), 1)
  if (block === undefined) return
  if (!pool.view(block.ptr).every((word) => word === seed)) throw new Error(`block ${block.ptr} was written by another thread`)
  pool.free(block.ptr)
  frees++
}

for (let i = 0; i < operations; i++) {
  if (kept.length < 300 && below(100) < 52) alloc()
  else free()
}
parentPort?.postMessage({ frees, allocations, kept, owner })
