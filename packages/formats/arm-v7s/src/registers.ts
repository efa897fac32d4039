/** The registers of short-descriptor tables (DDI 0406C B4.1: TTBR0, TTBR1, TTBCR, SCTLR, PRRR, NMRR, DACR; MediaTek's TTBR), both ways. */
import { type FoundRoot, hex, IoPgtableError } from '@io-pgtable/core'
import type { ArmV7sContext } from './attributes.ts'

/** What fixes the geometry: address bits, and whether leaves and tables have the MediaTek address bits. */
export interface ArmV7sParams {
  readonly ias: number
  readonly oas: number
  readonly mtk: boolean
  readonly mtkTables: boolean
}

/** What the device's registers get, 32 bits each. `prrr` and `nmrr` go with TEX remap and the access flag switched on (SCTLR.TRE, AFE). */
export interface ArmV7sRegs {
  readonly ttbr: bigint
  readonly tcr: number
  readonly nmrr: number
  readonly prrr: number
}

/** Raw registers, as the CPU (or an SMMU context bank) holds them. The defaults of the others are what io-pgtable's tables go with. */
export interface ArmV7sHardware {
  readonly ttbr0?: bigint
  readonly ttbr1?: bigint
  readonly ttbcr?: bigint
  /** TRE is bit 28, AFE bit 29. Default: both set. */
  readonly sctlr?: bigint
  readonly prrr?: bigint
  readonly nmrr?: bigint
  /** Default 0x55555555: every domain is a client. */
  readonly dacr?: bigint
  /** A MediaTek walker, with `ttbr0` alone. No register tells its widths, and whether tables have more address bits (ARM_MTK_TTBR_EXT). */
  readonly mtk?: { readonly ias: number; readonly oas: number; readonly tables: boolean }
}

type Root = FoundRoot<ArmV7sParams, ArmV7sContext>

/** Entry 1 of PRRR is Device, 4 and 7 are Normal; NMRR makes 4 Non-cacheable and 7 Write-Back Write-Allocate; S is shareable. */
const PRRR = 0x800b_8204
const NMRR = 0x4000_4000
const CLIENTS = 0x5555_5555
/** What is assumed of registers that are not given. */
const SCTLR = 'SCTLR TRE 1, AFE 1, HA 0, WXN 0'
const DACR = 'DACR 0x55555555'
const TRE = 1n << 28n
const AFE = 1n << 29n
const HA = 1n << 17n
const WXN = 1n << 19n
const UWXN = 1n << 20n
const EAE = 1n << 31n
const PD0 = 1n << 4n
const PD1 = 1n << 5n

/** The context of tables as io-pgtable makes them. */
export function ownContext(permissions: boolean): ArmV7sContext {
  const remap = { tre: true, afe: true, prrr: PRRR, nmrr: NMRR, dacr: CLIENTS }
  return { ...remap, ha: false, wxn: false, uwxn: false, permissions, assumed: [SCTLR, DACR] }
}

/** The attributes in TTBR: IRGN and RGN Write-Back Write-Allocate, S and NOS; S alone where the walker does not snoop. MediaTek: PA[34:32]. */
export function packRegs(root: bigint, coherent: boolean, mtk: boolean): ArmV7sRegs {
  if ((root & 0x7fn) !== 0n) throw bad('root table', root, 'an address aligned to 128 bytes expected: TTBR bits 6:0 are attributes')
  const ttbr = mtk ? BigInt.asUintN(32, root) | (root >> 32n) : root | (coherent ? 0x6an : 0x2n)
  return { ttbr, tcr: 0, nmrr: NMRR, prrr: PRRR }
}

/**
 * B3.5.4: TTBCR.N sends addresses below 2^(32-N) to TTBR0, whose table is smaller then, and the others to TTBR1. With N = 0 hardware walks
 * TTBR0 alone; a TTBR1 that is given all the same is told as a second table of all addresses. PD0 and PD1 switch a walk off.
 */
