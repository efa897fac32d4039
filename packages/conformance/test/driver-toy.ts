/** The toy as a driver's files speak of it: levels by name, sizes that are runs, operations and facts of its own. Files worked out by hand. */
import { type DriverVectorBinding, hex, type JsonValue, Prot, pgsizeBitmap, protOf, SZ_2M, SZ_4K } from '@io-pgtable/core'
import { toy } from './toy.ts'

type Names = readonly ('READ' | 'WRITE')[]

export const driverBinding: DriverVectorBinding<typeof toy> = {
  family: 'driver',
  format: 'toy-driver',
  fmt: toy,
  config: ({ inputBits }) => ({ pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: inputBits as number, oas: 32 }),
  registers: ({ regs, roots }) => ({ baseAttr: hex(regs.base - (roots[0] ?? 0n)), vaBits: 30 }),
  level: (node) => (node.id === 'L1' ? 'PD' : 'PT'),
  tableAddressMask: (_config, node) => (node.id === 'L1' ? 0xffff_f000n : 0n),
  prot: ({ prot, aperture }) => (aperture === 'rom' ? Prot.READ : protOf(prot as Names)),
  translated: (table, iova) => (table.iovaToPhys(iova) === undefined ? {} : { aperture: 'ram' }),
  operations: {
    drop(table, { iova, size }) {
      table.unmapRange(BigInt(iova as string), size as number)
      table.trim()
      return undefined
    },
  },
  differences: {
    overwrites: { op: 'map', when: 'mapped', reason: 'the driver overwrites; here it is EEXIST' },
    holes: { op: 'unmap', when: 'hole', reason: 'the driver passes over holes' },
    parts: { op: ['unmap', 'unmapRange'], when: 'part', reason: 'the driver splits' },
    odd: { op: 'map', when: ({ prot }) => (prot as Names).length === 1, reason: 'read-only' },
  },
  rootRegister: ({ base }) => base,
  facts: {
    colours: ({ colour }) => (colour === 'red' ? 0xffn : { leftOut: 'no such colour here' }),
  },
  walked: (way) => ({ node: way.at(-1)?.node.id === 'L1' ? 'PD' : 'PT' }),
}

/** The same, where pages of the files are runs of 4 KiB. */
export const runsBinding: DriverVectorBinding<typeof toy> = {
  ...withoutProt(driverBinding),
  format: 'toy-runs',
  unit: SZ_4K,
  leavesOut: { tables: 'eight at once', tableBytes: 'eight at once' },
}

function withoutProt({ prot: _, translated: __, ...binding }: DriverVectorBinding<typeof toy>): DriverVectorBinding<typeof toy> {
  return binding
}

type Json = Record<string, JsonValue>
const RW = ['READ', 'WRITE']
const M2 = 2 ** 21
const head = (format: string, more: Json): Json => ({ schema: 1, source: 'by hand', format, config: { inputBits: 30 }, ...more })
const map = (iova: string, paddr: string, pgcount: number, more: Json = {}): Json => ({
  ...{ op: 'map', iova, paddr, pgsize: 4096, pgcount, prot: RW, result: { mapped: 4096 * pgcount, error: null } },
  ...more,
})

export const driverOperations = (): Json & { ops: Json[] } => ({
  ...head('toy-driver', { registers: { vaBits: 30, baseAttr: '0x0', rootBytes: 4096 }, features: [] }),
  ops: [
    map('0x1000', '0x80000000', 4, { mmio: [[16, '0x1']] }),
    map('0x5000', '0x90000000', 1, { aperture: 'rom' }),
    { op: 'translate', iova: '0x2345', result: '0x80001345', aperture: 'ram' },
    { op: 'translate', iova: '0x9000', result: null },
    {
      ...{ op: 'mapRange', iova: '0x1fe000', size: M2 + 8192, prot: ['READ'], result: { mapped: M2 + 8192, error: null } },
      sg: [
        ['0x40000000', 8192],
        ['0x50000000', M2],
      ],
    },
    {
      op: 'dump',
      leaves: [
        ['0x1000', 'PT', '0x80000003', 4, '0x1000'],
        ['0x5000', 'PT', '0x90000007', 1, '0x0'],
        ['0x1fe000', 'PT', '0x40000007', 1, '0x0'],
        ['0x1ff000', 'PT', '0x40001007', 1, '0x0'],
        ['0x200000', 'PD', '0x50000005', 1, '0x0'],
      ],
      tables: [['0x0', 'PD', '0x3']],
      holes: [['0x7000', 'PT', '0x2', 1, '0x0']],
      tableBytes: 8192,
    },
    { op: 'unmap', iova: '0x1000', pgsize: 4096, pgcount: 2, result: { unmapped: 8192 } },
    { op: 'mapRepeat', iova: '0x8000', paddr: '0x70000000', pgsize: 4096, pgcount: 3, prot: RW, result: { mapped: 12288, error: null } },
    { op: 'reprot', iova: '0x7000', pgsize: 4096, pgcount: 4, prot: ['READ'], result: { error: null } },
    { op: 'unmapRange', iova: '0x200000', size: M2, result: { unmapped: M2 } },
    {
      op: 'dump',
      leaves: [
        ['0x3000', 'PT', '0x80002003', 1, '0x0'],
        ['0x4000', 'PT', '0x80003003', 1, '0x0'],
        ['0x5000', 'PT', '0x90000007', 1, '0x0'],
        ['0x8000', 'PT', '0x70000007', 3, '0x0'],
        ['0x1fe000', 'PT', '0x40000007', 1, '0x0'],
        ['0x1ff000', 'PT', '0x40001007', 1, '0x0'],
      ],
      tables: [['0x0', 'PD', '0x3']],
      tableBytes: 8192,
    },
    { op: 'drop', iova: '0x3000', size: 12288 },
    { op: 'free', tableBytes: 0 },
  ],
})

