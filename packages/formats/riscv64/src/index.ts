/**
 * RISC-V Sv39, Sv48 and Sv57: the page tables of RV64 CPUs and of the first stage of the RISC-V IOMMU.
 * The RISC-V Instruction Set Manual, volume II: Privileged Architecture (20250508), Supervisor-Level ISA: "Sv39", "Sv48", "Sv57", and the
 * extensions Svnapot, Svpbmt, Svrsw60t59b and Zicfiss; RISC-V IOMMU Architecture Specification 1.0.1, 3.1.3 (iosatp).
 * Entries are declared in @io-pgtable/riscv-common. Levels are the manual's: pages are level 0, the root is level 2, 3 or 4.
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
  RISCV_REGIMES,
  type RiscvExtension,
  type RiscvRegime,
  riscvDenies,
  riscvFault,
  riscvLeafBits,
  riscvNodes,
  riscvProt,
  riscvRegime,
  riscvSupervisor,
  unpackAtp,
} from '@io-pgtable/riscv-common'
import { linuxOf } from './os.ts'

export type { RiscvExtension } from '@io-pgtable/riscv-common'

/**
 * SIGN_EXTEND: both halves of the address space, as the hardware has them; without it, the low 2^ias bytes, as Linux can be asked for.
 * SVNAPOT_64K: 64K pages. SVPBMT: memory types. SUPERVISOR: PRIV makes pages of supervisor mode.
 */
export type Riscv64Quirk = 'SIGN_EXTEND' | 'SVNAPOT_64K' | 'SVPBMT' | 'SUPERVISOR' | 'NO_WARN'

const QUIRKS: readonly Riscv64Quirk[] = ['SIGN_EXTEND', 'SVNAPOT_64K', 'SVPBMT', 'SUPERVISOR', 'NO_WARN']

export type Riscv64Config = FormatConfig<Riscv64Quirk>

/** What a CPU, or an IOMMU's device context, gets. */
export interface Riscv64Regs {
  /** satp.MODE and iosatp.MODE: 8 Sv39, 9 Sv48, 10 Sv57. */
  readonly mode: number
  /** The root's physical page number. */
  readonly ppn: bigint
  /** satp, vsatp or iosatp: both together, with ASID 0. */
  readonly satp: bigint
}

export interface Riscv64Params {
  readonly levels: 3 | 4 | 5
  readonly oas: number
  readonly window: 'low' | 'sign-extended'
  readonly extensions: readonly RiscvExtension[]
}

export interface Riscv64Context extends RiscvRegime {
  /** Svpbmt: the entry tells the memory type. */
  readonly pbmt: boolean
}

/** A raw register. */
export interface Riscv64Hardware {
  /** satp; or vsatp, or the iosatp of a device or process context. */
  readonly satp: bigint
  /** What the implementation has and has enabled. Default: everything that gives bits a meaning. */
  readonly extensions?: readonly RiscvExtension[]
  /** menvcfg: PBMTE switches Svpbmt, ADUE hardware updates of A and D; henvcfg for vsatp. Default: Svpbmt as `extensions` have it, no ADUE. */
  readonly envcfg?: bigint
  /** sstatus, mstatus, or vsstatus for vsatp: SUM and MXR. Default: both clear. */
  readonly status?: bigint
}

const SZ_256T = 2 ** 48
const SCHEMES = [
  { mode: 8, levels: 3, ias: 39, sizes: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G) },
  { mode: 9, levels: 4, ias: 48, sizes: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G, SZ_512G) },
  { mode: 10, levels: 5, ias: 57, sizes: pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G, SZ_512G, SZ_256T) },
] as const

function schemeOf(ias: number): (typeof SCHEMES)[number] {
  return SCHEMES.find((scheme) => scheme.ias === ias) ?? SCHEMES[0]
}

function configure(request: Riscv64Config): Agreed<Riscv64Config> {
  return agreeRiscv('riscv64', request, {
    quirks: QUIRKS,
    ias: SCHEMES.map(({ ias }) => ias),
    oas: 56,
    sizes: (ias, quirks) => schemeOf(ias).sizes | (quirks.includes('SVNAPOT_64K') ? BigInt(SZ_64K) : 0n),
  })
}

function paramsOf({ ias, oas, quirks }: Pick<Agreed<Riscv64Config>, 'ias' | 'oas' | 'quirks'>): Riscv64Params {
  const extensions: RiscvExtension[] = []
  if (quirks.includes('SVNAPOT_64K')) extensions.push('Svnapot')
  if (quirks.includes('SVPBMT')) extensions.push('Svpbmt')
  return { levels: schemeOf(ias).levels, oas, window: quirks.includes('SIGN_EXTEND') ? 'sign-extended' : 'low', extensions }
}

