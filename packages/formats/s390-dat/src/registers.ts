/** Control registers: POP chapter 3, "Address-space-control element", "Translation control". */
import { type Assuming, type FoundRoot, hex, IoPgtableError, ones } from '@io-pgtable/core'

/** What CR0 decides. */
export interface S390Context extends Assuming {
  /** CR0 bit 23 (IBM's 40): enhanced DAT: frames of 1 MiB and 2 GiB, and DAT protection in region tables. */
  readonly edat: boolean
  /** CR0 bit 20 (IBM's 43): instruction-execution protection. */
  readonly iep: boolean
}

export interface S390Params extends S390Context {
  /** The level of the root: 2 a segment table, 5 a region-first table. */
  readonly levels: 2 | 3 | 4 | 5
  /** The root has (tl + 1) · 512 entries. */
  readonly tl: number
  /** A private space: common segments are refused. */
  readonly isPrivate: boolean
}

/** What a control register gets: an address-space-control element (ASCE). */
export interface S390Regs {
  /** The primary space. */
  readonly cr1: bigint
}

/** Raw control registers, each an ASCE: at least one. */
export interface S390Hardware {
  /** The primary space: a process, and Linux's kernel while it runs. */
  readonly cr1?: bigint
  /** The secondary space. */
  readonly cr7?: bigint
  /** The home space: Linux's kernel. */
  readonly cr13?: bigint
  /** For EDAT and IEP. Default: both set. */
  readonly cr0?: bigint
}

const NAMES = ['cr1', 'cr7', 'cr13'] as const
const PRIVATE = 0x100n
const REAL_SPACE = 0x20n
const EDAT = 1n << 23n
const IEP = 1n << 20n

export function packAsce({ levels, tl }: S390Params, root: bigint): bigint {
  return root | (BigInt(levels - 2) << 2n) | BigInt(tl)
}

/** A real space has no tables. @throws `EINVAL` where no register is given */
export function rootsFromRegs(registers: S390Hardware): readonly FoundRoot<S390Params, S390Context>[] {
  const given = NAMES.flatMap((name) => {
    const asce = registers[name]
    return asce === undefined ? [] : [{ name, asce }]
  })
  if (given.length === 0) throw new IoPgtableError('EINVAL', 'rootsFromRegs', 'none of them: cr1, cr7 or cr13, an ASCE each, expected')
  const { cr0 } = registers
  const has = (bit: bigint): boolean => ((cr0 ?? bit) & bit) !== 0n
  const context: S390Context = {
    ...{ edat: has(EDAT), iep: has(IEP) },
    assumed: cr0 === undefined ? ['CR0.40 (EDAT) 1', 'CR0.43 (IEP) 1'] : [],
  }
  return given.flatMap(({ name, asce }) => {
    if (asce >> 64n !== 0n) throw new IoPgtableError('EINVAL', 'rootsFromRegs', `${name} ${hex(asce)}: 64 bits expected`, { value: asce })
    if ((asce & REAL_SPACE) !== 0n) return []
    const levels = (Number((asce >> 2n) & 3n) + 2) as 2 | 3 | 4 | 5
    const tl = Number(asce & 3n)
    const params: S390Params = { ...context, levels, tl, isPrivate: (asce & PRIVATE) !== 0n }
    const last = BigInt(512 * (tl + 1)) * (1n << BigInt(20 + 11 * (levels - 2))) - 1n
    return [{ name, params, roots: [asce & ones(63, 12)], first: 0n, last, context }]
  })
}
