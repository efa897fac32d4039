import { IoPgtableError, Owned, PtPool } from '@io-pgtable/pt-allocator'
import type { Scene } from '../stage.ts'

export const tableMemory: Scene = {
  title: 'Memory for tables',
  about: 'A pool gives blocks of any power of two from 64 bytes on, zeroed and aligned to their size, behind handles that are checked.',
  play(stage) {
    let pressure = 0
    const pool = new PtPool({ name: 'gpu', base: 0x8000_0000n, size: 2 ** 20, ceiling: 2 ** 15, onPressure: () => void pressure++ })
    const owner = pool.owner('gpu tables')
    const handles = [16_384, 4096, 1024, 1024, 512, 64].map((bytes) => pool.alloc(bytes, { owner }))
    stage.table(
      ['bytes', 'handle', 'physical address', 'owner'],
      pool.leaks().map(({ bytes, ptr, paddr, owner: name }) => [bytes, BigInt(ptr), paddr, name]),
    )
    const aligned = pool.leaks().filter(({ paddr, bytes }) => paddr % BigInt(bytes) === 0n).length
    stage.same('blocks aligned to their size', aligned, handles.length)
    stage.check(
      'every word of them is zero',
      handles.every((ptr) => pool.view(ptr).every((word) => word === 0)),
    )

    stage.same('more than the ceiling allows', errorOf(() => pool.alloc(16_384)).code, 'ENOMEM')
    stage.same('times that the owner was asked to free something before', pressure, 1)

    const [root = pool.alloc(64), ...others] = handles
    pool.free(root)
    const twice = errorOf(() => pool.free(root))
    stage.say(`The same handle once more: ${twice.message}`)
    stage.same('a block that is freed twice', twice.code, 'EFAULT')

    const table = Owned.adopt(pool, others[0] ?? root)
    const moved = table.intoRaw()
    stage.same('an owner whose block has moved', errorOf(() => table.value).code, 'EFAULT')
    stage.check('and who has its address has the block', pool.ptrAt(moved) === others[0])

    pool.freeAll(others)
    stage.same('bytes live at the end', pool.stats().live, 0)
  },
}

function errorOf(run: () => unknown): IoPgtableError {
  try {
    run()
  } catch (error) {
    if (error instanceof IoPgtableError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
