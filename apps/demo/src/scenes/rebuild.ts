import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { IoPageTable } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { leavesOf, runsOf, streamsOf } from '../dump.ts'
import { ARM64 } from '../formats.ts'
import type { Scene } from '../stage.ts'

/** T0SZ, IRGN0, ORGN0, SH0, TG0 and IPS of TCR_EL1 (Arm ARM, D24.2). */
const TCR_FIELDS = 0x7_0000_ff3fn

/** A stream's ranges, mapped by the engine with their own page sizes. */
function buildAgain({ sid, tables, tcr, runs }: ReturnType<typeof streamsOf>['streams'][number], allocator: PtPool) {
  const { ias, oas } = tables.geometry
  // a driver knows whether its walker snoops; the kernel's says so by making its walks cacheable (TCR.IRGN0)
  const table = IoPageTable.createRaw(arm64LpaeS1, { ...ARM64, ias, oas, allocator, coherentWalk: (tcr & 0x300n) !== 0n })
  for (const { iova, paddr, leafSize, count, prot } of runs) {
    const { error } = table.mapPages(iova, paddr, leafSize, count, prot)
    if (error !== undefined) throw error
  }
  const { geometry, context, roots, readMemory: read, regs } = table
  const [theirs, ours] = [leavesOf(runs), leavesOf(runsOf({ ...tables, geometry, context, roots, read }).runs)]
  table.free()
  const alike = theirs.filter((leaf, i) => leaf === ours[i]).length
  return { sid, tcr: [regs.tcrValue & TCR_FIELDS, tcr & TCR_FIELDS] as const, alike, all: Math.max(theirs.length, ours.length) }
}

export const rebuild: Scene = {
  title: "The kernel's tables, built again",
  about:
    'Each range, by its addresses, page size and decoded permissions alone, goes to the engine. What it writes must be what the kernel wrote, bit for bit.',
  play(stage, dump) {
    const allocator = new PtPool({ base: 0x1_0000_0000n, size: 2 ** 24 })
    const rows = streamsOf(dump).streams.map((stream) => buildAgain(stream, allocator))
    stage.table(
      ['stream', 'our TCR', "the kernel's TCR", 'descriptors', 'alike'],
      rows.map(({ sid, tcr, alike, all }) => [sid, ...tcr, all, alike]),
    )
    for (const { sid, alike, all } of rows) stage.same(`stream ${sid}: descriptors as the kernel wrote them`, alike, all)
    stage.check(
      'the registers, too: sizes, granule and cacheability of walks',
      rows.every(({ tcr: [ours, theirs] }) => ours === theirs),
    )
    stage.same('bytes leaked', allocator.stats().live, 0)
  },
}
