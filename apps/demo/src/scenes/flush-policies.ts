import { armV7s } from '@io-pgtable/arm-v7s'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { checkFlushPolicy, type MakePolicy } from '@io-pgtable/conformance'
import { type Counts, counting } from '../policies/counting.ts'
import { flushQueue } from '../policies/flush-queue.ts'
import { lockedRange } from '../policies/locked-range.ts'
import { perPage } from '../policies/per-page.ts'
import type { Scene } from '../stage.ts'

const POLICIES: readonly (readonly [string, MakePolicy])[] = [
  ['per page and per walk', perPage],
  ['a locked range', (setup) => lockedRange(setup)],
  ['a lazy queue of 8', (setup) => flushQueue(setup)],
]

/** Random requests on both formats. The kit's law throws where something stale was used, and says after which calls. */
async function count(make: MakePolicy): Promise<Counts> {
  const counts = { unmaps: 0, commands: 0, pages: 0, everything: 0 }
  const runs: (() => void | Promise<void>)[] = []
  for (const format of [arm64LpaeS1, armV7s]) {
    const configs = format.configs.slice(0, 1).map(({ name }) => name)
    checkFlushPolicy({ format, configs, policy: counting(make, counts), test: (_name, run) => void runs.push(run) })
  }
  for (const run of runs) await run()
  return counts
}

export const flushPolicies: Scene = {
  title: 'When to flush: three drivers',
  about:
    'The same random requests by three policies (docs/flush-policies.md), on a device that remembers all that it could have seen. Nothing stale may ever be used.',
  async play(stage) {
    const all: Counts[] = []
    for (const [, make] of POLICIES) all.push(await count(make))
    stage.table(
      ['policy', 'unmaps', 'invalidations', 'of pages', 'of everything'],
      all.map(({ unmaps, commands, pages, everything }, i) => [POLICIES[i]?.[0] ?? '', unmaps, commands, pages, everything]),
    )
    for (const [i, { unmaps }] of all.entries())
      stage.check(`${POLICIES[i]?.[0]}: nothing stale was used`, unmaps > 100, `${unmaps} unmaps`)
    const [exact = 0, , lazy = 0] = all.map(({ commands, everything }) => commands + everything)
    stage.check('laziness saves invalidations', lazy < exact / 5, `${lazy} instead of ${exact}`)
  },
}
