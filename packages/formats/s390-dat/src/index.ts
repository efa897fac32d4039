/**
 * Dynamic address translation (DAT) of IBM Z CPUs: region, segment and page tables, big-endian, read alone.
 * z/Architecture Principles of Operation (SA22-7832, POP), chapter 3, "Dynamic Address Translation"; chapter 6 for interruption codes. IBM
 * numbers bits from the left; here bit 0 is the lowest. Levels count up from the page table, 1, to the region-first table, 5.
 */
import {
  type AccessFault,
  type Agreed,
  ALWAYS,
  type ArchFault,
  checkConfig,
  configError,
  type Field,
  type FormatConfig,
  field,
  type Geometry,
  type IoPageTableFmt,
  type Kind,
  type LevelNode,
  type Meaning,
  meaning,
  Prot,
  Right,
  type Rights,
  readOnly,
  SZ_4K,
  splitField,
  when,
} from '@io-pgtable/core'
import { packAsce, rootsFromRegs, type S390Context, type S390Hardware, type S390Params, type S390Regs } from './registers.ts'

export type { S390Context, S390Hardware, S390Params, S390Regs } from './registers.ts'

export type S390Config = FormatConfig<never>

const POP = { section: 'POP 3' }
const INVALID = 0x20n
const PAGE_INVALID = 0x400n
const FC = 0x400n
const TT = 0xcn
/** Real addresses; what an image can hold ends there. */
const OAS = 56
const NAMES = ['', 'page table', 'segment table', 'region-third table', 'region-second table', 'region-first table']

/** DAT protection takes writes away. Who a user is, storage keys and the space itself say. */
const PROTECTION: Meaning<Rights> = meaning(['P'], ({ P }) => (P ? Right.ALL & ~Right.WRITE : Right.ALL))
const GRANTS: Meaning<Rights> = meaning(['P', 'IEP'], ({ P, IEP }) => Right.ALL & ~(P ? Right.WRITE : 0) & ~(IEP ? Right.EXECUTE : 0))

const PROTECTED = field('P', 9, 9, 'DAT protection: no writes', POP)
const FOR_SOFTWARE = { ...POP, reserved: 'ignored' } as const

function execution({ iep }: S390Context): Field {
  return iep
    ? field('IEP', 8, 8, 'instruction-execution protection', POP)
    : field('IEP', 8, 8, 'ignored: CR0 enables no instruction-execution protection', POP)
}

function pageKinds(context: S390Context): readonly Kind[] {
  return [
    { type: 'empty', name: 'invalid', match: when(PAGE_INVALID, PAGE_INVALID), fields: [] },
    {
      type: 'leaf',
      name: 'page',
      match: ALWAYS,
      set: 0n,
      address: [[63, 12, 12]],
      sizes: [{ pgsize: SZ_4K, slots: 1 }],
      fields: [
        field('Reserved', 11, 11, 'must be zero', { ...POP, reserved: 'faults' }),
        PROTECTED,
        execution(context),
        field('Software', 7, 0, 'for software', POP),
      ],
      grants: context.iep ? GRANTS : PROTECTION,
    },
  ]
}

/** With EDAT a segment or region-third entry may be a frame: FC. */
function frame(params: S390Params, level: 2 | 3): Kind {
  const shift = level === 2 ? 20 : 31
  const common = field('C', 4, 4, 'common segment', POP)
  return {
    type: 'leaf',
    name: level === 2 ? '1-MiB frame' : '2-GiB frame',
    match: when(FC | TT, FC | tableType(level)),
    set: FC | tableType(level),
    address: [[63, shift, shift]],
    sizes: [{ pgsize: 2 ** shift, slots: 1 }],
    fields: [
      field('Ignored', shift - 1, 17, 'not assigned', FOR_SOFTWARE),
      field('AV', 16, 16, 'ACC and F are valid', POP),
      field('ACC', 15, 12, 'access-control bits of the storage key', POP),
      field('F', 11, 11, 'fetch protection', POP),
      PROTECTED,
      execution(params),
      field('Ignored7', 7, 6, 'not assigned', FOR_SOFTWARE),
      ...(level === 2 ? [common] : [field('Ignored4', 4, 4, 'not assigned', FOR_SOFTWARE)]),
      field('Software', 1, 0, 'for software', POP),
    ],
    grants: params.iep ? GRANTS : PROTECTION,
  }
}

