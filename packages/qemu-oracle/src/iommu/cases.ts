/** What QEMU's VT-d, AMD-Vi and RISC-V IOMMU walk of ours. */
import { amdV1 } from '@io-pgtable/amdv1'
import { pgsizeBitmap, SZ_1G, SZ_2M, SZ_4K, SZ_512G } from '@io-pgtable/core'
import { type Riscv64Config, riscv64 } from '@io-pgtable/riscv64'
import { riscv64G } from '@io-pgtable/riscv64-g'
import { vtdSs } from '@io-pgtable/vtdss'
import { type X8664Config, x8664 } from '@io-pgtable/x86-64'
import type { AmdVi } from './amd-vi.ts'
import type { RiscvIommu } from './riscv-iommu.ts'
import { type Case, caseOf } from './setup.ts'
import type { Vtd } from './vtd.ts'
import type { BitRange, Ignored } from './wrong.ts'

const SIZES = pgsizeBitmap(SZ_4K, SZ_2M, SZ_1G)
const ALL_SIZES = (1n << 52n) - BigInt(SZ_4K)

const LIMITS_VTD = [
  'QEMU’s VT-d ignores memory types (EMT, IPAT, PWT, PCD, PAT), X and XD, A and D, G, and has no 5-level tables',
  'it records a refusal where it walks, not where its IOTLB refuses',
]
const LIMIT_SECOND = 'in scalable mode QEMU reports refusals of the second stage with the codes of legacy mode (5h, 6h)'
const LIMITS_AMD = [
  'QEMU’s AMD-Vi logs no event for a refused access: that nothing moves is checked, not a record',
  'it ignores address bits beyond the reach of the levels, so that these wrap',
  'it ignores reserved bits, A and D, FC and U, and PR where IR or IW is set',
]
const LIMITS_RISCV = [
  'QEMU’s RISC-V IOMMU ignores X, U, G, and bits 63 and 62 (N of Svnapot, and the high bit of PBMT)',
  'it records a refusal where it walks, not where its IOTLB refuses; TTYP is “write” in every record',
]
const LIMIT_TLB = 'its IOTLB drops address bits from 56 on: this space is checked with an empty IOTLB'

/** Intel VT-d 9.8: X, EMT, IPAT, A, D, bit 10, and those above the address but TM; at level 1 PS. SNP is reserved in legacy mode alone. */
function ignoredSecond(snoop: readonly BitRange[]): Ignored {
  const block: readonly BitRange[] = [[63, 63], [61, 52], ...snoop, [10, 8], [6, 2]]
  return { page: [...block, [7, 7]], block }
}
/** Intel VT-d 9.7: PWT, PCD, A, D, G, PAT, and all above the address, XD included. */
const IGNORED_FIRST: Ignored = {
  page: [
    [63, 52],
    [11, 3],
  ],
  block: [
    [63, 52],
    [12, 12],
    [11, 8],
    [6, 3],
  ],
}
/** AMD 48882 2.2.3: PR, A, D, what is reserved, U and FC, bit 63. */
const IGNORED_AMD: Ignored = {
  page: [
    [63, 63],
    [60, 52],
    [8, 0],
  ],
  block: [
    [63, 63],
    [60, 52],
    [20, 12],
    [8, 0],
  ],
}
/** X, U, G, RSW, the high bit of PBMT, N. */
const RISCV_BITS: readonly BitRange[] = [
  [63, 62],
  [9, 8],
  [5, 3],
]
const IGNORED_RISCV: Ignored = { page: RISCV_BITS, block: RISCV_BITS }

const VTD = { style: 'gather', limits: LIMITS_VTD } as const

function second(bits: 39 | 48, limits: readonly string[], ignores: Ignored): Case<Vtd> {
  const config = { pgsizeBitmap: SIZES, ias: bits, oas: 46 }
  const stage = (vtd: Vtd) => vtd.secondStage()
  return caseOf({ ...VTD, name: `${bits} bits`, format: vtdSs, config, ignores, writeOnly: true, limits, stage })
}

function first(name: string, config: X8664Config): Case<Vtd> {
  return caseOf({ ...VTD, name, format: x8664, config, ignores: IGNORED_FIRST, writeOnly: false, stage: (vtd: Vtd) => vtd.firstStage() })
}

/** Second-stage tables in legacy mode, by address bits, and in scalable mode. */
export const VTD_LEGACY: Readonly<Record<39 | 48, Case<Vtd>>> = {
  39: second(39, LIMITS_VTD, ignoredSecond([])),
  48: second(48, LIMITS_VTD, ignoredSecond([])),
}
export const VTD_SECOND: Case<Vtd> = second(48, [...LIMITS_VTD, LIMIT_SECOND], ignoredSecond([[11, 11]]))

export const VTD_FIRST: readonly Case<Vtd>[] = [
  first('4 levels, both halves', { pgsizeBitmap: SIZES, ias: 48, oas: 46, quirks: ['SIGN_EXTEND'] }),
  first('4 levels, the low half, not coherent', { pgsizeBitmap: SIZES, ias: 47, oas: 46, coherentWalk: false }),
]

function amd(name: string, ias: number, topLevel: number, bitmap = ALL_SIZES): Case<AmdVi> {
  const config = { pgsizeBitmap: bitmap, ias, oas: 52, topLevel }
  const stage = (unit: AmdVi) => unit.host()
  return caseOf({ name, format: amdV1, config, ignores: IGNORED_AMD, style: 'gather', writeOnly: true, limits: LIMITS_AMD, stage })
}

export const AMD: readonly Case<AmdVi>[] = [
  amd('48 bits, 4 levels', 48, 4),
  amd('32 bits, 3 levels', 32, 3),
  amd('30 bits, 2 levels', 30, 2),
  amd('57 bits, 5 levels', 57, 5),
  amd('64 bits, 6 levels, 4K, 2M and 1G alone', 64, 6, SIZES),
  amd('64 bits, growing from 3 levels', 64, 3),
]

/** Spaces of more than 56 bits are wider than the model's TLB. */
function riscv(bits: number): Pick<Case, 'style' | 'writeOnly' | 'cold' | 'limits' | 'ignores'> {
  const cold = bits > 56
  return { style: 'gather', writeOnly: false, cold, ignores: IGNORED_RISCV, limits: cold ? [...LIMITS_RISCV, LIMIT_TLB] : LIMITS_RISCV }
}

function sv(name: string, ias: number): Case<RiscvIommu> {
  const config: Riscv64Config = { pgsizeBitmap: SIZES | BigInt(SZ_512G), ias, oas: 56, quirks: ['SIGN_EXTEND'] }
  return caseOf({ ...riscv(ias), name, format: riscv64, config, stage: (unit: RiscvIommu) => unit.firstStage() })
}
function svX4(name: string, ias: number): Case<RiscvIommu> {
  const config = { pgsizeBitmap: SIZES | BigInt(SZ_512G), ias, oas: 56 }
  return caseOf({ ...riscv(ias), name, format: riscv64G, config, stage: (unit: RiscvIommu) => unit.gStage() })
}

export const RISCV: readonly Case<RiscvIommu>[] = [
  sv('Sv39', 39),
  sv('Sv48', 48),
  sv('Sv57', 57),
  svX4('Sv39x4', 41),
  svX4('Sv48x4', 50),
  svX4('Sv57x4', 59),
]
