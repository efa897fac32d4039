/**
 * Who may do what: DDI 0406C B3.7 (AP, XN, PXN, domains, the access flag, WXN and UWXN), B3.13.3 (fault status codes); the memory type as
 * one of the core's names.
 */
import {
  type AccessFault,
  type ArchFault,
  type LeafKind,
  type Meaning,
  type MemoryType,
  meaning,
  Right,
  type Rights,
  type Traps,
  trapAll,
  type Updates,
} from '@io-pgtable/core'
import { type ArmV7sContext, memoryTypeOf, memoryWords } from './attributes.ts'

const USER_EXECUTE = Right.USER & Right.EXECUTE
const PRIV_EXECUTE = Right.PRIVILEGED & Right.EXECUTE
const PRIV_DATA = Right.PRIVILEGED & (Right.READ | Right.WRITE)
const DATA = Right.READ | Right.WRITE
const PRIV_READ = Right.PRIVILEGED & Right.READ
/** B3.7.1, by AP[2:0]; 0b100 is reserved. With AFE set, AP[0] reads as one. */
const ACCESS: readonly Rights[] = [0, PRIV_DATA, PRIV_DATA | Right.READ, DATA, 0, PRIV_READ, Right.READ, Right.READ]

const CLIENT = 1
const MANAGER = 3

function domainOf(domain: number, { dacr }: ArmV7sContext): number {
  return (dacr >>> (2 * domain)) & 3
}

type Values = Readonly<Record<string, number>>

/** A manager's accesses are checked by nothing of the entry, XN included. */
function grantsOf(values: Values, domain: number, pxn: number, context: ArmV7sContext): Rights {
  if (!context.permissions || domainOf(domain, context) === MANAGER) return Right.ALL
  const ap = (values['AP[1:0]'] ?? 0) | (context.afe ? 1 : 0)
  const execute = values.XN ? 0 : USER_EXECUTE | (pxn ? 0 : PRIV_EXECUTE)
  return (ACCESS[(values['AP[2]'] ?? 0) * 4 + ap] ?? 0) | execute
}

/** The access flag is looked at in the walk, before the domain. */
function trapsOf(values: Values, domain: number, context: ArmV7sContext): Traps | undefined {
  if (!context.permissions) return undefined
  if (context.afe && !context.ha && ((values['AP[1:0]'] ?? 0) & 1) === 0) return trapAll('access-flag')
  const access = domainOf(domain, context)
  return access === CLIENT || access === MANAGER ? undefined : trapAll('domain')
}

const PERMISSIONS = ['AP[2]', 'AP[1:0]', 'XN']

const GLOBAL: Meaning<boolean> = meaning(['nG'], ({ nG }) => nG === 0)

/** `domain`, `pxn`: the fields that have them; pages have them in the table entry above, supersections no domain: it is 0. */
function rights(domain: string | undefined, pxn: string): Pick<LeafKind, 'grants' | 'traps' | 'global'> {
  const own = domain === undefined ? [] : [domain]
  const domainIn = (values: Values): number => (domain === undefined ? 0 : (values[domain] ?? 0))
  const grants: Meaning<Rights, ArmV7sContext> = meaning([...PERMISSIONS, pxn, ...own], (values, context) =>
    grantsOf(values, domainIn(values), values[pxn] ?? 0, context),
  )
  const traps: Meaning<Traps | undefined, ArmV7sContext> = meaning(['AP[1:0]', ...own], (values, context) =>
    trapsOf(values, domainIn(values), context),
  )
  return { grants, traps, global: GLOBAL }
}

const MEMORY: Meaning<MemoryType, ArmV7sContext> = meaning(['TEX', 'C', 'B', 'S'], ({ TEX = 0, C = 0, B = 0, S = 0 }, context) => {
  const type = memoryTypeOf(TEX, C * 2 + B, S, context)
  const name = memoryWords(type)
  if (type.type === 'Device' || type.type === 'Strongly-ordered') return { name, caching: 'device' }
  if (type.type !== 'Normal') return { name, caching: 'unknown' }
  return { name, caching: type.inner === 'Non-cacheable' && type.outer === 'Non-cacheable' ? 'uncached' : 'cached' }
})

/** The access flag, AP[0], where SCTLR.HA is set. `bit`: where AP[0] stands. */
function updates(bit: bigint): (context: unknown) => Updates {
  return (context) => {
    const { afe, ha, permissions } = context as ArmV7sContext
    return afe && ha && permissions ? { accessed: { clear: 0n, set: bit } } : {}
  }
}

/** The meanings of a leaf's fields. */
export type Leaf = Pick<LeafKind, 'grants' | 'traps' | 'memory' | 'global' | 'updates'>
const SECTION_FLAG = 1n << 10n
const PAGE_FLAG = 1n << 4n

/** Of sections, supersections, and pages. */
export const SECTION_RIGHTS: Leaf = { ...rights('Domain', 'PXN'), memory: MEMORY, updates: updates(SECTION_FLAG) }
export const SUPERSECTION_RIGHTS: Leaf = { ...rights(undefined, 'PXN'), memory: MEMORY, updates: updates(SECTION_FLAG) }
export const PAGE_RIGHTS: Leaf = { ...rights('^Domain', '^PXN'), memory: MEMORY, updates: updates(PAGE_FLAG) }
/** Of a MediaTek walker: no permissions. */
export const MTK_RIGHTS: Leaf = { memory: MEMORY }

/** A fetch needs a page that can be read; WXN, UWXN. */
export function v7sRegime({ wxn, uwxn, permissions }: ArmV7sContext): (path: Rights) => Rights {
  if (!permissions) return (path) => path
  return (path) => {
    let rights = path & ~((~path & Right.READ) << 2)
    if (uwxn && (path & Right.USER & Right.WRITE) !== 0) rights &= ~PRIV_EXECUTE
    if (wxn) rights &= ~((path & Right.WRITE) << 1)
    return rights
  }
}

const STATUS: Readonly<Partial<Record<AccessFault['type'], readonly [section: number, page: number, name: string]>>> = {
  translation: [0b00101, 0b00111, 'translation fault'],
  'access-flag': [0b00011, 0b00110, 'access flag fault'],
  domain: [0b01001, 0b01011, 'domain fault'],
  permission: [0b01101, 0b01111, 'permission fault'],
  'walk-abort': [0b01100, 0b01110, 'synchronous external abort on a walk'],
  'unknown-memory': [0b01100, 0b01110, 'synchronous external abort on a walk'],
}

/** FS[4:0] of DFSR and IFSR, and WnR of DFSR. An address that is too large has no code of its own. */
export function v7sFault({ type, level = 1, access }: AccessFault): ArchFault {
  const [section, page, name] = STATUS[type] ?? [0b00101, 0b00111, 'translation fault']
  return { name: `${name}, level ${level}`, codes: { FS: level === 1 ? section : page, WnR: access === 'write' ? 1 : 0 } }
}
