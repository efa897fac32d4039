/**
 * Multi-level page tables of LoongArch CPUs, as LDDIR and LDPTE, and the walker of newer CPUs, read them. The geometry is in registers.
 * LoongArch Reference Manual, volume 1: 5.2 direct mapping windows, 5.4 multi-level page tables, 6.3 exceptions, 7.5 CSRs PGDL, PGDH, PWCL,
 * PWCH. Levels have the manual's numbers: directories 1 to 4, the page table is 0.
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
  protOfRights,
  readOnly,
  when,
} from '@io-pgtable/core'
import {
  type LoongArchHardware,
  type LoongArchLevel,
  type LoongArchParams,
  type LoongArchRegs,
  PALEN,
  packLevels,
  rootsFromRegs,
} from './registers.ts'
import { LOONGARCH_GRANTS, LOONGARCH_MEMORY, loongArchMemoryOf, loongArchRightsOf } from './rights.ts'

export type { LoongArchHardware, LoongArchLevel, LoongArchParams, LoongArchRegs } from './registers.ts'

/** PGDH: the upper half of the addresses. */
export type LoongArchQuirk = 'PGDH'
export type LoongArchConfig = FormatConfig<LoongArchQuirk>

const V = 1n << 0n
/** In a directory: a huge page. */
const H = 1n << 6n
const SECTION = { section: '5.4.2' }

const ACCESS: readonly Field[] = [
  field('V', 0, 0, 'valid', SECTION),
  field('D', 1, 1, 'dirty: writes are allowed', SECTION),
  field('PLV', 3, 2, 'privilege level', { ...SECTION, values: { 0: 'kernel', 3: 'user' } }),
  field('MAT', 5, 4, 'memory access type', {
    ...SECTION,
    values: { 0: 'strongly ordered, uncached', 1: 'coherent, cached', 2: 'weakly ordered, uncached' },
    reservedValues: [3],
  }),
  field('P', 7, 7, 'present, for software and for the walker of newer CPUs', SECTION),
  field('W', 8, 8, 'writable, for software and for the walker of newer CPUs', SECTION),
  field('Software', 11, 9, 'for software', SECTION),
  field('NR', 61, 61, 'not readable', SECTION),
  field('NX', 62, 62, 'not executable', SECTION),
  field('RPLV', 63, 63, 'the privilege level alone, and no higher one', SECTION),
]
const ABOVE = field('Ignored', 60, PALEN, 'above the physical address', SECTION)

/** Bits of a page between its lowest field and its address. */
function below(shift: number, from: number): readonly Field[] {
  return shift > from
    ? [field('Reserved', shift - 1, from, 'below the address of a page of this size', { ...SECTION, reserved: 'ignored' })]
    : []
}

function pageNode({ base: shift, width }: LoongArchLevel): LevelNode {
  const page: Kind = {
    type: 'leaf',
    name: 'page',
    match: ALWAYS,
    set: V,
    address: [[PALEN - 1, shift, shift]],
    sizes: [{ pgsize: 2 ** shift, slots: 1 }],
    fields: [...ACCESS, field('G', 6, 6, 'global', SECTION), ...below(shift, 12), ABOVE],
    grants: LOONGARCH_GRANTS,
    memory: LOONGARCH_MEMORY,
  }
  const kinds: Kind[] = [{ type: 'empty', name: 'not valid', match: when(V, 0n), fields: [] }, page]
  return { id: 'L0', level: 0, name: 'page table', shift, bits: width, entryBytes: 8, tableBytes: 2 ** (width + 3), empty: 0n, kinds }
}

/** An entry without H points to a table, whatever it is: what is not there is a table without valid pages, and no value of the entry. */
function directoryNode({ level, base: shift, width }: LoongArchLevel, child: LoongArchLevel): LevelNode {
  const table: Kind = {
    type: 'table',
    name: 'table',
    match: when(H, 0n),
    set: 0n,
    address: [[PALEN - 1, 12, 12]],
    child: `L${child.level}`,
    fields: [
      field('Reserved', 5, 0, 'must be zero', { ...SECTION, reserved: 'zero' }),
      field('ReservedHigh', 11, 7, 'must be zero', { ...SECTION, reserved: 'zero' }),
      field('Window', 63, PALEN, 'a direct mapping window, where software keeps its own pointers; no part of the physical address', {
        section: '5.2',
      }),
    ],
  }
  const huge: Kind = {
    type: 'leaf',
    name: 'huge page',
    match: ALWAYS,
    set: V | H,
    address: [[PALEN - 1, shift, shift]],
    sizes: [{ pgsize: 2 ** shift, slots: 1 }],
    fields: [...ACCESS, field('H', 6, 6, 'huge page', SECTION), field('G', 12, 12, 'global', SECTION), ...below(shift, 13), ABOVE],
    grants: LOONGARCH_GRANTS,
    memory: LOONGARCH_MEMORY,
  }
  const kinds: Kind[] = [table, { type: 'empty', name: 'huge page, not valid', match: when(V | H, H), fields: [] }, huge]
  return { id: `L${level}`, level, name: `directory ${level}`, shift, bits: width, entryBytes: 8, tableBytes: 2 ** (width + 3), kinds }
}

