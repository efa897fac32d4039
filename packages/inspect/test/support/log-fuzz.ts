/** Spoilt logs: nothing is thrown, records stay JSON, walks throw nothing but what is documented. */
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { IoPgtableError } from '@io-pgtable/core'
import { riscv64 } from '@io-pgtable/riscv64'
import { x8664 } from '@io-pgtable/x86-64'
import { judgeFault } from '../../src/fault/judge.ts'
import { faultReportJson } from '../../src/fault/report.ts'
import { type LogRecord, scanLog } from '../../src/log/scanner.ts'
import { loggedTables } from '../../src/log/sparse.ts'
import { SAMPLES } from './logs.ts'

const FORMATS = { 'arm64-stage1': arm64LpaeS1, 'riscv-stage1': riscv64, 'x86-first-stage': x8664 }
const CHARACTERS = ' 0123456789abcdefxABCDEF[]()=:,.>\t\u0000\u{1F600}'

/** Makes and reads `count` logs. */
export function fuzzLogs(rnd: () => number, count: number): void {
  for (let i = 0; i < count; i++) for (const record of scanLog(spoilt(rnd))) look(record)
}

/** Some samples one behind the other, with lines and characters changed. */
function spoilt(rnd: () => number): string {
  const pick = <T>(list: readonly T[]): T => list[rnd() % list.length] as T
  const lines = Array.from({ length: 1 + (rnd() % 3) }, () => pick(SAMPLES).text.split('\n')).flat()
  for (let edits = rnd() % 6; edits > 0; edits--) {
    const at = rnd() % lines.length
    const line = lines[at] ?? ''
    const from = rnd() % (line.length + 1)
    const edit = rnd() % 5
    if (edit === 0) lines.splice(at, 1)
    else if (edit === 1) lines.splice(rnd() % lines.length, 0, line)
    else if (edit === 2) lines[at] = `${line.slice(0, from)}\n${line.slice(from)}`
    else if (edit === 3) lines[at] = line.slice(0, from) + line.slice(from + (rnd() % 8))
    else lines[at] = `${line.slice(0, from)}${[...CHARACTERS][rnd() % [...CHARACTERS].length]}${line.slice(from + (rnd() & 1))}`
    if (lines.length === 0) lines.push('')
  }
  return lines.join('\n')
}

function look({ report, walk, leaves = [] }: LogRecord): void {
  JSON.stringify(faultReportJson(report))
  const { iova = 0n } = report.access
  for (const each of [...(walk === undefined ? [] : [{ ...walk, iova }]), ...leaves]) {
    try {
      const found = loggedTables(each, each.iova, FORMATS)
      if (found !== undefined) judgeFault(found.tables, report, each.iova, false)
    } catch (error) {
      if (!(error instanceof IoPgtableError)) throw error
    }
  }
}
