/**
 * RISC-V Sv32: the page tables of RV32 CPUs, and of the first stage of a RISC-V IOMMU for 32-bit address spaces (SXL = 1).
 * The RISC-V Instruction Set Manual, volume II: Privileged Architecture (20250508), Supervisor-Level ISA: "Supervisor Address Translation
 * and Protection Register", "Sv32: Page-Based 32-bit Virtual-Memory Systems"; RISC-V IOMMU Architecture Specification 1.0.1, 3.1.3.
 * Entries are declared in @io-pgtable/riscv-common. Levels are the manual's: megapages are level 1, pages level 0.
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
  SZ_4K,
} from '@io-pgtable/core'
import {
  agreeRiscv,
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
} from '@io-pgtable/riscv-common'

export type { RiscvRegime } from '@io-pgtable/riscv-common'

/** SUPERVISOR: PRIV makes pages of supervisor mode. */
export type Sv32Quirk = 'SUPERVISOR' | 'NO_WARN'

const QUIRKS: readonly Sv32Quirk[] = ['SUPERVISOR', 'NO_WARN']

export type Sv32Config = FormatConfig<Sv32Quirk>

/** What a CPU, or an IOMMU's device context with SXL = 1, gets. */
export interface Sv32Regs {
  /** The root's physical page number. */
  readonly ppn: bigint
  /** The 32-bit satp: MODE 1, ASID 0, PPN. */
  readonly satp: bigint
  /** The 64-bit iosatp: MODE 8, PPN. */
  readonly iosatp: bigint
}

export interface Sv32Params {
  readonly oas: number
  /** Zicfiss: shadow stack pages. */
  readonly shadowStack: boolean
}

/** A raw register. */
export interface Sv32Hardware {
  /** satp of RV32 (or vsatp): MODE 31, ASID 30:22, PPN 21:0. */
  readonly satp: bigint
  /** Whether shadow stack pages (Zicfiss) are enabled: W without R and X, reserved otherwise. Default true. */
  readonly shadowStack?: boolean
  /** menvcfg of 64 bits (menvcfgh above it), or henvcfg for vsatp: ADUE. Default: none set. */
  readonly envcfg?: bigint
  /** sstatus, mstatus, or vsstatus for vsatp: SUM and MXR. Default: both clear. */
  readonly status?: bigint
}

const SZ_4M = 0x40_0000
const MODE_SV32 = 1n << 31n
const IOSATP_SV32 = 8
const sizes = pgsizeBitmap(SZ_4K, SZ_4M)

function configure(request: Sv32Config): Agreed<Sv32Config> {
  return agreeRiscv('sv32', request, { quirks: QUIRKS, ias: [32], oas: 34, sizes: () => sizes })
}

function geometry({ oas, shadowStack }: Sv32Params): Geometry {
  const extensions: RiscvExtension[] = shadowStack ? ['Zicfiss'] : []
  const nodes = riscvNodes({ levels: 2, entryBytes: 4, gStage: false, extensions })
  return { nodes, top: 'L1', ias: 32, oas, window: 'low', tablesBelow: 1n << BigInt(oas) }
}

function regs(_config: Agreed<Sv32Config>, [root = 0n]: readonly bigint[]): Sv32Regs {
  const ppn = root >> 12n
  return { ppn, satp: MODE_SV32 | ppn, iosatp: packAtp(IOSATP_SV32, root) }
}

function rootsFromRegs({ satp, shadowStack = true, envcfg, status }: Sv32Hardware): readonly FoundRoot<Sv32Params, RiscvRegime>[] {
  if (satp >> 32n !== 0n) throw new IoPgtableError('EINVAL', 'rootsFromRegs', `satp ${hex(satp)}: 32 bits expected`, { value: satp })
  if ((satp & MODE_SV32) === 0n) return []
  const root = (satp & ((1n << 22n) - 1n)) << 12n
  const params = { oas: 34, shadowStack }
  return [{ name: 'satp', params, roots: [root], first: 0n, last: (1n << 32n) - 1n, context: riscvRegime(envcfg, status) }]
}

/** RISC-V Sv32. */
export const sv32: IoPageTableFmt<Sv32Config, Sv32Regs, Sv32Params, RiscvRegime, Sv32Hardware> = {
  FORMAT: 'sv32',
  title: 'RISC-V Sv32',
  manual: 'RISC-V Privileged Architecture (20250508), Supervisor-Level ISA: Sv32',
  configure,
  params: ({ oas }) => ({ oas, shadowStack: false }),
  geometry,
  policy: () => RISCV_POLICY,
  encodeLeaf: ({ quirks }, _node, _kind, prot) => riscvLeafBits(prot, { pbmt: false, supervisor: quirks.includes('SUPERVISOR') }),
  // There is no bit for walks that do not snoop: the driver cleans caches by the pool's `sync` hook.
  encodeTable: () => 0n,
  prot: (raw) => riscvProt(raw, false),
  context: () => riscvRegime(undefined),
  regime: (_context, state) => riscvSupervisor(state),
  denies: (_context, denied) => riscvDenies(denied),
  fault: (fault) => riscvFault(fault, false),
  regs,
  regimes: RISCV_REGIMES,
  rootsFromRegs,
  hardware: (_config, { satp }) => ({ satp, shadowStack: false }),
  configs: [
    { name: '34 bits', config: { pgsizeBitmap: sizes, ias: 32, oas: 34 } },
    { name: '32 bits, pages of supervisor mode', config: { pgsizeBitmap: sizes, ias: 32, oas: 32, quirks: ['SUPERVISOR'] } },
    { name: '34 bits, pages alone, not coherent', config: { pgsizeBitmap: pgsizeBitmap(SZ_4K), ias: 32, oas: 34, coherentWalk: false } },
  ],
}
