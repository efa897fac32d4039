/** One configuration of one format on one CPU: its tables, the questions about them, and the counts. */
import {
  type AnyFmt,
  type ConfigOf,
  type DecodedLeaf,
  decode,
  type EntryPlace,
  entrySpan,
  hex,
  IoPageTable,
  nodeOf,
  type Prot,
} from '@io-pgtable/core'
import { guestPool } from '../machine/guest-pool.ts'
import { type Outcome, type QtestClient, Random } from '../machine/index.ts'
import { type DrawOptions, drawMappings, type Mapping, MappingModel, mapSomewhere } from './mappings.ts'
import {
  type Access,
  type Answer,
  differences,
  drawPlaces,
  engineDifferences,
  isTranslation,
  type Place,
  type Question,
} from './question.ts'
import type { Ask, Entry, Flip, Leaf, Rules, Scramble, Spot, SpotQuestion } from './rules.ts'

/** The same in every run, so that the counts are. */
export const SEED = 0x109_a9e7_ab1en

/** What was found: see `Outcome`. */
export type Counts = Readonly<Record<'mappings' | 'translations' | 'faults' | 'wrong', number>>

/** Tables of random mappings in a guest's memory, and the model of them. */
export class Subject<F extends AnyFmt> {
  readonly table: IoPageTable<F>
  readonly model: MappingModel = new MappingModel()
  readonly random: Random
  readonly qtest: QtestClient
  readonly #rules: Rules
  readonly #others: Counts[] = []
  readonly #found = { translations: 0, faults: 0, wrong: 0 }

  constructor(qtest: QtestClient, memory: { readonly base: bigint; readonly size: number }, format: F, config: ConfigOf<F>, rules: Rules) {
    this.qtest = qtest
    this.random = new Random(SEED)
    this.#rules = rules
    const allocator = guestPool(qtest, memory)
    this.table = IoPageTable.createRaw(format, { allocator, ...config })
  }

