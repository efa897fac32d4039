/** A table of ours in the guest's memory, and the device behind the IOMMU that uses it. */
import { type AnyFmt, type FormatConfig, IoPageTable, type IoPageTableFmt, Prot, type TlbFlushOps } from '@io-pgtable/core'
import type { PtPool } from '@io-pgtable/pt-allocator'
import { guestPool } from '../machine/guest-pool.ts'
import type { Random } from '../machine/index.ts'
import type { TlbStyle } from './invalidate.ts'
import type { Iommu, Stage } from './iommu.ts'
import { type Mapping, Planner } from './plan.ts'
import { Prober } from './probe.ts'
import type { Ignored } from './wrong.ts'

interface CaseBase {
  readonly name: string
  /** How the driver makes commands of the callbacks. */
  readonly style: TlbStyle
  /** Whether leaves of the format can allow writes alone, and the model honours that. */
  readonly writeOnly: boolean
  /** The TLB is emptied before each access, since the model's TLB mixes up addresses of this space. */
  readonly cold?: boolean
  /** The bits of leaves that the model ignores; a change of any other must be noticed. */
  readonly ignores: Ignored
  /** What the model does not check. */
  readonly limits: readonly string[]
}

/** One configuration of a format under one IOMMU. */
export interface Case<I extends Iommu = Iommu> extends CaseBase {
  readonly format: AnyFmt
  readonly config: FormatConfig
  readonly stage: (iommu: I, style: TlbStyle) => Stage<unknown>
}

/** A case in use. */
export interface Setup {
  readonly iommu: Iommu
  readonly stage: Stage<unknown>
  readonly table: IoPageTable
  readonly pool: PtPool
  readonly planner: Planner
  readonly prober: Prober
  readonly random: Random
}

/** A case whose configuration and registers are those of its format. */
export function caseOf<I extends Iommu, C extends FormatConfig, R, P, D, H>(
  given: CaseBase & {
    readonly format: IoPageTableFmt<C, R, P, D, H>
    readonly config: C
    readonly stage: (iommu: I, style: TlbStyle) => Stage<R>
  },
): Case<I> {
  return given as unknown as Case<I>
}

export interface SetUpOptions {
  /** May change the driver's callbacks. */
  readonly wrap?: (tlb: TlbFlushOps) => TlbFlushOps
  /** Bytes of table memory, at most those of the IOMMU's `tables`. Default 8 MiB. */
  readonly tableBytes?: number
}

/** Makes the table, points the device to it, and maps the scratch page. */
export function setUp<I extends Iommu>(
  iommu: I,
  { format, config, stage: stageOf, writeOnly, style, cold = false }: Case<I>,
  random: Random,
  { wrap = (tlb) => tlb, tableBytes = 8 * 2 ** 20 }: SetUpOptions = {},
): Setup {
  const pool = guestPool(iommu.machine.qtest, { base: iommu.tables.base, size: tableBytes })
  const stage = stageOf(iommu, style)
  const onRoot = (regs: unknown): void => stage.point(regs)
  const table = IoPageTable.createRaw(format, { allocator: pool, tlb: wrap(stage.tlb), onRoot, ...config })
  stage.point(table.regs)
  stage.invalidateAll()
  const { geometry, config: agreed } = table
  const planner = new Planner(random, {
    geometry,
    pgsizeBitmap: agreed.pgsizeBitmap,
    targets: iommu.targets,
    reserved: iommu.reserved ?? [],
    writeOnly,
  })
  const { iova, pgsize } = planner.claim(planner.smallest)
  mapAll(table, [{ iova, paddr: iommu.scratch, pgsize, pgcount: 1, prot: Prot.READ | Prot.WRITE }])
  return { iommu, stage, table, pool, planner, prober: new Prober(iommu, stage, random, { scratchIova: iova, cold }), random }
}

/** @throws what mapping says */
export function mapAll(table: IoPageTable, mappings: readonly Mapping[]): void {
  for (const { iova, paddr, pgsize, pgcount, prot } of mappings) {
    const { error } = table.mapPages(iova, paddr, pgsize, pgcount, prot)
    if (error !== undefined) throw error
  }
}
