/**
 * Part (a): what a GPU driver does with a table, from probe to unbind. Written once for any format: nothing here knows which one it runs on,
 * and page sizes come from the format's own geometry.
 */
import {
  type AnyFmt,
  type ConfigOf,
  Device,
  type Geometry,
  IoPageTable,
  IoPgtableError,
  IotlbGather,
  LeafRuns,
  Prot,
  pageSizes,
  protNames,
  slotBytes,
  walkTables,
} from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { explainEntry } from './explain.ts'
import { FlushLog } from './flush-log.ts'
import type { BufferReport, Check, DriverReport } from './report.ts'

const MiB = 2 ** 20

interface Buffer {
  readonly name: string
  readonly iova: bigint
  readonly paddr: bigint
  readonly size: number
  readonly prot: Prot
}

const DOORBELL: Buffer = {
  name: 'doorbell',
  iova: 0x0820_8000n,
  paddr: 0x1c00_3000n,
  size: 0x1000,
  prot: Prot.READ | Prot.WRITE | Prot.MMIO | Prot.NOEXEC,
}
const TEXTURES: Buffer = {
  name: 'textures',
  iova: 0x1000_0000n,
  paddr: 0x5000_0000n,
  size: 34 * MiB + 0x5000,
  prot: Prot.READ | Prot.CACHE | Prot.NOEXEC,
}
/** What the GPU works on. Where large pages are to be used, IOVA and physical address are alike in their low bits. */
const BUFFERS: readonly Buffer[] = [
  { name: 'firmware', iova: 0x0800_0000n, paddr: 0x4040_0000n, size: 0x1_0000, prot: Prot.READ | Prot.PRIV },
  { name: 'command ring', iova: 0x0810_0000n, paddr: 0x4050_4000n, size: 0x4000, prot: Prot.READ | Prot.WRITE | Prot.CACHE | Prot.NOEXEC },
  DOORBELL,
  { name: 'shaders', iova: 0x0840_0000n, paddr: 0x4440_0000n, size: 0x4_4000, prot: Prot.READ | Prot.CACHE },
  TEXTURES,
  { name: 'framebuffer', iova: 0x2000_0000n, paddr: 0x7000_0000n, size: 8 * MiB, prot: Prot.READ | Prot.WRITE | Prot.NOEXEC },
]
/** In the textures' last page. */
const PROBE = TEXTURES.iova + BigInt(TEXTURES.size) - 0x544n

/** Runs the scenario on one format. */
export function driveGpu<F extends AnyFmt>(format: F, config: ConfigOf<F>): DriverReport {
  const pool = new PtPool({ base: 0x8000_0000n, size: 16 * MiB, name: 'gpu tables' })
  const device = new Device('gpu').bind()
  const tlb = new FlushLog()
  const warnings: IoPgtableError[] = []
  const resource = IoPageTable.create(device, format, {
    allocator: pool,
    tlb,
    onWarn: (w: IoPgtableError) => void warnings.push(w),
    ...config,
  })
  const table = resource.access()

  const buffers = BUFFERS.map((buffer) => mapBuffer(table, buffer))
  const mappedBytes = table.tableBytes
  const translation = { iova: PROBE, paddr: table.iovaToPhys(PROBE), walk: table.walk(PROBE).map(explainEntry) }
  const batch = translateBatch(table)
  const conflict = mapOverDoorbell(table, warnings)
  const spanningUnmap = unmapSpanning(table, tlb)

  tlb.take()
  device.unbind()
  const revoked = { access: codeOf(() => resource.access()), use: codeOf(() => table.iovaToPhys(PROBE)), events: tlb.take() }
  const { live, peak } = pool.stats()
  const report = {
    format: format.FORMAT,
    title: format.title,
    ias: table.config.ias,
    oas: table.config.oas,
    pageSizes: pageSizes(table.config.pgsizeBitmap),
    registers: table.regs as Readonly<Record<string, unknown>>,
    buffers,
    tableBytes: mappedBytes,
    translation,
    batch,
    conflict,
    spanningUnmap,
    revoked,
    leakedBytes: live,
    peakBytes: peak,
  }
  return { ...report, checks: checksOf(report) }
}

/** Maps a buffer and tells which page sizes the engine chose. */
function mapBuffer<F extends AnyFmt>(table: IoPageTable<F>, { name, iova, paddr, size, prot }: Buffer): BufferReport {
  table.map(iova, paddr, size, prot)
  const runs = new LeafRuns<null>(() => true)
  const range = { first: iova, last: iova + BigInt(size) - 1n }
  walkTables(table.geometry, table.roots, table.readMemory, { leaf: (leaf) => runs.add(leaf, null) }, range)
  const pages = runs.runs.map((run) => ({ pgsize: run.leaf.size.pgsize, count: Number(run.size) / run.leaf.size.pgsize }))
  return { name, iova, paddr, size, prot: protNames(prot), descriptor: runs.runs[0]?.leaf.raw ?? 0n, pages }
}