function geometry({ levels, window }: LoongArchParams): Geometry {
  const nodes = levels.map((level, i) => {
    const child = levels[i + 1]
    return child === undefined ? pageNode(level) : directoryNode(level, child)
  })
  const [top] = levels
  const ias = top === undefined ? 0 : top.base + top.width
  return { nodes, top: `L${top?.level}`, ias, oas: PALEN, window, tablesBelow: 1n << BigInt(PALEN) }
}

/** Levels of whole pages: `cpuPageSize` and `ias` say how many. PWCL has 5 bits for a base: what lies higher is in PWCH, directory 3 or 4. */
function levelsOf({ cpuPageSize, ias }: Agreed<LoongArchConfig>): readonly LoongArchLevel[] {
  const first = Math.log2(cpuPageSize)
  const width = first - 3
  const count = (ias - first) / width
  return Array.from({ length: count }, (_, i) => {
    const level = count - 1 - i
    const base = first + width * level
    return { level: base < 32 ? level : Math.max(level, 3), base, width }
  })
}

const PAGES = [0x1000, 0x4000, 0x1_0000]

function configure(request: LoongArchConfig): Agreed<LoongArchConfig> {
  const quirks = checkConfig('loongarch64', request, ['PGDH'])
  const { ias, oas, coherentWalk = true, cpuPageSize = 0x4000 } = request
  if (!PAGES.includes(cpuPageSize)) throw configError('loongarch64', 'cpuPageSize', cpuPageSize, '4096, 16384 or 65536 expected')
  const base = Math.log2(cpuPageSize)
  const possible = [1, 2, 3, 4, 5].map((count) => base + count * (base - 3)).filter((bits) => bits <= PALEN)
  if (!possible.includes(ias))
    throw configError('loongarch64', 'ias', ias, `${possible.join(', ')} expected with pages of ${cpuPageSize} bytes`)
  if (oas < base) throw configError('loongarch64', 'oas', oas, `${base} to ${PALEN} expected`)
  const agreed = { pgsizeBitmap: request.pgsizeBitmap, ias, oas: PALEN, quirks, coherentWalk, cpuPageSize }
  const pgsizeBitmap = levelsOf(agreed).reduce((bits, level) => bits | (1n << BigInt(level.base)), 0n) & request.pgsizeBitmap
  if (pgsizeBitmap === 0n) throw configError('loongarch64', 'pgsizeBitmap', request.pgsizeBitmap, `a multiple of ${cpuPageSize} expected`)
  return { ...agreed, pgsizeBitmap }
}

/** Ecodes (6.3.1). Of a user's access that is refused the page alone tells whether its level or its flags were asked first. */
function fault({ type, access, privileged, level }: AccessFault): ArchFault {
  if (level === undefined) return { name: 'address error (ADEF, ADEM)', codes: { ecode: 8 } }
  if (type === 'permission') {
    const [name, ecode] = { read: ['not readable (PNR)', 5], write: ['page modification (PME)', 4], execute: ['not executable (PNX)', 6] }[
      access
    ] as [string, number]
    return privileged ? { name, codes: { ecode } } : { name: `page privilege (PPI, ecode 7), or ${name}, ecode ${ecode}`, codes: {} }
  }
  const [name, ecode] = { read: ['load (PIL)', 1], write: ['store (PIS)', 2], execute: ['fetch (PIF)', 3] }[access] as [string, number]
  return { name: `page invalid, ${name}`, codes: { ecode } }
}

const sizes = (1n << 64n) - 1n

/** Multi-level page tables of LoongArch CPUs: read alone. */
export const loongarch64: IoPageTableFmt<LoongArchConfig, LoongArchRegs, LoongArchParams, undefined, LoongArchHardware> = readOnly({
  FORMAT: 'loongarch64',
  title: 'LoongArch',
  manual: 'LoongArch Reference Manual, volume 1, 5.4',
  configure,
  params: (config) => ({ levels: levelsOf(config), window: config.quirks.includes('PGDH') ? 'top' : 'low' }),
  geometry,
  prot: (raw) => protOfRights(loongArchRightsOf(raw), loongArchMemoryOf(raw)),
  context: () => undefined,
  fault,
  regs: (config, [root = 0n]) => ({
    ...(config.quirks.includes('PGDH') ? { pgdh: root } : { pgdl: root }),
    ...packLevels(levelsOf(config)),
  }),
  rootsFromRegs,
  hardware: (_config, regs) => regs,
  configs: [
    { name: '16K pages, 3 levels', config: { pgsizeBitmap: sizes, ias: 47, oas: 48, cpuPageSize: 0x4000 } },
    {
      name: '16K pages, 3 levels, the upper half',
      config: { pgsizeBitmap: sizes, ias: 47, oas: 48, cpuPageSize: 0x4000, quirks: ['PGDH'] },
    },
    { name: '4K pages, 4 levels', config: { pgsizeBitmap: sizes, ias: 48, oas: 48, cpuPageSize: 0x1000 } },
    { name: '64K pages, 2 levels', config: { pgsizeBitmap: sizes, ias: 42, oas: 48, cpuPageSize: 0x1_0000 } },
  ],
})