export function rootsFromRegs(registers: ArmV7sHardware): readonly Root[] {
  const { ttbr0, ttbr1, ttbcr = 0n, mtk } = registers
  const context = contextOf(registers)
  for (const ttbr of [ttbr0 ?? 0n, ttbr1 ?? 0n]) if (BigInt.asUintN(32, ttbr) !== ttbr) throw bad('TTBR', ttbr, '32 bits expected')
  if (mtk !== undefined) return ttbr0 === undefined ? [] : [mtkRoot(ttbr0, mtk, context)]
  if ((ttbcr & EAE) !== 0n) throw bad('TTBCR', ttbcr, 'EAE, bit 31, clear expected: it selects long descriptors')
  const n = Number(ttbcr & 7n)
  const split = 1n << BigInt(32 - n)
  const roots: Root[] = []
  if (ttbr0 !== undefined && (ttbcr & PD0) === 0n) roots.push(cpuRoot('ttbr0', ttbr0, 32 - n, 0n, split - 1n, context))
  const second = ttbr1 !== undefined && (n === 0 || (ttbcr & PD1) === 0n)
  if (second) roots.push(cpuRoot('ttbr1', ttbr1, 32, n === 0 ? 0n : split, 0xffff_ffffn, context))
  return roots
}

function contextOf({ sctlr: given, prrr, nmrr, dacr, mtk }: ArmV7sHardware): ArmV7sContext {
  const sctlr = given ?? TRE | AFE
  const number = (value: bigint | undefined, otherwise: number): number =>
    value === undefined ? otherwise : Number(BigInt.asUintN(32, value))
  const remap = { prrr: number(prrr, PRRR), nmrr: number(nmrr, NMRR), dacr: number(dacr, CLIENTS) }
  const flag = (bit: bigint): boolean => (sctlr & bit) !== 0n
  const assumed = Object.entries({ [SCTLR]: given, PRRR: prrr, NMRR: nmrr, [DACR]: dacr })
  return {
    ...{ tre: flag(TRE), afe: flag(AFE), ha: flag(HA), wxn: flag(WXN), uwxn: flag(UWXN), ...remap, permissions: mtk === undefined },
    assumed: assumed.flatMap(([name, value]) => (value === undefined ? [name] : [])),
  }
}

/**
 * TTBCR of hardware that walks such a table of `ias` input address bits. io-pgtable's TTBCR is 0 whatever the size, and the driver adds N:
 * 32 - ias, B3.5.4. Undefined below 25 bits, since N is at most 7.
 */
export function splitTtbcr(tcr: number, ias: number): bigint | undefined {
  return ias < 25 ? undefined : BigInt(tcr | (32 - ias))
}

/** A table of 2^ias bytes of addresses is aligned to its own size, 2^(ias-18) bytes; the register's bits below are attributes. */
function cpuRoot(name: string, ttbr: bigint, ias: number, first: bigint, last: bigint, context: ArmV7sContext): Root {
  const table = (ttbr >> BigInt(ias - 18)) << BigInt(ias - 18)
  return { name, params: { ias, oas: 40, mtk: false, mtkTables: false }, roots: [table], first, last, context }
}

/** @throws `EINVAL` for a root that is not aligned to its size: nothing is known of what a walker then reads */
function mtkRoot(ttbr: bigint, mtk: NonNullable<ArmV7sHardware['mtk']>, context: ArmV7sContext): Root {
  const table = (ttbr & 0xffff_ff80n) | ((ttbr & 7n) << 32n)
  const bytes = 1n << BigInt(mtk.ias - 18)
  if (table % bytes !== 0n) throw bad('TTBR', ttbr, `a table aligned to its size, ${hex(bytes)}, expected`)
  const params = { ias: mtk.ias, oas: mtk.oas, mtk: true, mtkTables: mtk.tables }
  return { name: 'ttbr0', params, roots: [table], first: 0n, last: (1n << BigInt(mtk.ias)) - 1n, context }
}

function bad(name: string, value: bigint, expected: string): IoPgtableError {
  return new IoPgtableError('EINVAL', 'arm-v7s registers', `${name} ${hex(value)}: ${expected}`, { value })
}