/** Translates an address in each page of every buffer in one call, and checks each answer by subtraction. */
function translateBatch<F extends AnyFmt>(table: IoPageTable<F>): DriverReport['batch'] {
  const cases = BUFFERS.flatMap(({ iova, paddr, size }) =>
    Array.from({ length: size / 4096 }, (_, page) => BigInt(page * 4096 + (page % 4096))).map(
      (offset) => [iova + offset, paddr + offset] as const,
    ),
  )
  const out = new BigUint64Array(cases.length)
  const translated = table.iovaToPhysMany(
    BigUint64Array.from(cases, ([iova]) => iova),
    out,
  )
  return { translated, wrong: cases.filter(([, paddr], i) => out[i] !== paddr).length }
}

/**
 * Asks for four pages, the third of which is taken. The table answers with both values: an error, and what it mapped all the same, which
 * is the format's policy; the driver takes that prefix back.
 */
function mapOverDoorbell<F extends AnyFmt>(table: IoPageTable<F>, warnings: readonly IoPgtableError[]): DriverReport['conflict'] {
  const { granule } = leafTable(table.geometry)
  const start = DOORBELL.iova - BigInt(2 * granule)
  const { mapped, error } = table.mapPages(start, 0x7800_0000n, granule, 4, Prot.READ)
  if (mapped > 0) table.unmap(start, mapped)
  return { pages: 4, taken: 3, error: error?.code, mapped, warnings: warnings.length }
}

/** Two maps of half a table's range each, and one unmap over both: the leaves and their table go at once. */
function unmapSpanning<F extends AnyFmt>(table: IoPageTable<F>, tlb: FlushLog): DriverReport['spanningUnmap'] {
  const { granule, span } = leafTable(table.geometry)
  const half = span / 2
  const before = table.tableBytes
  table.mapPages(0n, 0x9000_0000n, granule, half / granule, Prot.READ | Prot.WRITE)
  table.mapPages(BigInt(half), 0xa000_0000n, granule, half / granule, Prot.READ)
  const mapped = table.tableBytes
  tlb.take()
  const gather = new IotlbGather()
  const unmapped = table.unmapPages(0n, span, 1, gather)
  const waiting = table.tableBytes
  gather.sync()
  return {
    pgsize: span,
    half,
    granule,
    unmapped,
    events: tlb.take(),
    tableBytes: { before, mapped, unmapped: waiting, synced: table.tableBytes },
  }
}

/** The smallest page, and the bytes that a table of such pages translates. */
function leafTable({ nodes }: Geometry): { granule: number; span: number } {
  const node = nodes.reduce((a, b) => (b.shift < a.shift ? b : a))
  return { granule: slotBytes(node), span: slotBytes(node) * 2 ** node.bits }
}

/** The code of the error that `use` throws. */
function codeOf(use: () => unknown): string {
  try {
    use()
    return 'nothing was thrown'
  } catch (error) {
    return error instanceof IoPgtableError ? error.code : String(error)
  }
}

function checksOf(report: Omit<DriverReport, 'checks'>): Check[] {
  const { translation, batch, conflict, spanningUnmap, revoked, leakedBytes } = report
  const want = TEXTURES.paddr + (PROBE - TEXTURES.iova)
  const pages = BUFFERS.reduce((sum, { size }) => sum + size / 4096, 0)
  const calls = spanningUnmap.events.map(({ call }) => call)
  return [
    {
      name: 'a walk ends where the translation does',
      ok: translation.paddr === want && translation.walk.at(-1)?.type === 'leaf',
      detail: `${translation.walk.length} levels`,
    },
    {
      name: 'batch translation',
      ok: batch.wrong === 0 && batch.translated === pages,
      detail: `${(batch.translated - batch.wrong).toLocaleString('en-US')} of ${pages.toLocaleString('en-US')}`,
    },
    { name: 'a mapping in the way is refused', ok: conflict.error === 'EEXIST' && conflict.warnings === 1, detail: `${conflict.error}` },
    {
      name: 'one unmap over two maps frees their table',
      ok:
        spanningUnmap.unmapped === spanningUnmap.pgsize &&
        calls[0] === 'flushWalk' &&
        calls.at(-1) === 'sync' &&
        spanningUnmap.tableBytes.synced < spanningUnmap.tableBytes.mapped,
      detail: calls.join(', '),
    },
    {
      name: 'use after unbind throws',
      ok: revoked.access === 'ENODEV' && revoked.use === 'ENODEV',
      detail: `${revoked.access}, ${revoked.use}`,
    },
    { name: 'bytes leaked', ok: leakedBytes === 0, detail: `${leakedBytes}` },
  ]
}
