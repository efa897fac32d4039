import { protNames } from '@io-pgtable/core'
import { tableStats, translate } from '@io-pgtable/inspect'
import { leavesOf, rowText, streamsOf } from '../dump.ts'
import type { Scene } from '../stage.ts'
import { bytes } from '../text.ts'

export const kernel: Scene = {
  title: "A real kernel's tables",
  about:
    "Memory of a running Linux. From two registers of its SMMU to the stream table, each stream's context descriptor, its tables, and every leaf of them.",
  play(stage, dump) {
    const { streams, findings } = streamsOf(dump)
    stage.say(dump.expected.kernel)
    const rows = streams.map(({ sid, tables, runs }) => {
      const pages = tableStats(tables).levels.reduce((sum, level) => sum + level.tables, 0)
      return [sid, tables.roots[0] ?? 0n, tables.geometry.ias, pages, runs.length, leavesOf(runs).length]
    })
    stage.table(['stream', 'TTB0', 'input bits', 'tables', 'ranges', 'leaves'], rows)
    const largest = streams.map(({ sid, runs }) => ({ sid, run: runs.reduce((a, b) => (b.size > a.size ? b : a)) }))
    stage.table(
      ['stream', 'largest range', 'leads to', 'pages', 'prot'],
      largest.map(({ sid, run }) => [sid, run.iova, run.paddr, `${run.count}×${bytes(run.leafSize)}`, protNames(run.prot).join(' ')]),
    )
    const hole = translate(streams[0]?.tables ?? [], 0x1000n)
    stage.say(`Stream ${streams[0]?.sid}, 0x1000: ${hole.fault?.reason}`)
    stage.same('streams found', streams.map(({ sid }) => sid).join(), dump.expected.streams.map(({ sid }) => sid).join())
    for (const { sid, runs } of streams) {
      const wanted = dump.expected.streams.find((stream) => stream.sid === sid)?.mappings.map(rowText) ?? []
      const alike = leavesOf(runs).filter((leaf, i) => leaf === wanted[i]).length
      stage.same(`stream ${sid}: leaves as an independent walker found them`, alike, Math.max(wanted.length, leavesOf(runs).length))
    }
    stage.check('an address that nothing maps is explained', hole.paddr === undefined && hole.fault !== undefined)
    stage.same('unknown memory or invalid descriptors on the way', findings.length, 0)
  },
}
