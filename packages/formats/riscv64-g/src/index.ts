/**
 * RISC-V G-stage: Sv39x4, Sv48x4 and Sv57x4, from guest physical to supervisor physical addresses.
 * The RISC-V Instruction Set Manual, volume II: Privileged Architecture (20250508), Hypervisor Extension: "Hypervisor Guest Address
 * Translation and Protection Register" (hgatp), "Guest Physical Address Translation"; Svnapot, Svpbmt; RISC-V IOMMU Architecture
 * Specification 1.0.1, 3.1.3 (iohgatp).
 * Entries are declared in @io-pgtable/riscv-common. Levels are the manual's: pages are level 0. The root has 2048 entries, 16 KiB.
 */
import {
  type Agreed,
  type FormatConfig,
  type FoundRoot,
  type Geometry,
  hex,
  type IoPageTableFmt,
  IoPgtableError,
  pgsizeBitmap,
  SZ_1G,
  SZ_2M,
  SZ_4K,
  SZ_64K,
  SZ_512G,
} from '@io-pgtable/core'
import {
  agreeRiscv,
  enabledExtensions,
  packAtp,
  RISCV_POLICY,
  type RiscvExtension,
  type RiscvRegime,
  riscvFault,
  riscvGuest,
  riscvLeafBits,
  riscvNodes,
  riscvProt,
  riscvRegime,
  unpackAtp,
} from '@io-pgtable/riscv-common'

export type { RiscvExtension } from '@io-pgtable/riscv-common'

/** SVNAPOT_64K: 64K pages. SVPBMT: memory types. */
export type Riscv64GQuirk = 'SVNAPOT_64K' | 'SVPBMT' | 'NO_WARN'

const QUIRKS: readonly Riscv64GQuirk[] = ['SVNAPOT_64K', 'SVPBMT', 'NO_WARN']

export type Riscv64GConfig = FormatConfig<Riscv64GQuirk>

/** What a hypervisor's CPU, or an IOMMU's device context, gets. */
export interface Riscv64GRegs {
  /** hgatp.MODE and iohgatp.MODE: 8 Sv39x4, 9 Sv48x4, 10 Sv57x4. */
  readonly mode: number
  /** The root's physical page number, a multiple of 4. */
  readonly ppn: bigint
  /** hgatp or iohgatp: both together, with VMID, or GSCID, 0. */
  readonly hgatp: bigint
}

export interface Riscv64GParams {
  readonly levels: 3 | 4 | 5
  readonly oas: number
  readonly extensions: readonly RiscvExtension[]
}

export interface Riscv64GContext extends RiscvRegime {
  /** Svpbmt: the entry tells the memory type. */
  readonly pbmt: boolean
}

/** A raw register. */
export interface Riscv64GHardware {
  /** hgatp, or the iohgatp of a device context. */
  readonly hgatp: bigint
  /** What the implementation has and has enabled. Default: everything that gives bits a meaning. */
  readonly extensions?: readonly RiscvExtension[]
  /** menvcfg: PBMTE switches Svpbmt, ADUE hardware updates of A and D. Default: Svpbmt as `extensions` have it, no ADUE. */
  readonly envcfg?: bigint
}

const SZ_256T = 2 ** 48
const SCHEMES = [
  { mode: 8, levels: 3, ias: 41, sizes: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G) },
  { mode: 9, levels: 4, ias: 50, sizes: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G, SZ_512G) },
  { mode: 10, levels: 5, ias: 59, sizes: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G, SZ_512G, SZ_256T) },
] as const

function schemeOf(ias: number): (typeof SCHEMES)[number] {
  return SCHEMES.find((scheme) => scheme.ias === ias) ?? SCHEMES[0]
}

function configure(request: Riscv64GConfig): Agreed<Riscv64GConfig> {
  return agreeRiscv('riscv64-g', request, {
    quirks: QUIRKS,
    ias: SCHEMES.map(({ ias }) => ias),
    oas: 56,
    sizes: (ias, quirks) => schemeOf(ias).sizes | (quirks.includes('SVNAPOT_64K') ? BigInt(SZ_64K) : 0n),
  })
}

function paramsOf({ ias, oas, quirks }: Pick<Agreed<Riscv64GConfig>, 'ias' | 'oas' | 'quirks'>): Riscv64GParams {
  const extensions: RiscvExtension[] = []
  if (quirks.includes('SVNAPOT_64K')) extensions.push('Svnapot')
  if (quirks.includes('SVPBMT')) extensions.push('Svpbmt')
  return { levels: schemeOf(ias).levels, oas, extensions }
}