/** Two maps of 8 KiB, of which the second meets the first: all of that page is refused, and the page before it stays. */
export const runs = (): Json & { ops: Json[] } => ({
  ...head('toy-runs', { features: [] }),
  ops: [
    map('0x4000', '0x80000000', 1, { pgsize: 8192, result: { mapped: 8192, error: null } }),
    map('0x0', '0x90000000', 3, { pgsize: 8192, result: { mapped: 16384, error: 'EADDRINUSE' } }),
    {
      op: 'dump',
      leaves: [
        ['0x0', 'PT', '0x90000003', 4, '0x1000'],
        ['0x4000', 'PT', '0x80000003', 2, '0x1000'],
      ].flatMap(unfolded),
      tables: [],
      tableBytes: 1,
    },
    { op: 'unmap', iova: '0x0', pgsize: 8192, pgcount: 4, result: { unmapped: 24576 } },
  ],
})

/** Runs under three slots are written one by one. */
function unfolded(row: readonly JsonValue[]): JsonValue[][] {
  const [iova, level, raw, count] = row as [string, string, string, number]
  if (count > 2) return [[...row]]
  return [0n, 0x1000n].map((at) => [hex(BigInt(iova) + at), level, hex(BigInt(raw) + at), 1, '0x0'])
}

/** A driver that unmaps what is there: a large page by its own size, never by a smaller one. */
export const foundBinding: DriverVectorBinding<typeof toy> = {
  ...withoutProt(driverBinding),
  format: 'toy-found',
  unmapsFound: 'pgsize',
  trims: true,
}

export const found = (): Json & { ops: Json[] } => ({
  ...head('toy-found', { features: [] }),
  ops: [
    map('0x1fe000', '0x80000000', 2),
    map('0x200000', '0x40000000', 1, { pgsize: M2, result: { mapped: M2, error: null } }),
    { op: 'unmap', iova: '0x1ff000', pgsize: 4096, pgcount: 513, result: { unmapped: 4096 } },
    { op: 'unmap', iova: '0x200000', pgsize: M2, pgcount: 2, result: { unmapped: M2 } },
    { op: 'unmap', iova: '0x0', pgsize: M2, pgcount: 1, result: { unmapped: 0 } },
    { op: 'dump', leaves: [['0x1fe000', 'PT', '0x80000003', 1, '0x0']], tables: [['0x0', 'PD', '0x3']], tableBytes: 8192 },
    { op: 'unmap', iova: '0x1fe000', pgsize: 4096, pgcount: 2, result: { unmapped: 4096 } },
    { op: 'dump', leaves: [], tables: [], tableBytes: 4096 },
  ],
})

export const driverFacts = (): Json & { rows: JsonValue[][] } => ({
  ...head('toy-driver', { tableColumns: ['level', 'table address', 'raw'], tables: [['PD', '0x80001000', '0x80001003']] }),
  columns: ['level', 'pgsize', 'prot', 'paddr', 'raw', 'error'],
  rows: [
    ['PT', 4096, RW, '0x80003000', '0x80003003', null],
    ['PD', M2, ['READ'], '0xc0200000', '0xc0200005', null],
    ['PT', 4096, [], '0x80003000', '0x80003007', null],
    [null, 8192, RW, '0x80003000', null, 'EINVAL'],
    ['PT', 4096, RW, '0x180003000', '0x80003003', null],
    [null, 4096, RW, '0x180003000', null, 'ERANGE'],
  ],
  rootColumns: ['root address', 'register', 'value'],
  roots: [['0x80004000', 'BASE', '0x80004000']],
  colourColumns: ['colour', 'raw'],
  colours: [
    ['red', '0xff'],
    ['blue', '0x1'],
  ],
})

export const walks = (): Json & { walks: Json[] } => ({
  ...head('toy-driver', {
    root: '0x1000',
    memory: [
      ['0x1000', '0x2003'],
      ['0x2008', '0x80000003'],
      ['0x1008', '0x40000001'],
    ],
  }),
  walks: [
    { iova: '0x1234', result: '0x80000234', node: 'PT' },
    { iova: '0x234567', result: '0x40034567', node: 'PD' },
    { iova: '0x3000', result: null, node: 'PT' },
  ],
})