  get counts(): Counts {
    return { mappings: this.model.list.length, ...this.#found }
  }

  /** The smallest page. */
  get granule(): number {
    const bitmap = this.table.config.pgsizeBitmap
    return Number(bitmap & -bitmap)
  }

  draw(options: Omit<DrawOptions, 'random'>): readonly Mapping[] {
    const before = this.model.list.length
    drawMappings(this.table, this.model, { ...options, count: before + options.count, random: this.random })
    return this.model.list.slice(before)
  }

  /** One mapping of the smallest size, somewhere. */
  place(paddr: bigint, prot: Prot): Mapping {
    return mapSomewhere(this.table, this.model, this.random, { paddr, size: this.granule, prot })
  }

  /** A mapping that the walks themselves need. */
  fix(mapping: Mapping): void {
    this.table.map(mapping.iova, mapping.paddr, mapping.size, mapping.prot)
    this.model.add(mapping)
  }

  /** Places in mappings and beside them; the engine itself agrees with the model on each. @throws `Error` where it does not */
  spots(more: number, mappings: readonly Mapping[] = this.model.list): readonly Spot[] {
    const places = drawPlaces(this.table, this.model, mappings, this.random, more)
    fail(engineDifferences(this.table, places))
    return places.map((place) => this.#spot(place))
  }

  /** The same places at multiples of `align` bytes. */
  aligned(spots: readonly Spot[], align: bigint): readonly Spot[] {
    return spots.map((spot) => ({ ...spot, iova: spot.iova & ~(align - 1n) }))
  }

  /** A place in each of some mappings, at a multiple of `align` bytes. */
  spotsIn(mappings: readonly Mapping[], align: bigint): readonly Spot[] {
    return mappings.map((mapping) => {
      const offset = this.random.below(BigInt(mapping.size) / align) * align
      return this.#spot({ iova: mapping.iova + offset, mapping })
    })
  }

  /** Asks for each place with each access, and counts the answers. @throws `Error` that lists the first differences */
  async check(spots: readonly Spot[], ask: Ask, accesses: readonly Access[] = this.#rules.accesses): Promise<void> {
    const questions = cross(spots, accesses)
    await this.expect(
      questions,
      questions.map((question) => this.#expected(question)),
      ask,
    )
  }

  /** Asks, and counts the answers, which must be these. @throws `Error` that lists the first differences */
  async expect(questions: readonly Question[], expected: readonly Answer[], ask: Ask): Promise<void> {
    fail(differences(questions, expected, await this.#ask(questions, ask)))
    const faults = expected.filter(({ fault }) => fault !== undefined).length
    this.#found.faults += faults
    this.#found.translations += expected.length - faults
  }

  /**
   * Makes descriptors wrong in the guest's memory, one after the other. Before, all answers are right. `prepare`: as of a `Scramble`.
   * @throws `Error` for a flip that no answer tells of
   */
  async catchFlips(
    flips: readonly Flip[],
    ask: Ask,
    { among = this.model.list, prepare }: Pick<Scramble, 'among' | 'prepare'> = {},
  ): Promise<void> {
    const cases = flips.map((flip) => ({ flip, spot: this.#showing(flip, among) }))
    prepare?.(cases.map(({ spot }) => physicalOf(spot)))
    for (const { flip, spot } of cases) await this.check([spot], ask, flip.accesses)
    for (const { flip, spot } of cases) {
      const entry = this.table.walk(spot.iova).at(flip.entry === 'table' ? -2 : -1)
      if (entry === undefined) throw new Error(`${flip.what}: no such entry`)
      const questions = cross([spot], flip.accesses ?? this.#rules.accesses)
      const expected = questions.map((question) => this.#expected(question))
      this.writeEntry(entry, entry.raw ^ flip.mask)
      const answers = await this.#ask(questions, ask)
      this.writeEntry(entry, entry.raw)
      if (differences(questions, expected, answers).length === 0)
        throw new Error(`${flip.what}, ${hex(flip.mask)} of ${hex(entry.raw)}: the walker does not see it`)
      this.#found.wrong++
    }
  }

  /** A place in a mapping of the smallest size that shows a flip. */
  #showing({ what, shows = () => true }: Flip, among: readonly Mapping[]): Spot {
    const [spot] = this.spotsIn([this.random.pick(among.filter((mapping) => mapping.size === this.granule && shows(mapping)))], 16n)
    if (spot === undefined) throw new Error(`${what}: no mapping shows it`)
    return spot
  }

  /**
   * Gives leaves random bits, in the guest's memory alone, and asks about them: the answers must be what our decoder reads. The leaves are
   * as they were afterwards.
   */
  async scramble(scramble: Scramble, ask: Ask): Promise<void> {
    const { count, among = this.model.list, align = 8n, accesses = this.#rules.accesses } = scramble
    const entries = new Map<bigint, { readonly old: Leaf; readonly entry: Entry; readonly spot: Spot }>()
    const spots = this.spotsIn(
      Array.from({ length: count }, () => this.random.pick(among)),
      align,
    )
    for (const spot of spots) {
      const old = this.table.walk(spot.iova).at(-1)
      if (old?.type !== 'leaf') throw new Error(`${hex(spot.iova)} is not mapped`)
      const entry = this.#scrambled(old, scramble)
      this.writeEntry(old, entry.raw)
      entries.set(addressOf(old), { old, entry, spot })
    }
    const leaves = [...entries.values()].filter(({ entry }) => entry.type === 'leaf')
    scramble.prepare?.(leaves.map(({ entry, spot }) => translated(entry as Leaf, spot.iova)))
    const asked = [...entries.values()].flatMap(({ entry, spot }) =>
      accesses.map((access) => ({ entry, access, iova: spot.iova, note: hex(entry.raw) })),
    )
    await this.expect(
      asked,
      asked.map((question) => this.#read(question, scramble)),
      ask,
    )
    for (const { old } of entries.values()) this.writeEntry(old, old.raw)
  }

  /** A leaf of the last level may become anything; at others it must stay one, since a table would be anywhere. */
  #scrambled(old: Leaf, { mask, geometry = this.table.geometry }: Scramble): Entry {
    const bits = mask(old)
    const entry = decode(geometry, nodeOf(geometry, old.node.id), (old.raw & ~bits) | (this.random.next() & bits))
    if (entry.type === 'table') throw new Error(`${hex(entry.raw)} is a table`)
    return { ...old, ...entry }
  }

  /** What our reading of an entry makes of a question. */
  #read({ entry, access, iova }: Question & { readonly entry: Entry }, { judge }: Scramble): Answer {
    if (entry.type !== 'leaf') return { fault: this.#fault('translation', entry.node.level) }
    const { fault, memory } = judge(entry, access)
    if (fault !== undefined) return { fault }
    const paddr = translated(entry, iova) & ~this.#rules.below
    return isTranslation(access) ? { paddr, ...(memory !== undefined && { memory }) } : {}
  }

  #fault(kind: 'translation' | 'permission', level: number): string {
    return this.#rules.fault?.(kind, level) ?? 'any'
  }

  /** Writes a descriptor behind the engine's back. */
  writeEntry(entry: EntryPlace & Pick<Leaf, 'node'>, raw: bigint): void {
    if (entry.node.entryBytes === 8) void this.qtest.writeq(addressOf(entry), raw)
    else void this.qtest.writel(addressOf(entry), raw)
  }

  /** Adds what another table in the same walks has found. */
  include(other: { readonly counts: Counts }): this {
    this.#others.push(other.counts)
    return this
  }

  outcome(facts: Omit<Outcome, 'format' | 'translations' | 'faults' | 'wrong' | 'mappings'>): Outcome {
    const sum = (what: keyof Counts): number => this.#others.reduce((total, counts) => total + counts[what], this.counts[what])
    return {
      ...facts,
      format: this.table.format.FORMAT,
      mappings: sum('mappings'),
      translations: sum('translations'),
      faults: sum('faults'),
      wrong: sum('wrong'),
    }
  }

  /** The spot of any address of the windows, or outside of them, where the walk ends at the root. */
  #spot(place: Place): Spot {
    return { ...place, level: this.table.walk(place.iova).at(-1)?.node.level ?? nodeOf(this.table.geometry, this.table.geometry.top).level }
  }

  async #ask(questions: readonly Question[], ask: Ask): Promise<readonly Answer[]> {
    await this.qtest.settle()
    return ask(questions)
  }

  #expected({ iova, access, mapping, level }: SpotQuestion): Answer {
    const { grants, memory, below } = this.#rules
    if (mapping === undefined) return { fault: this.#fault('translation', level) }
    if (!grants(mapping.prot, access)) return { fault: this.#fault('permission', level) }
    if (!isTranslation(access)) return {}
    const paddr = (mapping.paddr + iova - mapping.iova) & ~below
    return memory === undefined ? { paddr } : { paddr, memory: memory(mapping.prot) }
  }
}

const SHOWN = 8

function fail(wrong: readonly string[]): void {
  if (wrong.length > 0) throw new Error(`${wrong.length} answers differ (seed ${hex(SEED)}):\n${wrong.slice(0, SHOWN).join('\n')}`)
}

function translated({ paddr, node, size }: DecodedLeaf, iova: bigint): bigint {
  return paddr + (iova % BigInt(entrySpan(node, size)))
}

function addressOf({ table, index, node }: EntryPlace & Pick<Leaf, 'node'>): bigint {
  return table + BigInt(index * node.entryBytes)
}

/** Each place with each access. */
export function cross(spots: readonly Spot[], accesses: readonly Access[]): readonly SpotQuestion[] {
  return spots.flatMap((spot) => accesses.map((access) => ({ ...spot, access })))
}

/** Where an address that is mapped leads. */
export function physicalOf({ iova, mapping }: Place): bigint {
  if (mapping === undefined) throw new Error(`${hex(iova)} is not mapped`)
  return mapping.paddr + iova - mapping.iova
}