/** Addresses are zero-extended: bits above `ias` must be zero. */
function geometry({ levels, oas, extensions }: Riscv64GParams): Geometry {
  const nodes = riscvNodes({ levels, entryBytes: 8, gStage: true, extensions })
  return { nodes, top: `L${levels - 1}`, ias: 14 + 9 * levels, oas, window: 'low', tablesBelow: 1n << BigInt(oas) }
}

function regs(config: Agreed<Riscv64GConfig>, [root = 0n]: readonly bigint[]): Riscv64GRegs {
  const { mode } = schemeOf(config.ias)
  return { mode, ppn: root >> 12n, hgatp: packAtp(mode, root) }
}

const EVERYTHING: readonly RiscvExtension[] = ['Svnapot', 'Svpbmt', 'Svrsw60t59b']

function rootsFromRegs({
  hgatp,
  extensions: all = EVERYTHING,
  envcfg,
}: Riscv64GHardware): readonly FoundRoot<Riscv64GParams, Riscv64GContext>[] {
  const { mode, ppn } = unpackAtp(hgatp)
  const extensions = enabledExtensions(all, envcfg)
  if (mode === 0) return []
  const scheme = SCHEMES.find((s) => s.mode === mode)
  const bad = (expected: string) => new IoPgtableError('EINVAL', 'rootsFromRegs', `hgatp ${hex(hgatp)}: ${expected}`, { value: hgatp })
  if (scheme === undefined) throw bad(`MODE ${mode}, where 0 (Bare), 8 (Sv39x4), 9 (Sv48x4) or 10 (Sv57x4) is expected`)
  // hgatp reads these bits as zero; an IOMMU refuses the device context.
  if (ppn % 4n !== 0n) throw bad('a root aligned to 16 KiB expected')
  const params: Riscv64GParams = { levels: scheme.levels, oas: 56, extensions }
  const last = (1n << BigInt(scheme.ias)) - 1n
  const context = { ...riscvRegime(envcfg), pbmt: extensions.includes('Svpbmt') }
  return [{ name: 'hgatp', params, roots: [ppn << 12n], first: 0n, last, context }]
}

const all = pgsizeBitmap(SZ_4K, SZ_64K, SZ_2M, SZ_1G, SZ_512G, SZ_256T)

/** RISC-V G-stage: Sv39x4, Sv48x4 and Sv57x4. */
export const riscv64G: IoPageTableFmt<Riscv64GConfig, Riscv64GRegs, Riscv64GParams, Riscv64GContext, Riscv64GHardware> = {
  FORMAT: 'riscv64-g',
  title: 'RISC-V G-stage: Sv39x4, Sv48x4, Sv57x4',
  manual: 'RISC-V Privileged Architecture (20250508), Hypervisor Extension; RISC-V IOMMU Architecture Specification 1.0.1',
  configure,
  params: paramsOf,
  geometry,
  policy: () => RISCV_POLICY,
  // Every access counts as one of user mode there: U is always set, and PRIV says nothing to this stage.
  encodeLeaf: ({ quirks }, _node, _kind, prot) => riscvLeafBits(prot, { pbmt: quirks.includes('SVPBMT'), supervisor: false }),
  // There is no bit for walks that do not snoop: the driver cleans caches by the pool's `sync` hook.
  encodeTable: () => 0n,
  prot: (raw, _kind, { pbmt }) => riscvProt(raw, pbmt),
  context: ({ quirks }) => ({ ...riscvRegime(undefined), pbmt: quirks.includes('SVPBMT') }),
  parties: () => ['all'],
  use: () => 'guest',
  regime: (_context, state) => riscvGuest(state),
  fault: (fault) => riscvFault(fault, true),
  regs,
  regimes: { g: { registers: { menvcfg: 'envcfg' } } },
  rootsFromRegs,
  hardware: (config, { hgatp }) => ({ hgatp, extensions: paramsOf(config).extensions }),
  configs: [
    { name: 'Sv39x4', config: { pgsizeBitmap: all, ias: 41, oas: 56 } },
    { name: 'Sv39x4, not coherent', config: { pgsizeBitmap: all, ias: 41, oas: 40, coherentWalk: false } },
    { name: 'Sv48x4, 64K pages', config: { pgsizeBitmap: all, ias: 50, oas: 56, quirks: ['SVNAPOT_64K'] } },
    { name: 'Sv48x4, memory types', config: { pgsizeBitmap: all, ias: 50, oas: 48, quirks: ['SVPBMT'] } },
    { name: 'Sv57x4, everything', config: { pgsizeBitmap: all, ias: 59, oas: 56, quirks: ['SVNAPOT_64K', 'SVPBMT'] } },
  ],
}
