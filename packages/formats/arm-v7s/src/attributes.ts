/** What a leaf's access and memory attribute fields mean: DDI 0406C B3.7 (access control) and B3.8 (memory region attributes). */
import { type Assuming, fieldValue, type LeafKind, Prot, SZ_16M } from '@io-pgtable/core'

/** The registers that give a descriptor's fields their meaning. */
export interface ArmV7sContext extends Assuming {
  /** SCTLR.TRE: TEX[0], C, B select an entry of PRRR and NMRR (B3.8.3). */
  readonly tre: boolean
  /** SCTLR.AFE: AP[0] is the access flag, AP[2:1] the permissions (B3.7.1). */
  readonly afe: boolean
  readonly prrr: number
  readonly nmrr: number
  /** Domain access, two bits a domain (B3.7.3). */
  readonly dacr: number
  /** False for a walker that has no permission bits (the quirk NO_PERMS). */
  readonly permissions: boolean
  /** SCTLR.HA: hardware sets the access flag (B3.7.4). */
  readonly ha: boolean
  /** SCTLR.WXN and UWXN: what may be written is not executed; what PL0 may write, PL1 does not execute (B3.7.2). */
  readonly wxn: boolean
  readonly uwxn: boolean
}

export type Access = 'none' | 'read' | 'read/write'

/** What accesses a leaf lets through. */
export interface LeafAccess {
  /** At PL1: the operating system, or a device's privileged accesses. */
  readonly privileged: Access
  readonly unprivileged: Access
  /** AFE is set and the access flag is not: the first access faults. */
  readonly flagFault: boolean
  readonly xn: boolean
  readonly pxn: boolean
}

export type Cacheability = 'Non-cacheable' | 'Write-Back Write-Allocate' | 'Write-Through' | 'Write-Back'

export interface MemoryType {
  readonly type: 'Strongly-ordered' | 'Device' | 'Normal' | 'IMPLEMENTATION DEFINED' | 'reserved'
  readonly shareability: 'Non-shareable' | 'Shareable' | 'Inner Shareable' | 'Outer Shareable'
  /** Of Normal memory. */
  readonly inner?: Cacheability
  readonly outer?: Cacheability
}

/** B3.7.1, by AP[2:0]; 0b100 is reserved. With AFE set, AP[0] reads as one: that is the model of AP[2:1]. */
const ACCESS: readonly (readonly [privileged: Access, unprivileged: Access])[] = [
  ['none', 'none'],
  ['read/write', 'none'],
  ['read/write', 'read'],
  ['read/write', 'read/write'],
  ['none', 'none'],
  ['read', 'none'],
  ['read', 'read'],
  ['read', 'read'],
]

const CACHEABILITY: readonly Cacheability[] = ['Non-cacheable', 'Write-Back Write-Allocate', 'Write-Through', 'Write-Back']

function value(raw: bigint, kind: LeafKind, name: string): number {
  return fieldValue(kind, raw, name) ?? 0
}

/** The accesses that a leaf's AP, XN and PXN let through; its domain is not looked at. */
export function leafAccess(raw: bigint, kind: LeafKind, context: ArmV7sContext): LeafAccess {
  if (!context.permissions) return { privileged: 'read/write', unprivileged: 'read/write', flagFault: false, xn: false, pxn: false }
  const ap = value(raw, kind, 'AP[1:0]')
  const [privileged, unprivileged] = ACCESS[value(raw, kind, 'AP[2]') * 4 + (context.afe ? ap | 1 : ap)] ?? ['none', 'none']
  const flagFault = context.afe && (ap & 1) === 0
  return { privileged, unprivileged, flagFault, xn: value(raw, kind, 'XN') === 1, pxn: value(raw, kind, 'PXN') === 1 }
}

/** The memory type of a leaf, with or without TEX remap. */
export function memoryType(raw: bigint, kind: LeafKind, context: ArmV7sContext): MemoryType {
  return memoryTypeOf(value(raw, kind, 'TEX'), value(raw, kind, 'C') * 2 + value(raw, kind, 'B'), value(raw, kind, 'S'), context)
}

/** The memory type by TEX, C and B together, and S. */
export function memoryTypeOf(tex: number, cb: number, s: number, context: ArmV7sContext): MemoryType {
  return context.tre ? remapped((tex & 1) * 4 + cb, s, context) : unremapped(tex, cb, s)
}

