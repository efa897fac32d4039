/** A real kernel's tables, rebuilt by our engine from what they mean, and walked by QEMU's SMMU for every address that the kernel mapped. */
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { type DecodedLeaf, type EntryPlace, hex, Prot } from '@io-pgtable/core'
import { type Stream, scanSmmuv3 } from '@io-pgtable/inspect'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readDumps } from '../../../apps/demo/src/dumps.ts'
import { configOf } from '../../../apps/demo/src/rebuild.ts'
import { type Walked, walkRoot } from '../../../apps/demo/src/tables.ts'
import { caseOf, mapAll, SmmuV3, setUp } from '../src/iommu/index.ts'
import { Random, record, requirement } from '../src/machine/index.ts'

const SEED = 0x5eed_0002n
const ORACLE = 'SMMUv3, tables of Linux'
/** The interrupt controller's doorbell: no memory that could be compared. */
const DOORBELL = 0x0809_0000n

const { image, expected } = (await readDumps()).smmuv3
const { smmu: registers, streams: known } = JSON.parse(expected)
const { streams } = scanSmmuv3(
  { strtabBase: BigInt(registers.STRTAB_BASE), strtabBaseCfg: BigInt(registers.STRTAB_BASE_CFG) },
  image.read,
  {
    'arm64-stage1': arm64LpaeS1,
  },
)

/** The kernel's tables of a stream, and a case with its configuration. */
function kernelTables(stream: Stream) {
  const walked = walkRoot(stream.tables[0]!)
  // The kernel makes walks cacheable (TCR.IRGN0) where they snoop
  const coherentWalk = ((stream.stages[0]?.registers.tcr as bigint) & 0x300n) !== 0n
  const config = { ...configOf(walked), coherentWalk }
  const common = { style: 'each-page', writeOnly: false, ignores: { page: [], block: [] }, limits: [] } as const
  const stage = (smmu: SmmuV3) => smmu.stage1('ttb0', 'each-page')
  return { walked, given: caseOf({ ...common, name: `stream ${stream.sid}`, format: arm64LpaeS1, config, stage }) }
}

/** A page's first and last bytes. */
function probesOf({ leaf, prot }: { leaf: DecodedLeaf & EntryPlace; prot: Prot }) {
  return [0n, BigInt(leaf.size.pgsize - 8)].map((offset) => ({ iova: leaf.iova + offset, paddr: leaf.paddr + offset, prot }))
}

/** The pages before and after each run that nothing translates. */
function holesOf({ mappings, runs }: Walked): bigint[] {
  const mapped = new Set(mappings.map(({ leaf }) => leaf.iova))
  const page = 0x1000n
  const around = runs.flatMap(({ iova, size }) => [iova - page, iova + size])
  return around.filter((iova) => !mapped.has(iova))
}

const qemu = requirement('aarch64')

describe.skipIf(qemu.skip)(qemu.title('SMMUv3 of QEMU walks tables rebuilt from those of Linux'), () => {
  let smmu: SmmuV3
  beforeAll(async () => {
    smmu = await SmmuV3.start()
  }, 60_000)
  afterAll(() => smmu?.machine.stop())

  it('has all streams', () => expect(streams.map(({ sid }) => sid)).toEqual(known.map(({ sid }: { sid: number }) => sid)))

  it.each(streams.map((stream) => ({ sid: stream.sid, stream })))('stream $sid: every address', async ({ sid, stream }) => {
    const { walked, given } = kernelTables(stream)
    const setup = setUp(smmu, given, new Random(SEED))
    const { table, prober, pool } = setup
    const pages = walked.runs.map(({ iova, paddr, size, mapping }) => {
      const { pgsize } = mapping.leaf.size
      return { iova, paddr, pgsize, pgcount: Number(size) / pgsize, prot: mapping.prot }
    })
    mapAll(table, pages)
    const inMemory = walked.mappings.filter(({ leaf }) => leaf.paddr !== DOORBELL)
    const doorbells = walked.mappings.filter(({ leaf }) => leaf.paddr === DOORBELL)
    const wrong = await prober.translations(inMemory.flatMap(probesOf))
    for (const { leaf } of doorbells) await smmu.edu.read(leaf.iova, 0, 4)
    wrong.push(...(await smmu.faults()).map(({ address }) => `the doorbell at ${hex(address)} faults`))
    const holes = holesOf(walked)
    wrong.push(...(await prober.refusals(holes.map((iova) => ({ iova, write: true, cause: 'unmapped' as const })))))
    expect(wrong).toEqual([])
    const of = known.find((one: { sid: number }) => one.sid === sid)
    expect(inMemory.length + doorbells.length).toBe(of.mappings.length)
    expect(inMemory.every(({ prot }) => prot & Prot.READ)).toBe(true)
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