/** TT: the level that the entry is of. */
function tableType(level: number): bigint {
  return BigInt(level - 2) << 2n
}

function upperKinds(params: S390Params, level: 2 | 3 | 4 | 5): readonly Kind[] {
  const hasFrames = params.edat && level <= 3
  const format = hasFrames ? FC : 0n
  const regions: readonly Field[] = [
    splitField(
      'TF:TL',
      [
        [7, 6, 2],
        [1, 0, 0],
      ],
      'offset and length of the next table: entries from TF · 512 to (TL + 1) · 512 exist',
      POP,
    ),
    ...(hasFrames ? [] : [field('Ignored10', 10, 10, 'not assigned', FOR_SOFTWARE)]),
    field('Ignored11', 11, 11, 'not assigned', FOR_SOFTWARE),
    field('Ignored8', 8, 8, 'not assigned', FOR_SOFTWARE),
    field('Ignored4', 4, 4, 'not assigned', FOR_SOFTWARE),
  ]
  const segments: readonly Field[] = [
    ...(hasFrames ? [] : [field('Ignored10', 10, 10, 'not assigned', FOR_SOFTWARE)]),
    field('Ignored8', 8, 6, 'not assigned', FOR_SOFTWARE),
    field('C', 4, 4, 'common segment: not in a private space', { ...POP, ...(params.isPrivate && { reserved: 'faults' as const }) }),
    field('Software', 1, 0, 'for software', POP),
  ]
  const hasProtection = level === 2 || params.edat
  const table: Kind = {
    type: 'table',
    name: level === 2 ? 'page table' : 'table',
    match: when(TT | format, tableType(level)),
    set: tableType(level),
    address: [level === 2 ? [63, 11, 11] : [63, 12, 12]],
    child: level === 2 ? 'L1' : { field: 'TF:TL', nodes: childrenOf(level - 1) },
    fields: [
      ...(level === 2 ? segments : regions),
      hasProtection ? PROTECTED : field('Ignored9', 9, 9, 'ignored: CR0 enables no enhanced DAT', FOR_SOFTWARE),
    ],
    ...(hasProtection && { limits: PROTECTION }),
  }
  return [
    { type: 'empty', name: 'invalid', match: when(INVALID, INVALID), fields: [] },
    ...(hasFrames ? [frame(params, level as 2 | 3)] : []),
    table,
    { type: 'invalid', name: 'of another table type', match: ALWAYS, fields: [], fault: 'reserved' },
  ]
}

/** Every part of a table that an entry can choose: TF · 4 + TL. */
const PARTS = [0, 1, 2, 3].flatMap((tf) => [0, 1, 2, 3].filter((tl) => tl >= tf).map((tl) => ({ tf, tl })))

function childrenOf(level: number): Readonly<Record<number, string>> {
  return Object.fromEntries(PARTS.map(({ tf, tl }) => [tf * 4 + tl, `L${level}.${tf}.${tl}`]))
}

interface Part {
  readonly tf: number
  readonly tl: number
}

/** A table, or a part of one: all parts of a level have the same kinds. */
function upperNode(level: number, { tf, tl }: Part, kinds: readonly Kind[]): LevelNode {
  return {
    id: `L${level}.${tf}.${tl}`,
    level,
    name: NAMES[level] ?? '',
    shift: 20 + 11 * (level - 2),
    bits: 11,
    ...(!(tf === 0 && tl === 3) && { exists: [512 * tf, 512 * (tl + 1)] as const }),
    entryBytes: 8,
    byteOrder: 'big',
    tableBytes: 2048 * 8,
    align: SZ_4K,
    empty: INVALID | tableType(level),
    kinds,
  }
}

