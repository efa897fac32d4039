/** A real kernel's tables, rebuilt by our engine from what they mean, and walked by QEMU's SMMU for every address that the kernel mapped. */
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { hex, Prot } from '@io-pgtable/core'
import { type Stream, scanSmmuv3 } from '@io-pgtable/inspect'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Below, below, type Leaf } from '../../inspect/long/support/kernel.ts'
import { configOf } from '../../inspect/long/support/rebuild.ts'
import { dumpImage, expectedOf, register } from '../../inspect/test/support/dumps.ts'
import { caseOf, mapAll, SmmuV3, setUp } from '../src/iommu/index.ts'
import { Random, record, requirement } from '../src/machine/index.ts'

const SEED = 0x5eed_0002n
const ORACLE = 'SMMUv3, tables of Linux'
/** The interrupt controller's doorbell: no memory that could be compared. */
const DOORBELL = 0x0809_0000n

const { smmu: registers, streams: known } = expectedOf('linux-smmuv3')
const { streams } = scanSmmuv3(
  { strtabBase: register(registers, 'STRTAB_BASE'), strtabBaseCfg: register(registers, 'STRTAB_BASE_CFG') },
  (await dumpImage('linux-smmuv3')).read,
  { 'arm64-stage1': arm64LpaeS1 },
)

/** The kernel's tables of a stream, and a case with its configuration. */
function kernelTables(stream: Stream) {
  const tables = stream.tables[0]!
  // The kernel makes walks cacheable (TCR.IRGN0) where they snoop
  const coherentWalk = ((stream.stages[0]?.registers.tcr as bigint) & 0x300n) !== 0n
  const config = { ...configOf(tables.geometry), coherentWalk }
  const common = { style: 'each-page', writeOnly: false, ignores: { page: [], block: [] }, limits: [] } as const
  const stage = (smmu: SmmuV3) => smmu.stage1('ttb0', 'each-page')
  return { found: below(tables), given: caseOf({ ...common, name: `stream ${stream.sid}`, format: arm64LpaeS1, config, stage }) }
}

/** A page's first and last bytes. */
function probesOf({ iova, paddr, run }: Leaf) {
  return [0n, BigInt(run.leafSize - 8)].map((offset) => ({ iova: iova + offset, paddr: paddr + offset, prot: run.prot }))
}

/** The pages before and after each run that nothing translates. */
function holesOf({ leaves, runs }: Below): bigint[] {
  const mapped = new Set(leaves.map(({ iova }) => iova))
  const page = 0x1000n
  const around = runs.flatMap(({ iova, size }) => [iova - page, iova + BigInt(size)])
  return around.filter((iova) => !mapped.has(iova))
}

const qemu = requirement('aarch64')

describe.skipIf(qemu.skip)(qemu.title('SMMUv3 of QEMU walks tables rebuilt from those of Linux'), () => {
  let smmu: SmmuV3
  beforeAll(async () => {
    smmu = await SmmuV3.start()
  }, 60_000)
  afterAll(() => smmu?.machine.stop())

  it('has all streams', () => expect(streams.map(({ sid }) => sid)).toEqual(known.map(({ sid }) => sid)))

  it.each(streams.map((stream) => ({ sid: stream.sid, stream })))('stream $sid: every address', async ({ sid, stream }) => {
    const { found, given } = kernelTables(stream)
    const setup = setUp(smmu, given, new Random(SEED))
    const { table, prober, pool } = setup
    const pages = found.runs.map(({ iova, paddr, leafSize, count, prot }) => ({ iova, paddr, pgsize: leafSize, pgcount: count, prot }))
    mapAll(table, pages)
    const inMemory = found.leaves.filter(({ paddr }) => paddr !== DOORBELL)
    const doorbells = found.leaves.filter(({ paddr }) => paddr === DOORBELL)
    const wrong = await prober.translations(inMemory.flatMap(probesOf))
    for (const { iova } of doorbells) await smmu.edu.read(iova, 0, 4)
    wrong.push(...(await smmu.faults()).map(({ address }) => `the doorbell at ${hex(address)} faults`))
    const holes = holesOf(found)
    wrong.push(...(await prober.refusals(holes.map((iova) => ({ iova, write: true, cause: 'unmapped' as const })))))
    expect(wrong).toEqual([])
    const of = known.find((one) => one.sid === sid)
    expect(inMemory.length + doorbells.length).toBe(of?.mappings.length)
    expect(inMemory.every(({ run }) => run.prot & Prot.READ)).toBe(true)
    table.free()
    expect(pool.stats().live).toBe(0)
    record({
      oracle: ORACLE,
      format: 'arm64-lpae-s1',
      config: `stream ${sid}`,
      translations: 2 * inMemory.length,
      faults: holes.length,
      qemu: smmu.machine.version,
      limits: doorbells.length > 0 ? ['the page of the interrupt doorbell is translated; where it leads is not compared'] : [],
    })
  })
})