function geometry({ levels, oas, window, extensions }: Riscv64Params): Geometry {
  const nodes = riscvNodes({ levels, entryBytes: 8, gStage: false, extensions })
  return { nodes, top: `L${levels - 1}`, ias: 12 + 9 * levels, oas, window, tablesBelow: 1n << BigInt(oas) }
}

function regs(config: Agreed<Riscv64Config>, [root = 0n]: readonly bigint[]): Riscv64Regs {
  const { mode } = schemeOf(config.ias)
  return { mode, ppn: root >> 12n, satp: packAtp(mode, root) }
}

const EVERYTHING: readonly RiscvExtension[] = ['Svnapot', 'Svpbmt', 'Svrsw60t59b', 'Zicfiss']

function rootsFromRegs({
  satp,
  extensions: all = EVERYTHING,
  envcfg,
  status,
}: Riscv64Hardware): readonly FoundRoot<Riscv64Params, Riscv64Context>[] {
  const { mode, ppn } = unpackAtp(satp)
  const extensions = enabledExtensions(all, envcfg)
  if (mode === 0) return []
  const scheme = SCHEMES.find((s) => s.mode === mode)
  if (scheme === undefined)
    throw new IoPgtableError(
      'EINVAL',
      'rootsFromRegs',
      `MODE ${mode} of ${hex(satp)}: 0 (Bare), 8 (Sv39), 9 (Sv48) or 10 (Sv57) expected`,
      {
        value: satp,
      },
    )
  const params: Riscv64Params = { levels: scheme.levels, oas: 56, window: 'sign-extended', extensions }
  const context = { ...riscvRegime(envcfg, status), pbmt: extensions.includes('Svpbmt') }
  return [{ name: 'satp', params, roots: [ppn << 12n], first: 0n, last: (1n << 64n) - 1n, context }]
}

const all = pgsizeBitmap(SZ_4K, SZ_64K, SZ_2M, SZ_1G, SZ_512G, SZ_256T)

/** RISC-V Sv39, Sv48 and Sv57. */
export const riscv64: IoPageTableFmt<Riscv64Config, Riscv64Regs, Riscv64Params, Riscv64Context, Riscv64Hardware> = {
  FORMAT: 'riscv64',
  title: 'RISC-V Sv39, Sv48, Sv57',
  manual: 'RISC-V Privileged Architecture (20250508), Supervisor-Level ISA; RISC-V IOMMU Architecture Specification 1.0.1',
  configure,
  params: paramsOf,
  geometry,
  policy: () => RISCV_POLICY,
  encodeLeaf: ({ quirks }, _node, _kind, prot) =>
    riscvLeafBits(prot, { pbmt: quirks.includes('SVPBMT'), supervisor: quirks.includes('SUPERVISOR') }),
  // There is no bit for walks that do not snoop: the driver cleans caches by the pool's `sync` hook.
  encodeTable: () => 0n,
  prot: (raw, _kind, { pbmt }) => riscvProt(raw, pbmt),
  context: ({ quirks }) => ({ ...riscvRegime(undefined), pbmt: quirks.includes('SVPBMT') }),
  regime: (_context, state) => riscvSupervisor(state),
  denies: (_context, denied) => riscvDenies(denied),
  fault: (fault) => riscvFault(fault, false),
  regs,
  os: { linux: linuxOf },
  regimes: RISCV_REGIMES,
  rootsFromRegs,
  // Without SIGN_EXTEND the upper half of the scheme's addresses stands where Linux counts it, not where satp puts it.
  hardware: (config, { satp }) => (config.quirks.includes('SIGN_EXTEND') ? { satp, extensions: paramsOf(config).extensions } : undefined),
  configs: [
    { name: 'Sv39', config: { pgsizeBitmap: all, ias: 39, oas: 56, quirks: ['SIGN_EXTEND'] } },
    { name: 'Sv39, low addresses alone, not coherent', config: { pgsizeBitmap: all, ias: 39, oas: 36, coherentWalk: false } },
    { name: 'Sv48, 64K pages', config: { pgsizeBitmap: all, ias: 48, oas: 56, quirks: ['SIGN_EXTEND', 'SVNAPOT_64K'] } },
    { name: 'Sv48, memory types', config: { pgsizeBitmap: all, ias: 48, oas: 48, quirks: ['SIGN_EXTEND', 'SVPBMT'] } },
    { name: 'Sv57', config: { pgsizeBitmap: all, ias: 57, oas: 56, quirks: ['SIGN_EXTEND'] } },
    {
      name: 'Sv57, everything',
      config: { pgsizeBitmap: all, ias: 57, oas: 56, quirks: ['SIGN_EXTEND', 'SVNAPOT_64K', 'SVPBMT', 'SUPERVISOR'] },
    },
  ],
}
