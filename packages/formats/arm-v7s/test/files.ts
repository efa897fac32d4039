/** The files of test-data, typed as far as these tests read them. */
import { readdirSync, readFileSync } from 'node:fs'
import type { ProtName } from '@io-pgtable/core'
import type { ArmV7sConfig, ArmV7sQuirk } from '../src/index.ts'

const DATA = new URL('../test-data/', import.meta.url)

export interface JsonConfig {
  readonly pgsizeBitmap: string
  readonly ias: number
  readonly oas: number
  readonly quirks: readonly ArmV7sQuirk[]
  readonly coherentWalk: boolean
}

export interface FactsFile {
  readonly config: JsonConfig
  readonly rows: readonly (readonly [
    level: number,
    pgsize: number,
    prot: readonly ProtName[],
    paddr: string,
    raw: string | null,
    error: string | null,
  ])[]
}

export interface ConfigFile {
  readonly rows: readonly { readonly config: JsonConfig; readonly result: Record<string, string | number> | null }[]
}

export interface LeavesFile {
  readonly registers: Readonly<Record<'ttbr0' | 'ttbr1' | 'ttbcr' | 'sctlr' | 'prrr' | 'nmrr' | 'dacr', string>>
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | number)[])[]
}

export function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(path, DATA), 'utf8')) as T
}

/** Names of the files of one folder of vectors. */
export function filesOf(folder: string): string[] {
  return readdirSync(new URL(`vectors/${folder}/`, DATA)).sort()
}

export function configOf(json: JsonConfig): ArmV7sConfig {
  return { ...json, pgsizeBitmap: BigInt(json.pgsizeBitmap) }
}