function geometry(params: S390Params): Geometry {
  const { levels, tl } = params
  const top = upperNode(levels, { tf: 0, tl }, upperKinds(params, levels))
  const below = ([4, 3, 2] as const)
    .filter((level) => level < levels)
    .flatMap((level) => {
      const kinds = upperKinds(params, level)
      return PARTS.map((part) => upperNode(level, part, kinds))
    })
  const page: LevelNode = {
    ...{ id: 'L1', level: 1, name: 'page table', shift: 12, bits: 8, entryBytes: 8, byteOrder: 'big', tableBytes: 2048 },
    ...{ empty: PAGE_INVALID, kinds: pageKinds(params) },
  }
  return { nodes: [top, ...below, page], top: top.id, ias: 20 + 11 * (levels - 1), oas: OAS, window: 'low' }
}

const SPACES = [31, 42, 53, 64]

function configure(request: S390Config): Agreed<S390Config> {
  const quirks = checkConfig('s390-dat', request, [])
  if (!SPACES.includes(request.ias)) throw configError('s390-dat', 'ias', request.ias, `${SPACES.join(', ')} expected`)
  const pgsizeBitmap = request.pgsizeBitmap & 0x8010_1000n
  if (pgsizeBitmap === 0n) throw configError('s390-dat', 'pgsizeBitmap', request.pgsizeBitmap, '4K, 1M or 2G expected')
  const { coherentWalk = true, cpuPageSize = SZ_4K, ias } = request
  return { pgsizeBitmap, ias, oas: OAS, quirks, coherentWalk, cpuPageSize }
}

function paramsOf({ ias }: Agreed<S390Config>): S390Params {
  const levels = (SPACES.indexOf(ias) + 2) as 2 | 3 | 4 | 5
  return { levels, tl: 3, edat: true, iep: true, isPrivate: false, assumed: [] }
}

/** Program-interruption codes (POP 6). */
const TRANSLATION: Readonly<Record<number, number>> = { 1: 0x11, 2: 0x10, 3: 0x3b, 4: 0x3a, 5: 0x39 }

function fault({ type, level }: AccessFault): ArchFault {
  if (type === 'permission') return { name: 'protection', codes: { code: 0x4 } }
  if (type === 'reserved') return { name: 'translation specification', codes: { code: 0x12 } }
  if (type === 'address-size' || type === 'unknown-memory') return { name: 'addressing', codes: { code: 0x5 } }
  if (level === undefined) return { name: 'ASCE type', codes: { code: 0x38 } }
  return { name: `${NAMES[level]?.replace(/ table$/, '')} translation`, codes: { code: TRANSLATION[level] ?? 0 } }
}

const sizes = 0x8010_1000n

/** Dynamic address translation of IBM Z CPUs: read alone. */
export const s390Dat: IoPageTableFmt<S390Config, S390Regs, S390Params, S390Context, S390Hardware> = readOnly({
  FORMAT: 's390-dat',
  title: 'IBM Z CPU (DAT)',
  manual: 'z/Architecture Principles of Operation (SA22-7832), chapter 3',
  configure,
  params: paramsOf,
  geometry,
  prot: (raw, _kind, { iep }) => Prot.READ | (raw & 0x200n ? 0 : Prot.WRITE) | (iep && raw & 0x100n ? Prot.NOEXEC : 0),
  context: () => ({ edat: true, iep: true, assumed: [] }),
  parties: () => ['all'],
  use: () => 'cpu',
  fault,
  regs: (config, [root = 0n]) => ({ cr1: packAsce(paramsOf(config), root) }),
  rootsFromRegs,
  hardware: (_config, regs) => ({ ...regs, cr0: 0x90_0000n }),
  configs: [
    { name: 'region third, 42 bits', config: { pgsizeBitmap: sizes, ias: 42, oas: OAS } },
    { name: 'segment, 31 bits', config: { pgsizeBitmap: sizes, ias: 31, oas: OAS } },
    { name: 'region second, 53 bits', config: { pgsizeBitmap: sizes, ias: 53, oas: OAS } },
    { name: 'region first, 64 bits', config: { pgsizeBitmap: sizes, ias: 64, oas: OAS } },
  ],
})
