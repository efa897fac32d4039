import { type AnyFmt, type ConfigOf, IoPageTable, Prot } from '@io-pgtable/core'
import { type Explanation, explain } from '@io-pgtable/inspect'
import { PtPool } from '@io-pgtable/pt-allocator'
import { onBoth } from '../formats.ts'
import type { Cell, Scene } from '../stage.ts'

const PAGE = { iova: 0x1234_5000n, paddr: 0x5678_9000n }
const PROBE = PAGE.iova + 0xabcn

/** One page, and the way to it as the hardware goes. */
function wayTo<F extends AnyFmt>(format: F, config: ConfigOf<F>) {
  const pool = new PtPool({ base: 0x8000_0000n, size: 2 ** 20 })
  const table = IoPageTable.createRaw(format, { allocator: pool, ...config })
  table.map(PAGE.iova, PAGE.paddr, 4096, Prot.READ | Prot.WRITE | Prot.NOEXEC)
  const { geometry, context } = table
  const steps = table.walk(PROBE).map((entry) => ({ ...entry, said: explain(format, geometry, entry.node, entry.raw, context) }))
  const paddr = table.iovaToPhys(PROBE)
  table.free()
  return { name: format.FORMAT, manual: format.manual, steps, paddr }
}

type Way = ReturnType<typeof wayTo>

const rowsOf = ({ steps }: Way): Cell[][] =>
  steps.map(({ table, index, raw, said }) => [said.level, table, index, raw, said.kind.toLowerCase(), said.next ?? said.paddr ?? ''])

/** The fields of a leaf that are set, from the highest bit on. */
const fieldsOf = ({ fields }: Explanation): Cell[][] =>
  fields
    .filter(({ reserved, name, value }) => !reserved && name !== 'output address' && value !== 0n)
    .map(({ bits, name, value, meaning, doc }) => [`[${bits.join()}]`, name, Number(value), meaning ?? doc])

export const walk: Scene = {
  title: 'One translation, bit by bit',
  about: `A page at 0x${PAGE.iova.toString(16)} that may be read and written, and not executed: what the hardware reads on its way to 0x${PROBE.toString(16)}.`,
  play(stage) {
    for (const way of onBoth(wayTo)) {
      const leaf = way.steps.at(-1)
      if (leaf === undefined) throw new Error('a walk without a step')
      stage.say(`${way.name}, after ${way.manual}`)
      stage.table(['level', 'table', 'index', 'descriptor', 'kind', 'leads to'], rowsOf(way))
      stage.table(['bits', 'field', 'value', 'says'], fieldsOf(leaf.said))
      stage.check(
        `${way.name}: each table is where the one above says`,
        way.steps.every(({ table }, i) => i === 0 || table === way.steps[i - 1]?.said.next),
        `${way.steps.length} levels`,
      )
      stage.check(
        `${way.name}: the page is where the translation says`,
        way.paddr === PAGE.paddr + 0xabcn && leaf.said.paddr === PAGE.paddr,
      )
      stage.same(`${way.name}: the descriptor decodes to what was asked`, leaf.said.prot?.join(' ') ?? '', 'READ WRITE NOEXEC')
    }
  },
}