/** B3.8.3, with TEX remap: entry `n` of PRRR and NMRR. */
function remapped(n: number, s: number, { prrr, nmrr }: ArmV7sContext): MemoryType {
  if (n === 6) return { type: 'IMPLEMENTATION DEFINED', shareability: 'Non-shareable' }
  const type = (['Strongly-ordered', 'Device', 'Normal', 'reserved'] as const)[(prrr >>> (2 * n)) & 3] ?? 'reserved'
  if (type === 'Strongly-ordered') return { type, shareability: 'Shareable' }
  // DS0, DS1 are bits 16 and 17, NS0 and NS1 bits 18 and 19: the shareability that S = 0 and S = 1 stand for. NOSn is bit 24 + n.
  const shareable = ((prrr >>> ((type === 'Normal' ? 18 : 16) + s)) & 1) === 1
  const notOuter = ((prrr >>> (24 + n)) & 1) === 1
  const shareability = !shareable ? 'Non-shareable' : notOuter ? 'Inner Shareable' : 'Outer Shareable'
  if (type !== 'Normal') return { type, shareability }
  return { type, shareability, ...cacheability((nmrr >>> (2 * n)) & 3, (nmrr >>> (16 + 2 * n)) & 3) }
}

/** B3.8.2, without TEX remap. */
function unremapped(tex: number, cb: number, s: number): MemoryType {
  const shareability = s === 1 ? 'Shareable' : 'Non-shareable'
  if (tex >= 4) return { type: 'Normal', shareability, ...cacheability(cb, tex & 3) }
  const code = tex * 4 + cb
  if (code === 0) return { type: 'Strongly-ordered', shareability: 'Shareable' }
  if (code === 1) return { type: 'Device', shareability: 'Shareable' }
  if (code === 8) return { type: 'Device', shareability: 'Non-shareable' }
  if (code === 6) return { type: 'IMPLEMENTATION DEFINED', shareability }
  if (code === 5 || code > 8) return { type: 'reserved', shareability }
  const cache = code === 7 ? 1 : code === 4 ? 0 : code
  return { type: 'Normal', shareability, ...cacheability(cache, cache) }
}

function cacheability(inner: number, outer: number): { inner: Cacheability; outer: Cacheability } {
  return { inner: CACHEABILITY[inner] ?? 'Non-cacheable', outer: CACHEABILITY[outer] ?? 'Non-cacheable' }
}

/**
 * What io-pgtable would have been asked for. A leaf that PL1 may write and PL0 only read counts as READ, since a device's access of
 * either privilege gets no more; PRIV: PL0 gets nothing. Neither the domain nor a clear access flag takes anything away.
 */
export function leafProt(raw: bigint, kind: LeafKind, context: ArmV7sContext): Prot {
  const { privileged, unprivileged, xn } = leafAccess(raw, kind, context)
  const access = unprivileged === 'none' ? privileged : unprivileged
  let prot = access === 'none' ? 0 : access === 'read' ? Prot.READ : Prot.READ | Prot.WRITE
  if (access !== 'none' && unprivileged === 'none') prot |= Prot.PRIV
  if (xn) prot |= Prot.NOEXEC
  const { type, inner, outer } = memoryType(raw, kind, context)
  if (type === 'Device' || type === 'Strongly-ordered') prot |= Prot.MMIO
  if (type === 'Normal' && (inner !== 'Non-cacheable' || outer !== 'Non-cacheable')) prot |= Prot.CACHE
  return prot
}

/**
 * A leaf's access permissions and memory type in words.
 * @param domain of a page: the Domain field of the table descriptor above it; a section has its own, a supersection is in domain 0
 */
export function explainLeaf(raw: bigint, kind: LeafKind, context: ArmV7sContext, domain?: number): { access: string; memory: string } {
  const own = kind.sizes.some((size) => size.pgsize === SZ_16M) ? 0 : fieldValue(kind, raw, 'Domain')
  return { access: accessWords(raw, kind, context, own ?? domain), memory: memoryWords(memoryType(raw, kind, context)) }
}

function accessWords(raw: bigint, kind: LeafKind, context: ArmV7sContext, domain: number | undefined): string {
  if (!context.permissions) return 'every access: the walker has no permission bits'
  const access = domain === undefined ? 1 : (context.dacr >>> (2 * domain)) & 3
  if (access === 3) return `every access: domain ${domain} is a manager`
  if (access !== 1) return `no access: domain ${domain} is ${access === 0 ? 'shut' : 'reserved'} in DACR`
  const { privileged, unprivileged, flagFault, xn, pxn } = leafAccess(raw, kind, context)
  const words = privileged === unprivileged ? [`PL1 and PL0: ${privileged}`] : [`PL1: ${privileged}`, `PL0: ${unprivileged}`]
  if (xn) words.push('execute never')
  if (pxn) words.push('privileged execute never')
  if (flagFault) words.push('access flag clear: the first access faults')
  return words.join(', ')
}

export function memoryWords({ type, shareability, inner, outer }: MemoryType): string {
  if (type === 'reserved' || type === 'IMPLEMENTATION DEFINED' || type === 'Strongly-ordered') return type
  const caches = inner === undefined ? [] : inner === outer ? [inner] : [`inner ${inner}`, `outer ${outer}`]
  return [type, ...caches, shareability].join(', ')
}
