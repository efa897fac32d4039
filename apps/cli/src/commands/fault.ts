/** `iopt fault`: a fault record, decoded; with an image, the walk of its address. */
import { hex } from '@io-pgtable/core'
import {
  decodeRiscvFault,
  decodeSmmuv3Event,
  decodeVtdFault,
  type FaultRecord,
  hindsight,
  type Translation,
  translate,
  translationJson,
} from '@io-pgtable/inspect'
import type { Command } from 'commander'
import type { Io } from '../io.ts'
import { examples, imageOptions, jsonOption, tableOptions } from '../options.ts'
import { openTargets, optionName, type Target, type TargetOptions, targetName } from '../targets.ts'
import { columns, findingLine, translationLines } from '../text.ts'
import { integer, UsageError } from '../usage.ts'

const DECODERS: Readonly<Record<string, (words: readonly bigint[]) => FaultRecord>> = {
  smmuv3: decodeSmmuv3Event,
  vtd: decodeVtdFault,
  riscv: decodeRiscvFault,
}

interface Options extends TargetOptions {
  readonly json?: true
}

export function addFault(program: Command, io: Io): void {
  const command = program
    .command('fault')
    .argument('<iommu>', Object.keys(DECODERS).join(', '))
    .argument('<words...>', 'the record, in words of 64 or 32 bits, the first one first', (text, before: bigint[] | undefined) => [
      ...(before ?? []),
      integer(text),
    ])
    .description('decodes a fault record; with an image and registers, walks its address, too')
    .action((name: string, words: bigint[], options: Options) => run(io, name, words, options))
  jsonOption(tableOptions(imageOptions(command)), 'one object: the record, and with an image the translation')
  examples(
    command,
    'iopt fault smmuv3 0x0000000800000010 0x0000020800000000 0xffeba000 0',
    'iopt fault vtd 0xffebc000 0x8000000500000008 --image vmcore --rtaddr 0x564d000',
  )
}

/** What the tables say of a fault. */
interface Walked {
  readonly target: Target
  readonly translation: Translation
  readonly verdict: string
}

async function run(io: Io, name: string, words: readonly bigint[], options: Options): Promise<void> {
  const decoder = Object.hasOwn(DECODERS, name) ? DECODERS[name] : undefined
  if (decoder === undefined) throw new UsageError(`there is no decoder for ${name}: ${Object.keys(DECODERS).join(', ')}`)
  const record = decoder(words)
  if (options.image === undefined) refuseWithoutImage(options)
  const walked = options.image === undefined ? [] : await walk(io, name, record, options)
  if (options.json) io.out(`${JSON.stringify(recordJson(record, walked))}\n`)
  else io.out(`${[...recordLines(record, io), ...walked.flatMap((each) => walkedLines(each, io))].join('\n')}\n`)
}

/** Options that say where tables are are of no use without the memory. */
function refuseWithoutImage(options: Options): void {
  const { json: _, ...others } = options
  const [name] = Object.keys(others)
  if (name !== undefined) throw new UsageError(`--${optionName(name)} goes with --image FILE: the memory in which the tables are`)
}

async function walk(io: Io, name: string, record: FaultRecord, options: Options): Promise<readonly Walked[]> {
  const { sid, pasid, iova, access } = record
  const selected = { ...options, sid: BigInt(sid), ...(pasid !== undefined && { pasid: BigInt(pasid) }) }
  const { targets, image, findings, scan } = await openTargets(name, selected)
  for (const finding of findings) io.err(`${findingLine(finding, io.errColor)}\n`)
  for (const stream of scan?.streams ?? []) if (stream.stages.length === 0) io.err(`sid ${sid}: ${stream.config}\n`)
  if (iova === undefined) return []
  const reached = targets.filter(({ tables }) => iova >= tables.first && iova <= tables.last)
  if (reached.length === 0) io.err(`sid ${sid}: no tables translate ${hex(iova)}\n`)
  return Promise.all(
    reached.map(async (target) => {
      const translation = await image.loading(() => translate(target.tables, iova))
      return { target, translation, verdict: hindsight(target.tables, translation, access) }
    }),
  )
}

function recordLines(record: FaultRecord, { color }: Io): string[] {
  const { name, meaning, sid, pasid, iova, ipa, fetch, stage, access, stalled, manual, fields, reserved } = record
  const facts = [
    ['device', `${sid}${pasid === undefined ? '' : `, pasid ${pasid}`}`],
    ...(iova === undefined ? [] : [['address', hex(iova)]]),
    ...(ipa === undefined ? [] : [['between the stages', hex(ipa)]]),
    ...(fetch === undefined ? [] : [['read at', hex(fetch)]]),
    ...(stage === undefined ? [] : [['stage', `${stage}`]]),
    ...(Object.keys(access).length === 0 ? [] : [['access', accessText(record)]]),
    ...(stalled === true ? [['stalled', 'it waits for an answer']] : []),
  ]
  return [
    `${color.bold(name)}: ${color.red(meaning)}`,
    color.dim(manual),
    ...columns(facts.map(([what = '', text = '']) => [`  ${what}`, text])),
    '',
    ...columns(fields.map((field) => [`  ${field.bits.join(',')}`, field.name, hex(field.value), field.meaning ?? field.doc])),
    ...(reserved === 0n ? [] : [color.yellow(`  reserved bits are set: ${hex(reserved)}`)]),
  ]
}

function accessText({ access: { write, execute, privileged } }: FaultRecord): string {
  const what = execute === true ? 'instruction fetch' : write === true ? 'write' : write === false ? 'read' : 'request'
  return `${privileged === undefined ? '' : privileged ? 'privileged ' : 'unprivileged '}${what}`
}

function walkedLines({ target, translation, verdict }: Walked, { color }: Io): string[] {
  return ['', `${color.dim(targetName(target))} ${translationLines(translation, color).join('\n')}`, `  ${color.bold('so')}: ${verdict}`]
}

function recordJson(record: FaultRecord, walked: readonly Walked[]): object {
  const { manual: _, raw: __, fields, iova, ipa, fetch, reserved, ...rest } = record
  const addresses = Object.entries({ iova, ipa, fetch, reserved }).filter(([, value]) => value !== undefined)
  return {
    ...rest,
    ...Object.fromEntries(addresses.map(([name, value]) => [name, hex(value as bigint)])),
    fields: Object.fromEntries(fields.map(({ name, value }) => [name, hex(value)])),
    ...(walked.length > 0 && {
      walks: walked.map(({ target, translation, verdict }) => ({ tables: targetName(target), ...translationJson(translation), verdict })),
    }),
  }
}
