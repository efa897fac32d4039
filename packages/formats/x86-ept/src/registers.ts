/** The extended-page-table pointer, EPTP: SDM volume 3C, 25.6.11; the checks of 27.2.1.1. */
import { type Assuming, type FoundRoot, hex, IoPgtableError, ones } from '@io-pgtable/core'

/** What the VMCS gets. */
export interface EptRegs {
  /** The root's physical address, the memory type of walks, the number of levels, accessed and dirty flags. */
  readonly eptp: bigint
}

/** What the controls of the VMCS and the CPU's capabilities decide. */
export interface EptControls {
  /** EPTP enables accessed and dirty flags. */
  readonly ad: boolean
  /** Mode-based execute control: X is for supervisor mode, XU for user mode. */
  readonly mbec: boolean
  /** IA32_VMX_EPT_VPID_CAP bit 0: the CPU has execute-only translations. */
  readonly executeOnly: boolean
}

export interface EptParams extends EptControls {
  readonly levels: 4 | 5
  readonly ias: number
  /** MAXPHYADDR. */
  readonly oas: number
}

/** What gives entries their meaning. */
export interface EptContext extends EptControls, Assuming {}

/** EPTP as a VMCS holds it, and what its controls and the CPU say. */
export interface EptHardware {
  readonly eptp: bigint
  /** MAXPHYADDR, 32 to 52. Default 52. */
  readonly maxPhyAddr?: number
  /** Mode-based execute control for EPT, bit 22 of the secondary processor-based controls. Default false. */
  readonly mbec?: boolean
  /** IA32_VMX_EPT_VPID_CAP bit 0. Default true. */
  readonly executeOnly?: boolean
}

const WRITE_BACK = 6n
const AD = 1n << 6n
/** Supervisor shadow-stack control. */
const SSS = 1n << 7n

export function eptContext(controls: EptControls, assumed: readonly string[] = []): EptContext {
  return { ...controls, assumed }
}

/** Walks that do not snoop are uncacheable. */
export function packEptp({ levels, ad }: EptParams, root: bigint, coherentWalk: boolean): EptRegs {
  return { eptp: root | (coherentWalk ? WRITE_BACK : 0n) | (BigInt(levels - 1) << 3n) | (ad ? AD : 0n) }
}

/** @throws `EINVAL` for an EPTP with which no VM entry succeeds */
export function rootsFromRegs(registers: EptHardware): readonly FoundRoot<EptParams, EptContext>[] {
  const { eptp, maxPhyAddr = 52, mbec = false, executeOnly = true } = registers
  if (!Number.isInteger(maxPhyAddr) || maxPhyAddr < 32 || maxPhyAddr > 52) throw bad('maxPhyAddr', maxPhyAddr, '32 to 52 expected')
  const length = Number((eptp >> 3n) & 7n)
  if (length !== 3 && length !== 4) throw bad('eptp', eptp, `bits 5:3 are ${length}: 3 (4 levels) or 4 (5 levels) expected`)
  const type = eptp & 7n
  if (type !== 0n && type !== WRITE_BACK) throw bad('eptp', eptp, `memory type ${type}: 0 (UC) or 6 (WB) expected`)
  const root = eptp & ones(maxPhyAddr - 1, 12)
  const beyond = eptp & ~(root | AD | SSS | 0x3fn)
  if (beyond !== 0n) throw bad('eptp', eptp, `reserved bits are set: ${hex(beyond)}`)
  const levels = length === 3 ? 4 : 5
  const controls = { ad: (eptp & AD) !== 0n, mbec, executeOnly }
  const ias = 12 + 9 * levels
  const assumed = [...(registers.mbec === undefined ? ['MBEC 0'] : []), ...(registers.executeOnly === undefined ? ['execute-only 1'] : [])]
  const params: EptParams = { ...controls, levels, ias, oas: maxPhyAddr }
  return [{ name: 'eptp', params, roots: [root], first: 0n, last: ones(ias - 1), context: eptContext(controls, assumed) }]
}

function bad(name: string, value: bigint | number, expected: string): IoPgtableError {
  return new IoPgtableError('EINVAL', 'rootsFromRegs', `${name} ${hex(value)}: ${expected}`, { value })
}
