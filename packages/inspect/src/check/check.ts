/**
 * Checks tables that anybody built: every table once at each level, however often it is reached; what one descriptor shows, what groups of
 * entries show, how tables hang together, and what all mappings together show. It trusts nothing, and its work is bounded by the tables
 * that are in the memory.
 */
import { type FaultType, hex, protNames } from '@io-pgtable/core'
import { type Finding, Findings, type Severity } from '../finding.ts'
import type { Tables } from '../leaves/tables.ts'
import { CHECK_CODES, type CheckCode } from './codes.ts'
import type { Verdict } from './leaf-check.ts'
import { type Alias, aliases, type Mapping, Mappings, sameAliases } from './mappings.ts'
import { ANY_PROT, type CheckPolicy, type ForbiddenRange } from './policy.ts'
import { TableCheck } from './table-check.ts'

export interface CheckOptions {
  readonly policy?: CheckPolicy
  /** Called for each table that is read, with the number of them so far: for progress. False ends the check. */
  readonly onTable?: (tables: number) => boolean | undefined | void
  /** Tables that are read at most. Default 2^22. */
  readonly maxTables?: number
  /** Findings of one code that are kept. Default 1000. */
  readonly maxFindings?: number
}

export interface CheckResult {
  readonly findings: readonly Finding[]
  /** How many of each severity there are, those that were not kept included. */
  readonly counts: Readonly<Record<Finding['severity'], number>>
  /** Tables read. */
  readonly tables: number
  /** Merged mappings. */
  readonly mappings: number
  /** Whether all tables were read. */
  readonly complete: boolean
}

const MAX_TABLES = 2 ** 22

const TRAPS: Readonly<Partial<Record<FaultType, CheckCode>>> = { 'access-flag': 'access-flag', domain: 'domain' }
const TRAP_WORDS: Readonly<Partial<Record<FaultType, string>>> = {
  'access-flag': 'the access flag is clear: an access faults where hardware does not set it',
  domain: 'no access to its domain is let through',
  reserved: 'a field has a value that is reserved: an access faults',
}

/** A check of tables that belong together: the halves of one address space, or the streams of one IOMMU. */
export class Check {
  readonly #all: readonly Tables[]
  readonly #options: CheckOptions
  readonly #findings: Findings
  readonly #counts: Record<Finding['severity'], number> = { error: 0, warning: 0, note: 0 }
  readonly #mappings: Mappings = new Mappings()
  readonly #walks: readonly TableCheck[]
  #tables = 0
  #stopped = false

  constructor(tables: readonly Tables[], options: CheckOptions = {}) {
    this.#all = tables
    this.#options = options
    this.#findings = new Findings(options.maxFindings)
    this.#walks = tables.map((each, owner) => new TableCheck(each, owner, this))
  }

