/** Attributes of stage 1 descriptors: what Linux's io-pgtable writes, and what any descriptor says (DDI 0487 D8.4 to D8.6). */

import { type FormatConfig, type LeafKind, type Policy, Prot, when } from '@io-pgtable/core'
import { type Stage1Regime, sctlrOf } from './rights.ts'

/**
 * ARM_NS: non-secure tables of a secure device. ARM_TTBR1: the top of the address space. ARM_OUTER_WBWA: outer write-back walks without
 * coherency. ARM_HD: dirty tracking. NO_WARN: conflicts are not told to `onWarn`.
 */
export type Stage1Quirk = 'ARM_NS' | 'ARM_TTBR1' | 'ARM_OUTER_WBWA' | 'ARM_HD' | 'NO_WARN'

/** What AttrIndx chooses from. */
export interface MairContext {
  readonly mair: bigint
}

/** The registers of a stage 1 that are known of tables of ours: no table takes anything away, ARM_HD has HA and HD. */
export function ownRegime({ quirks }: Stage1Config, aarch32: boolean): Stage1Regime {
  const hd = quirks.includes('ARM_HD')
  return { aarch32, single: false, hpd: false, ha: hd, hd, tbi: false, ...sctlrOf(undefined, 'SCTLR') }
}

/** Attribute 0 normal non-cacheable, 1 normal write-back, 2 device, 3 inner non-cacheable outer write-back. */
export const MAIR = 0xf404ff44n
/** Software's mark of a table that a walker which does not snoop can see. */
export const SW_SYNC: bigint = 1n << 55n

const NG = 1n << 11n
const AP_UNPRIV = 1n << 6n
const AP_RDONLY = 1n << 7n
const NS = 1n << 5n
const DBM = 1n << 51n
const XN = 1n << 54n
const NEVER = (1n << 53n) | XN
const NSTABLE = 1n << 63n
const NON_CACHEABLE: readonly bigint[] = [0x44n, 0x40n]

/** What of an agreed configuration the attributes depend on. */
export type Stage1Config = { readonly quirks: readonly Stage1Quirk[] } & Required<Pick<FormatConfig, 'coherentWalk'>>

/** Attributes of a leaf; `kind` says whether it has a shareability. */
export function encodeStage1(config: Stage1Config, kind: LeafKind, prot: Prot): bigint {
  let raw = NG
  if ((prot & Prot.WRITE) === 0) raw |= AP_RDONLY
  else if (config.quirks.includes('ARM_HD')) raw |= DBM
  if (!(prot & Prot.PRIV)) raw |= AP_UNPRIV
  raw |= (prot & Prot.MMIO ? 2n : prot & Prot.CACHE ? 1n : 0n) << 2n
  raw |= shareability(kind, prot)
  if (prot & Prot.NOEXEC) raw |= NEVER
  if (config.quirks.includes('ARM_NS')) raw |= NS
  return raw
}

/** Inner shareable for CACHE, else outer; nothing where the walk's shareability holds (FEAT_LPA2). */
export function shareability(kind: LeafKind, prot: Prot): bigint {
  if (!kind.fields.some((field) => field.name === 'SH')) return 0n
  return (prot & Prot.CACHE ? 3n : 2n) << 8n
}

/** Attributes of a table descriptor. */
export function encodeStage1Table(config: Stage1Config): bigint {
  return (config.quirks.includes('ARM_NS') ? NSTABLE : 0n) | (config.coherentWalk ? 0n : SW_SYNC)
}

/**
 * What a leaf grants. NOEXEC: neither privilege may fetch instructions. AArch64's UXN and PXN forbid it to one privilege each (D8.4.2),
 * AArch32's XN to both, whatever PXN says (DDI 0406C B3.7.2).
 */
export function protStage1(raw: bigint, kind: LeafKind, { mair }: MairContext): Prot {
  const attribute = (mair >> (((raw >> 2n) & 7n) * 8n)) & 0xffn
  const device = attribute >> 4n === 0n
  const never = kind.fields.some((field) => field.name === 'XN') ? XN : NEVER
  const writable = (raw & AP_RDONLY) === 0n || (raw & DBM) !== 0n
  return (
    Prot.READ |
    (writable ? Prot.WRITE : 0) |
    (device ? Prot.MMIO : NON_CACHEABLE.includes(attribute) ? 0 : Prot.CACHE) |
    ((raw & never) === never ? Prot.NOEXEC : 0) |
    (raw & AP_UNPRIV ? 0 : Prot.PRIV)
  )
}

/**
 * What Linux's io-pgtable does for these formats: a run is checked table by table, and its walks are flushed first. Break-before-make: DDI
 * 0487 D8.16.1, the size of what an entry maps, its memory type and cacheability, and global or not. FEAT_BBM would allow the first.
 */
export const LPAE_POLICY: Policy = {
  conflict: 'table',
  freeTables: 'slot',
  flushOrder: 'walks-first',
  addPagesWithoutGather: false,
  breakBeforeMake: { size: true, fields: ['AttrIndx', 'MemAttr', 'SH', 'nG', 'Contiguous'] },
}

/** With ARM_HD a leaf is dirty once hardware, or we, made it writable: DBM set and AP[2] clear. Cleaning sets AP[2]. */
export function stage1Policy({ quirks }: Stage1Config): Policy {
  if (!quirks.includes('ARM_HD')) return LPAE_POLICY
  return { ...LPAE_POLICY, dirty: { dirty: when(DBM | AP_RDONLY, DBM), clear: 0n, set: AP_RDONLY } }
}
