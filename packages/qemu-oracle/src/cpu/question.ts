/** What is asked of a walker, what it should answer, and where the two differ. */
import { type AnyFmt, hex, type IoPageTable, inputRanges, Prot, type Prot as ProtValue } from '@io-pgtable/core'
import type { Random } from '../machine/index.ts'
import type { Mapping, MappingModel } from './mappings.ts'
import { drawInput } from './mappings.ts'

/**
 * An access by the operating system or a program. `read` and `write` ask for the translation of one; `load`, `store` and `run`, which
 * fetches an instruction, are done, and answer whether they could be.
 */
export type Access = `${'priv' | 'user'} ${'read' | 'write' | 'load' | 'store' | 'run'}`

export function isWrite(access: Access): boolean {
  return access.endsWith('write') || access.endsWith('store')
}
export function isUser(access: Access): boolean {
  return access.startsWith('user')
}
export function isRun(access: Access): boolean {
  return access.endsWith('run')
}
/** Whether an answer has an address. */
export function isTranslation(access: Access): boolean {
  return access.endsWith('read') || access.endsWith('write')
}

export interface Question {
  readonly iova: bigint
  readonly access: Access
  /** More about it, for whoever reads a difference. */
  readonly note?: string
}

/** What a walker says: an address, and where it tells one, the memory type; or a fault, with the level where it tells one. */
export interface Answer {
  readonly paddr?: bigint
  readonly memory?: string
  readonly fault?: string
}

/** An address to ask about, and what the model has there. */
export interface Place {
  readonly iova: bigint
  readonly mapping: Mapping | undefined
}

/**
 * Addresses to ask about: first byte, last byte and one between of each of the mappings, and the two bytes beside it where nothing is
 * mapped; then `count` random addresses of the windows.
 */
export function drawPlaces<F extends AnyFmt>(
  table: IoPageTable<F>,
  model: MappingModel,
  mappings: readonly Mapping[],
  random: Random,
  count: number,
): readonly Place[] {
  const places: Place[] = []
  const ranges = inputRanges(table.geometry)
  const inside = (iova: bigint): boolean => ranges.some(({ first, last }) => iova >= first && iova <= last)
  const add = (iova: bigint): number => places.push({ iova, mapping: model.find(iova) })
  for (const { iova, size } of mappings) {
    for (const offset of [0n, BigInt(size) - 1n, random.below(BigInt(size))]) add(iova + offset)
    for (const beside of [iova - 1n, iova + BigInt(size)]) if (inside(beside) && model.find(beside) === undefined) add(beside)
  }
  for (let left = count; left > 0; left--) add(drawInput(random, table.geometry))
  return places
}

/** Where the answers are not what was expected, in words. A part that the expectation leaves open is not compared. */
export function differences(questions: readonly Question[], expected: readonly Answer[], answers: readonly Answer[]): readonly string[] {
  return questions.flatMap(({ iova, access, note }, i) => {
    const want = expected[i] ?? {}
    const got = answers[i] ?? {}
    const same = want.paddr === got.paddr && want.fault === got.fault && (want.memory === undefined || want.memory === got.memory)
    return same
      ? []
      : [
          `${access} at ${hex(iova)}${note === undefined ? '' : ` (${note})`}: ${describeAnswer(want)} expected, ${describeAnswer(got)} found`,
        ]
  })
}

export function describeAnswer({ paddr, memory, fault }: Answer): string {
  if (fault !== undefined) return `${fault} fault`
  return `${paddr === undefined ? 'nothing' : hex(paddr)}${memory === undefined ? '' : `, ${memory}`}`
}

/** The engine's own answers, by its two ways: the hot translation and the cold walk. Both are held to the model. */
export function engineDifferences<F extends AnyFmt>(table: IoPageTable<F>, places: readonly Place[]): readonly string[] {
  return places.flatMap(({ iova, mapping }) => {
    const want = mapping && mapping.paddr + (iova - mapping.iova)
    const got = table.iovaToPhys(iova)
    return got === want ? [] : [`engine at ${hex(iova)}: ${want && hex(want)} expected, ${got && hex(got)} found`]
  })
}

/** All combinations of these flags, over what is always set. */
export function combinations(always: ProtValue, ...flags: readonly ProtValue[]): readonly ProtValue[] {
  return flags.reduce<readonly ProtValue[]>((all, flag) => all.flatMap((prot) => [prot, prot | flag]), [always])
}

export const READ_AND_MAYBE_MORE: readonly ProtValue[] = combinations(Prot.READ, Prot.WRITE, Prot.PRIV, Prot.NOEXEC, Prot.CACHE).concat(
  combinations(Prot.READ | Prot.MMIO, Prot.WRITE, Prot.PRIV),
)