  /** Goes on to the end. @throws what reading throws, such as a `PageMiss`: calling it again goes on there */
  run(): CheckResult {
    for (const walk of this.#walks) if (!this.#stopped) walk.run()
    if (!this.#stopped) this.#together()
    const { list } = this.#findings
    return {
      findings: list,
      counts: this.#counts,
      tables: this.#tables,
      mappings: this.#mappings.length + this.#mappings.dropped,
      complete: !this.#stopped,
    }
  }

  /** Called by the walks: whether another table may be read. */
  mayRead(place: string): boolean {
    if (this.#stopped) return false
    this.#tables++
    const { maxTables = MAX_TABLES, onTable } = this.#options
    if (this.#tables > maxTables) {
      this.#stopped = true
      this.report('work-limit', { place, message: `ended after ${maxTables} tables` })
    } else if (onTable?.(this.#tables) === false) this.#stopped = true
    return !this.#stopped
  }

  report(code: CheckCode, finding: Omit<Finding, 'severity' | 'code'>, otherwise: Severity = CHECK_CODES[code].severity): void {
    const severity = this.#options.policy?.severity?.[code] ?? otherwise
    if (severity === 'off') return
    this.#counts[severity]++
    this.#findings.add({ severity, code, ...finding })
  }

  /** One merged mapping; `verdict` says what it grants. */
  mapping(owner: number, iova: number, paddr: number, bytes: number, verdict: Verdict): void {
    this.#mappings.add(owner, iova, paddr, bytes, verdict)
    const mapping: Mapping = { owner, iova, paddr, bytes, verdict }
    const { trap, writableExecutable } = verdict
    if (trap !== undefined)
      this.report(TRAPS[trap] ?? 'reserved-value', {
        ...this.#at(mapping),
        message: `${this.#words(mapping)}: ${TRAP_WORDS[trap] ?? trap}`,
      })
    if (writableExecutable)
      this.report('writable-executable', { ...this.#at(mapping), message: `${this.#words(mapping)} may be written and executed` })
    for (const range of this.#options.policy?.forbidden ?? []) this.#forbidden(mapping, range)
  }

  #forbidden(mapping: Mapping, { space, first, last, prot = ANY_PROT, name }: ForbiddenRange): void {
    const start = BigInt(space === 'iova' ? mapping.iova : mapping.paddr)
    const end = start + BigInt(mapping.bytes)
    const granted = mapping.verdict.prot & prot
    if (start > last || end <= first || (granted === 0 && prot !== ANY_PROT)) return
    const at = first > start ? first - start : 0n
    this.report('forbidden', {
      ...this.#at(mapping),
      iova: BigInt(mapping.iova) + at,
      value: start + at,
      message: `${this.#words(mapping)} touches ${name}, ${space} ${hex(first)} to ${hex(last)}`,
    })
  }

  #together(): void {
    for (const { first, count, bytes } of sameAliases(aliases(this.#mappings.byPaddr()))) this.#alias(first, count, bytes)
    this.#mapsTables()
    if (this.#mappings.dropped === 0) return
    const message = `${this.#mappings.dropped} mappings were not looked at for aliases: there are too many`
    this.report('work-limit', { place: this.#all[0]?.name ?? '', message })
  }

  /** The first of `count` aliases of one kind, of `bytes` bytes together. */
  #alias({ a, b, paddr, why }: Alias, count: number, bytes: number): void {
    const other = `${this.#all[a.owner]?.name} ${hex(BigInt(a.iova))} maps it ${flags(a)}`
    const more = count === 1 ? '' : `; and ${count - 1} more with the same rights, ${hex(bytes)} bytes together`
    this.report(why === 'attributes' ? 'alias-attributes' : 'alias-permissions', {
      ...this.#at(b),
      value: BigInt(paddr),
      ...(count > 1 && { count }),
      message: `${this.#words(b)} is an alias: ${other}${more}`,
    })
  }

  /** Writable mappings of memory in which the tables are. */
  #mapsTables(): void {
    const addresses: number[] = []
    for (const walk of this.#walks) walk.addressesTo(addresses)
    const tables = Float64Array.from(addresses).sort()
    for (let i = 0; i < this.#mappings.length; i++) {
      const mapping = this.#mappings.at(i)
      if (!mapping.verdict.writable) continue
      const first = lowerBound(tables, mapping.paddr)
      const count = lowerBound(tables, mapping.paddr + mapping.bytes) - first
      if (count === 0) continue
      const table = BigInt(tables[first] as number)
      this.report('maps-tables', {
        ...this.#at(mapping),
        table,
        message: `${this.#words(mapping)} may write ${count} of the tables, ${hex(table)} first`,
      })
    }
  }

  #at({ owner, iova }: Mapping): { place: string; iova: bigint } {
    return { place: this.#all[owner]?.name ?? '', iova: BigInt(iova) }
  }

  #words(mapping: Mapping): string {
    return `${hex(BigInt(mapping.iova))} → ${hex(BigInt(mapping.paddr))}, ${hex(mapping.bytes)} bytes (${flags(mapping)})`
  }
}

/** Checks tables in memory that reads at once; over a Blob: `image.loading(() => check.run())` with a {@link Check}. */
export function checkTables(tables: readonly Tables[], options: CheckOptions = {}): CheckResult {
  return new Check(tables, options).run()
}

function flags({ verdict }: Mapping): string {
  return protNames(verdict.prot).join(' ') || 'nothing granted'
}

/** Where the first value of at least `limit` is. */
function lowerBound(sorted: Float64Array, limit: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle]! < limit) low = middle + 1
    else high = middle
  }
  return low
}
