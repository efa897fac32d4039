/** The tables that a fault record is about, walked: by the registers of its IOMMU, or of the CPU's or GPU's format. */
import { hex } from '@io-pgtable/core'
import { type FaultReport, type Finding, judgeFault, type TranslateOptions, type Translation, translate } from '@io-pgtable/inspect'
import { FORMATS } from './formats.ts'
import { IOMMUS, openTargets, type Target, type TargetOptions, type Targets } from './targets.ts'
import { UsageError } from './usage.ts'

export interface Walked {
  readonly target: Target
  readonly translation: Translation
}

export interface FaultWalk {
  readonly walks: readonly Walked[]
  /** Whether tables and record say the same; undefined where the tables cannot tell. */
  readonly agrees: boolean | undefined
  /** Why, in a sentence; empty where there is nothing to say. */
  readonly text: string
  readonly findings: readonly Finding[]
}

/** Which IOMMU's registers find the tables of a record. */
const IOMMU_OF: Readonly<Record<string, string>> = { smmuv3: 'smmuv3', vtd: 'vtd', amdvi: 'amdvi', 'riscv-iommu': 'riscv' }

/** Which formats a record can be about, the usual one first. */
function formatsOf({ kind, facts, fault, fields }: FaultReport): readonly string[] {
  const value = (name: string): bigint | undefined => fields.find((field) => field.name === name)?.value
  switch (kind) {
    case 'arm64':
      return fault.stage === 2 ? ['arm64-lpae-s2'] : ['arm64-lpae-s1']
    case 'armv7':
      return value('LPAE') === 1n ? ['arm32-lpae-s1'] : ['arm-v7s']
    case 'smmuv2':
      return [['arm-v7s', 'arm32-lpae-s1', 'arm64-lpae-s1'][Number(value('FORMAT'))] ?? 'arm64-lpae-s1']
    case 'x86':
      return ['x86_64']
    case 'riscv-cpu':
      return fault.stage === 2 ? ['riscv64-g'] : ['riscv64']
    case 'ept':
      return ['x86-ept']
    case 'mali':
      return ['arm-mali-lpae']
    case 'dart':
      return facts.layout === 't8110' ? ['apple-dart2'] : ['apple-dart']
    case 'amdgpu':
      return ['amdgpu-gfx9']
    case 'nvidia':
      return ['nvidia-gmmu-v2']
    default:
      return [kind]
  }
}

/** Walks the address of a record. @param format the tables' format, in place of the usual one. @throws UsageError */
export async function walkFault(report: FaultReport, options: TargetOptions, format: string | undefined): Promise<FaultWalk> {
  const iommu = IOMMU_OF[report.kind]
  if (iommu !== undefined && format === undefined) return walkStream(report, await openTargets(iommu, selected(report, options)))
  const name = format ?? formatsOf(report).find((id) => FORMATS.some(({ FORMAT }) => FORMAT === id))
  if (name === undefined || Object.hasOwn(IOMMUS, name))
    throw new UsageError(`the format of the tables is needed: --format NAME, see iopt formats`)
  return walkTargets(report, await openTargets(name, options))
}

function selected({ sid, pasid }: FaultReport, options: TargetOptions): TargetOptions {
  return { ...options, ...(sid !== undefined && { sid: BigInt(sid) }), ...(pasid !== undefined && { pasid: BigInt(pasid) }) }
}

/** Of an IOMMU: the stream's tables, or what is said of it where it has none. */
async function walkStream(report: FaultReport, found: Targets): Promise<FaultWalk> {
  const { scan, targets, findings } = found
  const streams = scan?.streams ?? []
  const of = `the stream ${hex(BigInt(report.sid ?? 0))}`
  if (report.fault.type === 'bad-stream') {
    const agrees = streams.every(({ config }) => config === 'bad-stream')
    return { walks: [], agrees, text: `${of} has ${agrees ? 'no' : 'an'} entry in the tables`, findings }
  }
  if (targets.length === 0) {
    const none = streams.every(({ config }) => config === 'bad-stream')
    const text = none ? `${of} has no entry in the tables` : `${of}: ${streams.map(({ config }) => config).join(', ')}`
    return { walks: [], agrees: undefined, text, findings }
  }
  return walkTargets(report, found)
}

async function walkTargets(report: FaultReport, { image, targets, findings }: Targets): Promise<FaultWalk> {
  const { iova, type } = { iova: report.access.iova, type: report.fault.type }
  if (iova === undefined) return { walks: [], agrees: undefined, text: 'without an address there is nothing to walk', findings }
  if (type === 'bad-config' || type === 'blocked') return { walks: [], agrees: undefined, text: '', findings }
  const walks: Walked[] = []
  const judged: { readonly agrees: boolean; readonly text: string; readonly stage: number | undefined }[] = []
  let address: bigint | undefined = iova
  for (const target of inOrder(targets, iova)) {
    const { stage } = target.tables
    const isSecond = stage === 2 && walks.length > 0
    const at: bigint | undefined = isSecond ? (report.ipa ?? address) : address
    if (at === undefined) break
    const translation: Translation = await image.loading(() => translate(target.tables, at, accessAsked(report)))
    walks.push({ target, translation })
    judged.push({ ...(await image.loading(() => judgeFault(target.tables, report, at))), stage })
    address = translation.paddr
  }
  const own = judged.filter(({ stage }) => stage === undefined || report.fault.stage === undefined || stage === report.fault.stage)
  const decisive = own.length > 0 ? own : judged
  const verdict = decisive.find(({ agrees }) => agrees) ?? decisive.at(-1)
  return { walks, agrees: verdict?.agrees, text: verdict?.text ?? `no tables translate ${hex(iova)}`, findings }
}

/** The access of a record, as a translation asks about it; with a party that is not known, the privileged one. */
export function accessAsked({ access: { type, privileged = true } }: FaultReport): TranslateOptions {
  return type === undefined ? {} : { access: { access: type, privileged } }
}

/** Those that translate the address, stage 1 before stage 2; with none, the first one, which says why. */
function inOrder(targets: readonly Target[], iova: bigint): readonly Target[] {
  const first = targets.filter(({ tables }) => tables.stage !== 2 && iova >= tables.first && iova <= tables.last)
  const second = targets.filter(({ tables }) => tables.stage === 2)
  const all = [...first.slice(0, 1), ...second.slice(0, 1)]
  return all.length > 0 ? all : targets.slice(0, 1)
}
