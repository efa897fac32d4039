/** Whether tables and a fault record agree, and which entry and bits say so. */
import {
  ACCESS_KINDS,
  type Access,
  type AccessFault,
  type AddressVerdict,
  extract,
  type Field,
  hex,
  type Meaning,
  neededRight,
} from '@io-pgtable/core'
import type { Tables } from '../leaves/tables.ts'
import { rulesOf } from '../rights/rules.ts'
import type { FaultReport } from './report.ts'

export interface Judgement {
  readonly agrees: boolean
  /** A sentence: what the tables make of the access, and which entry and bits say so. */
  readonly text: string
}

/**
 * What the tables make of the access of a record. `address`: the input address of these tables. `namesMemory`: the registers of memory types
 * are known.
 */
export function judgeFault(tables: Tables, report: FaultReport, address: bigint, namesMemory = true): Judgement {
  const rules = rulesOf(tables)
  const verdict = rules.translate(tables.roots, tables.read, address)
  const faults = accessesOf(report).flatMap((access) => {
    const fault = rules.fault(verdict, access)
    return fault === undefined ? [] : [fault]
  })
  const [first] = faults
  if (!isOfTables(report)) return elsewhere(namesMemory ? verdict : { ...verdict, memory: undefined }, first)
  if (first === undefined) {
    const why = 'they have changed since, a TLB still has the old entry, or other tables were used'
    return { agrees: false, text: `the tables let this access through: ${why}` }
  }
  const same = faults.find((fault) => isSame(tables, report, fault))
  const fault = same ?? first
  const entry = decidingEntry(verdict, fault)
  const reason = `${fault.reason}${entry === undefined ? '' : ` (${entry})`}`
  if (same !== undefined) return { agrees: true, text: `the tables say the same: ${reason}` }
  return { agrees: false, text: `the tables say otherwise, ${fault.type}${levelText(fault)}: ${reason}` }
}

/** Faults that tables make. */
const OF_TABLES: ReadonlySet<string> = new Set([
  'translation',
  'not-canonical',
  'access-flag',
  'domain',
  'permission',
  'address-size',
  'reserved',
  'misconfigured',
  'walk-abort',
  'unknown-memory',
])

function isOfTables({ fault: { type, stage } }: FaultReport): boolean {
  return type === undefined ? stage !== undefined : OF_TABLES.has(type)
}

/** A record of an alignment fault, an external abort and their like: tables at most tell the memory type. */
function elsewhere({ memory, assumed }: AddressVerdict, fault: AccessFault | undefined): Judgement {
  if (fault !== undefined) return { agrees: false, text: `the record is not of the tables, but they refuse this access: ${fault.reason}` }
  const isKnown = memory !== undefined && !assumed.some((name) => /MAIR|PAT|PRRR|NMRR/i.test(name))
  return { agrees: true, text: `the tables let this access through, and are not the cause${isKnown ? `; memory: ${memory.name}` : ''}` }
}

function levelText({ level }: AccessFault): string {
  return level === undefined ? '' : ` at level ${level}`
}

/** All accesses that a record may mean, the likeliest first. */
function accessesOf({ access: { type, privileged } }: FaultReport): readonly Access[] {
  const kinds = type === undefined ? ACCESS_KINDS : [type]
  const parties = privileged === undefined ? [false, true] : [privileged]
  return kinds.flatMap((access) => parties.map((party) => ({ access, privileged: party })))
}

/** By the hardware's own codes, where the format gives the same ones; otherwise by type and level. */
function isSame({ format, context }: Tables, { codes, fault, ownLevels }: FaultReport, found: AccessFault): boolean {
  const told = codes === undefined ? undefined : format.fault?.(found, context).codes
  const shared = Object.entries(codes ?? {}).filter(([name]) => told !== undefined && name in told)
  if (shared.length > 0) return shared.every(([name, value]) => told?.[name] === value)
  const level = ownLevels || fault.level === undefined || found.level === undefined || fault.level === found.level
  return (fault.type === undefined || fault.type === found.type) && level
}

/** The entry that decides, and the fields of it that say so. */
function decidingEntry({ walk, steps }: AddressVerdict, fault: AccessFault): string | undefined {
  const needed = neededRight(fault.access, fault.privileged)
  const lacking = fault.type === 'permission' ? steps.findIndex((left) => (left & needed) === 0) : -1
  const entry = walk[lacking < 0 ? walk.length - 1 : lacking]
  if (entry === undefined) return undefined
  const { kind, raw, table, index } = entry
  const bits = fault.bits === undefined ? fieldsThatSay(entry, lacking >= 0) : `bits ${hex(fault.bits)}`
  return `entry ${index} of the table at ${hex(table)}, ${hex(raw)}, ${kind.name}${bits === '' ? '' : `: ${bits}`}`
}

function fieldsThatSay({ kind, raw }: AddressVerdict['walk'][number], isRight: boolean): string {
  const meaning: Meaning<unknown> | undefined =
    kind.type === 'table' ? kind.limits : kind.type === 'leaf' ? (isRight ? kind.grants : (kind.traps ?? kind.grants)) : undefined
  return (meaning?.fields ?? [])
    .flatMap((name) => kind.fields.filter((field: Field) => field.name === name))
    .map((field) => `${field.name} ${extract(raw, field.pieces)}`)
    .join(', ')
}
