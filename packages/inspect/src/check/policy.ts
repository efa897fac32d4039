/** What a check forbids beyond what hardware does: severities, and ranges, from a JSON text. */
import { Prot } from '@io-pgtable/core'
import type { Severity } from '../finding.ts'
import { type JsonValue, parseJson, rangeOf } from '../json-text.ts'
import { type CheckCode, isCheckCode } from './codes.ts'

/** A range that no mapping may touch; of input addresses, or of physical ones. */
export interface ForbiddenRange {
  readonly name: string
  readonly space: 'iova' | 'paddr'
  readonly first: bigint
  readonly last: bigint
  /** Only mappings that grant one of these flags are forbidden. Default: all. */
  readonly prot?: Prot
}

export interface CheckPolicy {
  /** Other severities than those of the codes; `off`: not reported. */
  readonly severity?: Readonly<Partial<Record<CheckCode, Severity | 'off'>>>
  readonly forbidden?: readonly ForbiddenRange[]
  /** The least severity that makes a command fail. Default `error`. */
  readonly failOn?: Severity
}

const SEVERITIES: readonly Severity[] = ['error', 'warning', 'note']

/**
 * Reads a policy:
 * `{ "severity": { "table-shared": "off" }, "failOn": "warning",
 *    "forbidden": [{ "name": "secure world", "paddr": "0xe000000", "size": "16M", "prot": ["WRITE"] }] }`.
 * @throws `EBADMSG` with line and column
 */
export function parsePolicy(text: string, name = 'policy'): CheckPolicy {
  const { severity, forbidden, failOn } = parseJson(text, name).object(['severity', 'forbidden', 'failOn'])
  return {
    ...(severity && { severity: severities(severity) }),
    ...(forbidden && { forbidden: forbidden.array().map(forbiddenRange) }),
    ...(failOn && { failOn: failOn.oneOf(SEVERITIES) }),
  }
}

function severities(value: JsonValue): Readonly<Partial<Record<CheckCode, Severity | 'off'>>> {
  return Object.fromEntries(
    value.entries().map(([code, severity]) => {
      if (!isCheckCode(code)) throw severity.error(`there is no finding ${JSON.stringify(code)}`)
      return [code, severity.oneOf([...SEVERITIES, 'off'])]
    }),
  )
}

function forbiddenRange(value: JsonValue): ForbiddenRange {
  const { name, iova, paddr, size, prot } = value.object(['name', 'iova', 'paddr', 'size', 'prot'])
  const start = iova ?? paddr
  if (start === undefined || (iova !== undefined && paddr !== undefined)) throw value.error('either "iova" or "paddr" expected')
  if (size === undefined) throw value.error('"size" expected')
  const flags = prot?.prot()
  if (flags === 0) throw (prot as JsonValue).error('a flag expected; without "prot" every mapping is forbidden')
  return {
    name: name?.string() ?? value.path,
    space: iova === undefined ? 'paddr' : 'iova',
    ...rangeOf(start, size),
    ...(flags !== undefined && { prot: flags }),
  }
}

/** Every flag. */
export const ANY_PROT: Prot = Object.values(Prot).reduce((all, flag) => all | flag, 0)
