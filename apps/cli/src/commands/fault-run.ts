/** What `iopt fault` does with a record; `iopt log` does it with each that it finds. */
import { hex } from '@io-pgtable/core'
import { busDeviceFunction, decodeFault, type FaultReport, faultKind, faultReportJson, translationJson } from '@io-pgtable/inspect'
import { type FaultWalk, type Walked, walkFault } from '../fault-walk.ts'
import type { Io } from '../io.ts'
import { optionName, type TargetOptions, targetName } from '../targets.ts'
import { columns, findingLine, translationLines } from '../text.ts'
import { UsageError } from '../usage.ts'

export interface FaultOptions extends TargetOptions {
  readonly json?: true
  readonly layout?: string
  readonly format?: string
}

export async function runFault(io: Io, name: string, words: readonly string[], options: FaultOptions): Promise<void> {
  if (faultKind(name) === undefined) decodeFault(name, words)
  const report = decodeFault(name, words, options.layout)
  if (options.image === undefined) refuseWithoutImage(options)
  const { json, layout: _, format, ...target } = options
  const walked = options.image === undefined ? undefined : await walkFault(report, target, format)
  for (const finding of walked?.findings ?? []) io.err(`${findingLine(finding, io.errColor)}\n`)
  if (json) io.out(`${JSON.stringify(reportJson(report, walked))}\n`)
  else io.out(`${[...reportLines(report, io), ...walkedLines(walked, io)].join('\n')}\n`)
}

/** Options that say where tables are are of no use without the memory. */
function refuseWithoutImage({ json: _, layout: __, ...others }: FaultOptions): void {
  const [name] = Object.keys(others)
  if (name !== undefined) throw new UsageError(`--${optionName(name)} goes with --image FILE: the memory in which the tables are`)
}

/** The object of one record. */
export function reportJson(report: FaultReport, walked: FaultWalk | undefined): object {
  const { explanation, ...record } = faultReportJson(report)
  if (walked === undefined) return { ...record, explanation }
  return {
    ...record,
    walks: walked.walks.map(({ translation }) => translationJson(translation)),
    ...(walked.agrees !== undefined && { agrees: walked.agrees }),
    explanation: [explanation, walked.text].filter((text) => text !== '').join('; '),
  }
}

/** The record as people read it. */
export function reportLines(report: FaultReport, io: Io): string[] {
  return [...summaryLines(report, io), ...fieldLines(report, io)]
}

/** What it says; without its fields. */
export function summaryLines(report: FaultReport, { color }: Io): string[] {
  const { name, explanation, sid, pasid, access, ipa, fault, facts, manual } = report
  const { level, stage } = fault
  const told = [
    ...(sid === undefined ? [] : [['device', `${busDeviceFunction(sid)} (${sid})${pasid === undefined ? '' : `, pasid ${pasid}`}`]]),
    ...(access.iova === undefined ? [] : [['address', hex(access.iova)]]),
    ...(ipa === undefined ? [] : [['between the stages', hex(ipa)]]),
    ...(access.type === undefined ? [] : [['access', accessText(report)]]),
    ...(fault.type === undefined ? [] : [['fault', [fault.type, level === undefined ? '' : `level ${level}`].join(' ').trim()]]),
    ...(stage === undefined ? [] : [['stage', `${stage}`]]),
    ...Object.entries(facts).map(([fact, value]) => [fact, typeof value === 'bigint' ? hex(value) : String(value)]),
  ]
  return [
    `${color.bold(name)}: ${color.red(explanation)}`,
    color.dim(manual),
    ...columns(told.map(([what = '', text = '']) => [`  ${what}`, text])),
  ]
}

function fieldLines({ fields, reserved }: FaultReport, { color }: Io): string[] {
  return [
    '',
    ...columns(fields.map((field) => [`  ${field.bits.join(',')}`, field.name, hex(field.value), field.meaning ?? field.doc])),
    ...(reserved === 0n ? [] : [color.yellow(`  bits of no field are set: ${hex(reserved)}`)]),
  ]
}

function accessText({ access: { type, privileged } }: FaultReport): string {
  const what = type === 'execute' ? 'instruction fetch' : type
  return `${privileged === undefined ? '' : privileged ? 'privileged ' : 'unprivileged '}${what}`
}

/** The walks, and what follows from them. */
export function walkedLines(walked: FaultWalk | undefined, { color }: Io): string[] {
  if (walked === undefined) return []
  const lines = walked.walks.flatMap(({ target, translation }: Walked) => [
    '',
    `${color.dim(targetName(target))} ${translationLines(translation, color).join('\n')}`,
  ])
  return [...lines, ...(walked.text === '' ? [] : [`  ${color.bold('so')}: ${walked.text}`])]
}
