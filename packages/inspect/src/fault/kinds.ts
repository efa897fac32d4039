/** All kinds of fault records: how each is written on a command line, and who decodes it. */
import { IoPgtableError } from '@io-pgtable/core'
import { AMDGPU_GENERATIONS, decodeAmdgpuFault } from './amdgpu.ts'
import { decodeAmdViEvent } from './amdvi.ts'
import { decodeArm64Fault } from './arm64.ts'
import { decodeArmv7Fault } from './armv7.ts'
import { DART_LAYOUTS, decodeDartFault } from './dart.ts'
import { decodeMaliFault } from './mali.ts'
import { decodeNvidiaFault } from './nvidia.ts'
import { type FaultReport, number, numbers } from './report.ts'
import { decodeRiscvTrap } from './riscv-cpu.ts'
import { decodeRiscvIommuFault } from './riscv-iommu.ts'
import { decodeSmmuv2Fault } from './smmuv2.ts'
import { decodeSmmuv3Event } from './smmuv3.ts'
import { decodeVtdFault } from './vtd.ts'
import { decodeEptViolation, decodeX86Fault } from './x86.ts'

export interface FaultKind {
  /** As in commands: `smmuv3`. */
  readonly kind: string
  readonly aliases: readonly string[]
  /** What its words are, for usage texts. */
  readonly words: string
  /** Register layouts that `layout` chooses from. */
  readonly layouts: readonly string[]
  /** @throws `EINVAL` */
  decode(words: readonly string[], layout: string | undefined): FaultReport
}

type Decode = (words: readonly bigint[], layout?: string) => FaultReport

/** A record of as many words as its decoder says. */
function ofRecord(kind: string, words: string, decode: Decode, ...aliases: readonly string[]): FaultKind {
  return { kind, aliases, words, layouts: [], decode: (texts) => decode(texts.map((text) => number(`fault ${kind}`, text))) }
}

/** Registers, of which the last may be unknown. */
function ofRegisters(
  kind: string,
  words: string,
  [least, most]: readonly [number, number],
  decode: Decode,
  layouts: readonly string[] = [],
): FaultKind {
  return {
    kind,
    aliases: [],
    words,
    layouts,
    decode: (texts, layout) => decode(numbers(`fault ${kind}`, texts, words, least, most), layout),
  }
}

export const FAULT_KINDS: readonly FaultKind[] = [
  ofRecord('smmuv3', 'four words of 64 bits, or eight of 32', decodeSmmuv3Event),
  ofRegisters('smmuv2', 'FSR FSYNR0 FAR [CBFRSYNRA]', [3, 4], decodeSmmuv2Fault),
  ofRecord('vtd', 'two words of 64 bits, or four of 32', decodeVtdFault),
  ofRecord('amdvi', 'two words of 64 bits, or four of 32', decodeAmdViEvent),
  ofRecord('riscv-iommu', 'four words of 64 bits, or eight of 32', decodeRiscvIommuFault, 'riscv'),
  ofRegisters('arm64', 'ESR [FAR]', [1, 2], decodeArm64Fault),
  ofRegisters('armv7', 'FSR [FAR]', [1, 2], decodeArmv7Fault),
  ofRegisters('x86', 'ERROR [CR2]', [1, 2], decodeX86Fault),
  ofRegisters('riscv-cpu', 'SCAUSE [STVAL]', [1, 2], decodeRiscvTrap),
  ofRegisters('ept', 'QUALIFICATION [GPA]', [1, 2], decodeEptViolation),
  ofRegisters('mali', 'STATUS [ADDRESS]', [1, 2], decodeMaliFault),
  ofRegisters('dart', 'STATUS [ADDRESS]', [1, 2], decodeDartFault, DART_LAYOUTS),
  ofRegisters('amdgpu', 'STATUS [ADDRESS]', [1, 2], decodeAmdgpuFault, AMDGPU_GENERATIONS),
  { kind: 'nvidia', aliases: [], words: 'TYPE [ADDRESS]', layouts: [], decode: decodeNvidiaFault },
]

/** The kind of that name or alias. */
export function faultKind(name: string): FaultKind | undefined {
  return FAULT_KINDS.find(({ kind, aliases }) => kind === name || aliases.includes(name))
}

/**
 * Decodes a record: words as in a command line.
 * @param layout the register layout, of kinds that have several
 * @throws `EINVAL` for a kind, words or a layout that are not known
 */
export function decodeFault(kind: string, words: readonly string[], layout?: string): FaultReport {
  const found = faultKind(kind)
  if (found === undefined) {
    const all = FAULT_KINDS.map((each) => each.kind).join(', ')
    throw new IoPgtableError('EINVAL', 'fault', `kind ${kind}: ${all} expected`)
  }
  if (layout !== undefined && found.layouts.length === 0)
    throw new IoPgtableError('EINVAL', `fault ${kind}`, `layout ${layout}: this record has one layout`)
  return found.decode(words, layout)
}
