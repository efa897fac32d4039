import { type AnyFmt, type ConfigOf, IoPageTable, Prot, SZ_1M } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { onBoth, pagesOf } from '../formats.ts'
import type { Scene } from '../stage.ts'
import { bytes } from '../text.ts'

const RW = Prot.READ | Prot.WRITE
/** Where large pages are to be used, IOVA and physical address are alike in their low bits. */
const BUFFERS = [
  { name: 'firmware', iova: 0x0800_0000n, paddr: 0x4040_0000n, size: 0x1_0000, prot: Prot.READ | Prot.PRIV },
  { name: 'ring', iova: 0x0810_0000n, paddr: 0x4050_4000n, size: 0x4000, prot: RW | Prot.CACHE | Prot.NOEXEC },
  { name: 'doorbell', iova: 0x0820_8000n, paddr: 0x1c00_3000n, size: 0x1000, prot: RW | Prot.MMIO | Prot.NOEXEC },
  { name: 'shaders', iova: 0x0840_0000n, paddr: 0x4440_0000n, size: 0x4_4000, prot: Prot.READ | Prot.CACHE },
  { name: 'textures', iova: 0x1000_0000n, paddr: 0x5000_0000n, size: 34 * SZ_1M + 0x5000, prot: Prot.READ | Prot.NOEXEC },
  { name: 'framebuffer', iova: 0x2000_0000n, paddr: 0x7000_0000n, size: 8 * SZ_1M, prot: RW | Prot.NOEXEC },
] as const
/** All addresses that are looked up: one in each 4 KiB, never the same offset. */
const PROBES = BUFFERS.flatMap(({ iova, paddr, size }) =>
  Array.from({ length: size / 4096 }, (_, page) => BigInt(page * 4096 + (page % 4096))).map((at) => [iova + at, paddr + at] as const),
)

/** A driver's part of the work: it is written once, for every format. */
function drive<F extends AnyFmt>(format: F, config: ConfigOf<F>) {
  const pool = new PtPool({ base: 0x8000_0000n, size: 16 * SZ_1M })
  const table = IoPageTable.createRaw(format, { allocator: pool, ...config })
  for (const { iova, paddr, size, prot } of BUFFERS) table.map(iova, paddr, size, prot)
  const pages = BUFFERS.map(({ iova, size }) => pagesOf(table, iova, size))
  const mapped = Number(table.snapshot().runs.reduce((sum, { size }) => sum + size, 0n))
  const found = BigUint64Array.from(PROBES, ([iova]) => iova)
  table.iovaToPhysMany(found, found)
  const right = PROBES.filter(([, paddr], i) => found[i] === paddr).length
  const { tableBytes } = table
  for (const { iova, size } of BUFFERS) table.unmap(iova, size)
  const empty = table.snapshot().runs.length === 0
  table.free()
  return { name: format.FORMAT, pages, mapped, right, tableBytes, empty, leaked: pool.stats().live }
}

export const buffers: Scene = {
  title: 'One driver, two formats',
  about:
    'A driver maps six buffers. Not a line of it knows the format; the engine takes the largest pages that alignment and length allow.',
  play(stage) {
    const both = onBoth(drive)
    const rows = BUFFERS.map(({ name, iova, size }, i) => [name, iova, bytes(size), ...both.map(({ pages }) => pages[i] ?? '')])
    stage.table(
      ['buffer', 'IOVA', 'size', ...both.map(({ name }) => name)],
      [...rows, ['', '', 'tables', ...both.map(({ tableBytes }) => bytes(tableBytes))]],
    )
    for (const { name, mapped, right } of both) {
      stage.same(`${name}: bytes that its pages map`, mapped, PROBES.length * 4096)
      stage.same(`${name}: addresses that translate, in one call`, right, PROBES.length)
    }
    stage.check(
      'nothing is left after the unmaps',
      both.every(({ empty, leaked }) => empty && leaked === 0),
      'no leaf, no byte',
    )
  },
}
