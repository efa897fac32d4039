/** What `iopt log` does with each record. */
import { createReadStream } from 'node:fs'
import { IoPgtableError } from '@io-pgtable/core'
import { judgeFault, type LogFormats, type LogRecord, LogScanner, loggedTables, translate } from '@io-pgtable/inspect'
import { accessAsked, type FaultWalk, walkFault } from '../fault-walk.ts'
import { FORMATS } from '../formats.ts'
import type { Io } from '../io.ts'
import { linesOf } from '../log-lines.ts'
import { optionName, type TargetOptions } from '../targets.ts'
import { findingLine } from '../text.ts'
import { UsageError } from '../usage.ts'
import { reportJson, summaryLines, walkedLines } from './fault-run.ts'

export interface LogOptions extends TargetOptions {
  readonly json?: true
  readonly format?: string
}

const format = (id: string): (typeof FORMATS)[number] | undefined => FORMATS.find(({ FORMAT }) => FORMAT === id)

/** Whose entries a log prints. */
const ROLES: LogFormats = Object.fromEntries(
  Object.entries({
    'arm64-stage1': 'arm64-lpae-s1',
    'arm32-stage1': 'arm32-lpae-s1',
    'arm-short': 'arm-v7s',
    'riscv-stage1': 'riscv64',
    'riscv32-stage1': 'sv32',
    'x86-first-stage': 'x86_64',
    'x86-32': 'x86-32',
    'vtd-second-stage': 'vtdss',
    'amd-host': 'amdv1',
  }).flatMap(([role, id]) => {
    const found = format(id)
    return found === undefined ? [] : [[role, found]]
  }),
)

export async function runLog(io: Io, file: string | undefined, options: LogOptions): Promise<void> {
  if (options.image === undefined) refuseWithoutImage(options)
  const scanner = new LogScanner()
  const stream = file === undefined ? process.stdin : createReadStream(file)
  let records = 0
  const tell = async (found: readonly LogRecord[]): Promise<void> => {
    for (const record of found) await tellRecord(io, record, options, records++)
  }
  for await (const lines of linesOf(stream))
    for (const line of lines) {
      const found = scanner.push(line)
      if (found.length > 0) await tell(found)
    }
  await tell(scanner.end())
  if (records === 0) io.err('no fault records were found\n')
}

/** Options that say where tables are are of no use without the memory. */
function refuseWithoutImage({ json: _, ...others }: LogOptions): void {
  const [name] = Object.keys(others)
  if (name !== undefined) throw new UsageError(`--${optionName(name)} goes with --image FILE: the memory in which the tables are`)
}

async function tellRecord(io: Io, record: LogRecord, options: LogOptions, before: number): Promise<void> {
  const walked = (await walkedByImage(io, record, options)) ?? walkedByEntries(record)
  const { line, report, missing } = record
  if (options.json) io.out(`${JSON.stringify({ line, ...reportJson(report, walked), ...(missing.length > 0 && { missing }) })}\n`)
  else {
    const lack = missing.length === 0 || report.name === 'incomplete' ? [] : [io.color.yellow(`  missing: ${missing.join(', ')}`)]
    const head = `${before === 0 ? '' : '\n'}${io.color.dim(`line ${line}, ${report.kind}`)}`
    io.out(`${[head, ...summaryLines(report, io), ...walkedLines(walked, io), ...lack].join('\n')}\n`)
  }
}

async function walkedByImage(io: Io, { report, line }: LogRecord, options: LogOptions): Promise<FaultWalk | undefined> {
  if (options.image === undefined || report.access.iova === undefined) return undefined
  const { json: _, format: own, ...target } = options
  try {
    const walked = await walkFault(report, target, own)
    for (const finding of walked.findings) io.err(`${findingLine(finding, io.errColor)}\n`)
    return walked
  } catch (error) {
    // the registers are of one kind of record, and a log may hold others
    if (!(error instanceof UsageError || error instanceof IoPgtableError)) throw error
    io.err(`line ${line}, ${report.kind}: not walked: ${error.message}\n`)
    return undefined
  }
}

/** Registers of memory types are not in logs: no memory type is named. */
function walkedByEntries(record: LogRecord): FaultWalk | undefined {
  const { report, walk, leaves } = record
  const { iova } = report.access
  if (leaves !== undefined) {
    const walks = leaves.flatMap((leaf) => {
      const found = loggedTables(leaf, leaf.iova, ROLES)
      if (found === undefined) return []
      const { memory: _, ...translation } = translate(found.tables, leaf.iova)
      return [{ target: { tables: found.tables }, translation }]
    })
    return { walks, agrees: undefined, text: '', findings: [] }
  }
  if (walk === undefined || iova === undefined) return undefined
  try {
    const found = loggedTables(walk, iova, ROLES)
    if (found === undefined) return undefined
    const { tables, missing } = found
    const { memory: _, ...translation } = translate(tables, iova, accessAsked(report))
    const walks = [{ target: { tables }, translation }]
    if (missing !== undefined)
      return { walks, agrees: undefined, text: `the log does not have ${missing}, with which the walk goes on`, findings: [] }
    const { agrees, text } = judgeFault(tables, report, iova, false)
    return { walks, agrees, text, findings: [] }
  } catch (error) {
    if (!(error instanceof IoPgtableError)) throw error
    return { walks: [], agrees: undefined, text: `the entries of the log cannot be walked: ${error.message}`, findings: [] }
  }
}
