/** Vector files of the toy format, worked out by hand. Functions, so that every test has its own copy. */

const M2 = 2 ** 21
const RW = ['READ', 'WRITE']
const config = { pgsizeBitmap: '0x201000', ias: 30, oas: 32, quirks: [] as string[], coherentWalk: true }
const registers = { pgsizeBitmap: '0x201000', ias: 30, oas: 32, baseAttr: '0x0', startLevel: 1, rootEntries: 512, rootBytes: 4096 }
const head = (name: string, format = 'toy') => ({ schema: 1, name, source: 'by hand', format })

type Json = Record<string, unknown>
const map = (
  iova: string,
  paddr: string,
  pgsize: number,
  pgcount: number,
  mapped: number,
  error: string | null,
  more: Json = {},
): Json => ({
  ...{ op: 'map', iova, paddr, pgsize, pgcount, prot: RW, result: { mapped, error } },
  ...more,
})
const unmap = (iova: string, pgsize: number, pgcount: number, unmapped: number, tlb: unknown[]): Json => ({
  ...{ op: 'unmap', iova, pgsize, pgcount, result: { unmapped }, tlb },
})

/** A bit of everything that io-pgtable vectors have. */
export const operations = (): Json & { ops: Json[] } => ({
  ...head('toy/operations'),
  config,
  registers,
  shows: 'every kind of operation',
  features: [],
  ops: [
    map('0x1000', '0x80000000', 4096, 4, 16384, null),
    { op: 'translate', iova: '0x2345', result: '0x80001345' },
    map('0x200000', '0x40000000', M2, 1, M2, null, { prot: ['READ'] }),
    map('0x4000', '0x90000000', 4096, 2, 0, 'EEXIST'),
    {
      op: 'dump',
      leaves: [
        ['0x1000', 2, '0x80000003', 4, '0x1000'],
        ['0x200000', 1, '0x40000005', 1, '0x0'],
      ],
      tables: [['0x0', 1, '0x3']],
      tableBytes: 8192,
    },
    unmap('0x1000', 4096, 8, 16384, [['addPage', '0x1000', 4096, 4]]),
    map('0x0', '0x60000000', M2, 1, M2, null, { tlb: [['flushWalk', '0x0', M2, 4096]] }),
    unmap('0x0', M2, 2, 2 * M2, [['addPage', '0x0', M2, 2]]),
    { op: 'translate', iova: '0x2345', result: null },
    { op: 'dump', leaves: [], tables: [], tableBytes: 4096 },
    { op: 'free', tlb: [['flushAll']], tableBytes: 0 },
  ],
})

/** A run that fails for a mapping in its second slot, after the kernel freed the empty table in its first. */
export const emptyTableFreed = (): Json & { ops: Json[] } => ({
  ...head('toy/empty-table-freed'),
  config,
  registers,
  features: ['eexistAfterEmptyTableFreed'],
  ops: [
    map('0x1000', '0x80000000', 4096, 1, 4096, null),
    unmap('0x1000', 4096, 1, 4096, [['addPage', '0x1000', 4096, 1]]),
    map('0x200000', '0x40000000', M2, 1, M2, null),
    map('0x0', '0x60000000', M2, 2, 0, 'EEXIST', { tlb: [['flushWalk', '0x0', M2, 4096]] }),
    { op: 'dump', leaves: [['0x200000', 1, '0x40000001', 1, '0x0']], tables: [], tableBytes: 4096 },
  ],
})

export const facts = (): Json & { rows: unknown[][] } => ({
  ...head('facts/toy'),
  config,
  columns: ['level', 'pgsize', 'prot', 'paddr', 'raw', 'error'],
  rows: [
    [2, 4096, RW, '0x80003000', '0x80003003', null],
    [2, 4096, ['CACHE'], '0x80003000', null, 'EINVAL'],
    [1, M2, ['READ'], '0xc0200000', '0xc0200005', null],
  ],
})

export const configs = (): Json & { rows: Json[] } => ({
  ...head('config/toy'),
  rows: [
    { config, result: registers },
    { config: { ...config, ias: 40 }, result: registers },
    { config: { ...config, quirks: ['UNKNOWN'] }, result: null },
    { config: { ...config, quirks: ['ONLY_THE_DRIVER'] }, result: null, error: 'EOPNOTSUPP' },
  ],
})

const rangeConfig = { features: [], vaBits: 30, oaBits: 32, topLevel: 1 }
const rangeRegisters = {
  pgsizeBitmap: '0x201000',
  vaBits: 30,
  oaBits: 32,
  apertureStart: '0x0',
  apertureLast: '0x3fffffff',
  topLevel: 1,
  baseAttr: '0x0',
}
const mapRange = (iova: string, paddr: string, size: number, mapped: number, error: string | null, more: Json = {}): Json => ({
  ...{ op: 'mapRange', iova, paddr, size, prot: RW, result: { mapped, error } },
  ...more,
})
const unmapRange = (iova: string, size: number, unmapped: number, gather: Json | null): Json => ({
  ...{ op: 'unmapRange', iova, size, result: { unmapped }, gather },
})

/** The operations of generic_pt. */
export const ranges = (): Json & { ops: Json[] } => ({
  ...head('toy/ranges', 'toy-ranges'),
  config: rangeConfig,
  registers: rangeRegisters,
  features: [],
  ops: [
    mapRange('0x1ff000', '0x801ff000', M2 + 4096, M2 + 4096, null),
    {
      op: 'dump',
      topLevel: 1,
      leaves: [
        ['0x1ff000', 2, '0x801ff003', 1, '0x0'],
        ['0x200000', 1, '0x80200001', 1, '0x0'],
      ],
      tables: [['0x0', 1, '0x3']],
      tableBytes: 8192,
    },
    mapRange('0x1fe000', '0x80000000', 8192, 0, 'EADDRINUSE'),
    unmapRange('0x1ff000', M2 + 4096, M2 + 4096, { start: '0x1ff000', end: '0x3fffff', freedTables: 0 }),
    unmapRange('0x0', 4096, 0, null),
    { op: 'dump', topLevel: 1, leaves: [], tables: [['0x0', 1, '0x3']], tableBytes: 8192 },
  ],
})

/** As {@link emptyTableFreed}. */
export const emptyTableFreedInRange = (): Json & { ops: Json[] } => ({
  ...ranges(),
  features: ['eaddrinuseAfterEmptyTableFreed'],
  ops: [
    mapRange('0x1000', '0x80000000', 4096, 4096, null),
    unmapRange('0x1000', 4096, 4096, { start: '0x1000', end: '0x1fff', freedTables: 0 }),
    mapRange('0x200000', '0x40000000', M2, M2, null),
    mapRange('0x0', '0x60000000', 2 * M2, 0, 'EADDRINUSE', { sync: [{ start: '0x0', end: '0x1fffff', freedTables: 1 }] }),
  ],
})
