/** The same four rows for every format of the workspace, and for those of its configurations whose addresses stand in several pieces. */
import { formats } from 'workspace:formats'
import { type AnyFmt, IoPageTable, inputRanges, NOOP_FLUSH_OPS, pageSizes } from '@io-pgtable/core'
import type { Row } from './row.ts'
import { mapRow } from './rows-map.ts'
import { batchRow } from './rows-translate.ts'
import { unmapRow } from './rows-unmap.ts'
import { newPool, PROT, type Subject } from './subject.ts'

/** Pages of a row's range: the low 2^28 bytes and more stay free in the smallest spaces, and tables outgrow the first level of caches. */
const PAGES = 1 << 16
const MiB = 2 ** 20
const ADDRESSES = 1 << 18
/** Beside the first one: large addresses, the vendors' bits. */
const MORE = /52 bits(, LPA2)?$|^mtk$/

type Config = AnyFmt['configs'][number]

function subjectOf(format: AnyFmt, { name, config }: Config): Subject {
  const create: Subject['create'] = (allocator, tlb = NOOP_FLUSH_OPS) => IoPageTable.createRaw(format, { allocator, tlb, ...config })
  const { geometry, config: agreed } = create(newPool(MiB))
  const [page = 0] = pageSizes(agreed.pgsizeBitmap)
  const bytes = Math.min(PAGES * page, 2 ** (geometry.ias - 2))
  return {
    format: `${format.FORMAT}/${name.replaceAll(/[ ,]+/g, '-')}`,
    page,
    create,
    createFirst: (allocator) => IoPageTable.createRaw({ ...format }, { allocator, ...config }),
    poolBytes: 4 * MiB,
    iova: (inputRanges(geometry)[0]?.first ?? 0n) + BigInt(bytes),
    paddr: BigInt(bytes),
    range: bytes >= 2 ** 30 ? `${bytes / 2 ** 30} GiB` : `${bytes / MiB} MiB`,
    bytes,
    perCall: bytes / page,
    slot: page,
    block: { name: '', pgsize: page },
  }
}

/** Some configurations cannot map a run of their smallest page: DART2's descriptor has no place for two of the address bits. */
function mapsRuns(subject: Subject): boolean {
  return subject.create(newPool(subject.poolBytes)).mapPages(subject.iova, subject.paddr, subject.page, 16, PROT).error === undefined
}

function subjectsOf(format: AnyFmt): Subject[] {
  const first = format.configs.find((config) => mapsRuns(subjectOf(format, config)))
  return format.configs
    .filter((config) => config === first || MORE.test(config.name))
    .map((config) => subjectOf(format, config))
    .filter(mapsRuns)
}

/** With every format in use only: with one format there is nothing to say that the rows of ARM64 do not. */
export function formatRows(): Row[] {
  return formats
    .flatMap(subjectsOf)
    .flatMap((subject) =>
      [
        mapRow(subject, subject.perCall, 'present'),
        unmapRow(subject, subject.perCall, false),
        mapRow(subject, 1, 'present'),
        batchRow(subject, ADDRESSES),
      ].map((row) => ({ ...row, everyFormat: true })),
    )
}
