/** The rules by which accesses to tables are judged: core's, made once for each geometry and context. */
import { AccessRules, type FaultType, type PathVerdict, type Rights, useOf, type WalkFault } from '@io-pgtable/core'
import type { Tables } from '../leaves/tables.ts'

const known = new WeakMap<Tables, AccessRules>()

/** The rules of tables. */
export function rulesOf(tables: Tables): AccessRules {
  let rules = known.get(tables)
  if (rules === undefined) known.set(tables, (rules = new AccessRules(tables.format, tables.geometry, tables.context)))
  return rules
}

/** Whether tables are a CPU's own first stage, and not one of a stream of devices. */
export function isCpuStage1(tables: Tables & { readonly stage?: 1 | 2 }): boolean {
  return tables.stage === undefined && useOf(tables.format, tables.context) === 'cpu'
}

/** Which stage of translation tables are. */
export function stageOf(tables: Tables & { readonly stage?: 1 | 2 }): 1 | 2 {
  return tables.stage ?? (useOf(tables.format, tables.context) === 'guest' ? 2 : 1)
}

/** Why every access to what a path leads to faults; undefined where one gets through, or only lacks the right. */
export function faultOfAll({ fault, traps, level }: PathVerdict): WalkFault | undefined {
  if (fault !== undefined) return fault
  const { read, write, execute } = traps
  if (read === undefined || read !== write || read !== execute) return undefined
  return {
    type: read,
    level,
    reason: `${TRAP_WORDS[read] ?? `the entry lets no access through (${read})`}, in the entry at level ${level}`,
  }
}

const TRAP_WORDS: Readonly<Partial<Record<FaultType, string>>> = {
  'access-flag': 'the access flag is clear, and hardware does not set it',
  domain: 'the domain lets no access through',
  reserved: 'a field has a reserved value',
}

/** The rights that are left: none where every walk faults. */
export function rightsLeft({ fault, rights }: PathVerdict): Rights {
  return fault === undefined ? rights : 0
}

/** Whether somebody may both write and execute. */
export function isWritableExecutable(rights: Rights): boolean {
  return ((rights >> 1) & (rights >> 2) & 0b001_001) !== 0
}
