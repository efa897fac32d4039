/** Laws of what fields mean: their values round-trip, and rights, traps and memory types say what the fields say, and what `prot` says. */
import {
  ACCESS_KINDS,
  AccessRules,
  bitsOf,
  CompiledMeaning,
  type Decoded,
  type DecodedLeaf,
  type DecodedTable,
  decode,
  deposit,
  extract,
  FAULT_TYPES,
  type Field,
  faultingBits,
  fieldValue,
  fieldWidth,
  type Kind,
  type LeafKind,
  type LevelNode,
  type Meaning,
  Prot,
  protOfMemory,
  protOfRights,
  Right,
  type Rights,
  type TableKind,
} from '@io-pgtable/core'
import { seededIntegers } from '../seeded-integers.ts'
import { type Case, leafRaw, leastPaddr, protsOf, protText, type Size, shareIn, shareOf, tableKindOf, tableRaw } from './case.ts'
import { samples } from './format-laws.ts'
import { type Law, must, same } from './law.ts'
import { descriptorText } from './ruler.ts'

const values: Law = {
  name: 'format/values',
  says: 'every value of every field of every kind and size is read as it was written, and changes no other field; any descriptor can be shown',
  check(c) {
    for (const node of c.geometry.nodes) {
      for (const raw of samples(node)) must(descriptorText(node, raw).length > 0, 'a descriptor is not shown', { node, raw })
      for (const kind of node.kinds) {
        if (kind.type === 'table') checkValues(c, node, kind, kind.set | kind.match.value, kind.match.mask)
        if (kind.type !== 'leaf') continue
        for (const size of shareIn(c, kind.sizes))
          checkValues(
            c,
            node,
            kind,
            kind.set | kind.match.value | (size.or ?? 0n) | (size.match?.value ?? 0n),
            kind.match.mask | (size.match?.mask ?? 0n),
          )
      }
    }
    return undefined
  },
}

/** `fixed`: bits that tell the kind and the size. */
function checkValues({ geometry }: Case, node: LevelNode, kind: LeafKind | TableKind, base: bigint, fixed: bigint): void {
  if (decode(geometry, node, base).kind !== kind) return // what is only read may have no descriptor of its own
  for (const field of kind.fields) {
    const bits = bitsOf(field.pieces)
    for (const value of valuesOf(field)) {
      const raw = (base & ~bits) | deposit(value, field.pieces)
      if (((raw ^ base) & fixed) !== 0n) continue
      const entry = decode(geometry, node, raw)
      if (entry.kind !== kind) continue // a kind before it has these values
      same(`${kind.name}.${field.name}`, extract(entry.raw, field.pieces), value, { entry })
      for (const other of kind.fields)
        if (other !== field) same(`${kind.name}.${other.name}`, extract(raw, other.pieces), extract(base, other.pieces), { entry })
    }
  }
}

/** All of a field of up to 8 bits; of wider ones 0, all ones, and each bit. */
function valuesOf(field: Field): bigint[] {
  const width = fieldWidth(field)
  if (width <= 8) return Array.from({ length: 2 ** width }, (_, value) => BigInt(value))
  return [0n, (1n << BigInt(width)) - 1n, ...Array.from({ length: width }, (_, bit) => 1n << BigInt(bit))]
}

const rights: Law = {
  name: 'format/rights',
  says: 'rights, traps and memory types are functions of the fields they name; paths take no more than their levels; what is written gets through, and prot agrees',
  check(c) {
    if (!c.geometry.nodes.some(({ kinds }) => kinds.some((kind) => kind.type === 'leaf' && kind.grants !== undefined)))
      return { skipped: 'no leaf kind declares `grants`' }
    const rules = new AccessRules(c.format, c.geometry, c.format.context(c.config))
    for (const node of c.geometry.nodes) for (const kind of node.kinds) checkMeanings(c, rules, node, kind)
    checkRegime(rules)
    checkFaults(rules)
    checkPaths(c, rules)
    if (c.format.writes === false) checkRead(c, rules)
    else for (const size of c.sizes) checkWritten(c, rules, size)
    return undefined
  },
}

/** Of what is only read: random leaves of every kind, below a table of each kind that may be above. */
function checkRead(c: Case, rules: AccessRules): void {
  const integers = seededIntegers(c.seed)
  for (const node of c.geometry.nodes)
    for (const kind of node.kinds) {
      if (kind.type !== 'leaf' || kind.grants === undefined) continue
      for (const above of aboves(c, node))
        for (let i = 0; i < 50; i++) {
          const raw = (randomBits(integers, node.entryBytes * 8) & ~kind.match.mask) | kind.match.value | kind.set
          const entry = decode(c.geometry, node, raw)
          if (entry.type === 'leaf' && entry.kind === kind) checkProt(c, rules, entry, above && tableOf(c, above))
        }
    }
}

/** An entry of a kind, as it is without any other bit. */
function tableOf({ geometry }: Case, kind: TableKind): DecodedTable | undefined {
  const node = geometry.nodes.find(({ kinds }) => kinds.includes(kind))
  const entry = node && decode(geometry, node, kind.set | kind.match.value)
  return entry?.type === 'table' ? entry : undefined
}

function randomBits(integers: (limit: number) => number, width: number): bigint {
  return BigInt.asUintN(width, (BigInt(integers(2 ** 32)) << 32n) | BigInt(integers(2 ** 32)))
}

/** The table kinds whose entries may stand above a node; undefined for the root's. */
function aboves({ geometry }: Case, node: LevelNode): (TableKind | undefined)[] {
  const ids = ({ child }: TableKind): readonly string[] => (typeof child === 'string' ? [child] : Object.values(child.nodes))
  const found = geometry.nodes.flatMap(({ kinds }) => kinds.filter((kind) => kind.type === 'table' && ids(kind).includes(node.id)))
  return [...new Set(found as TableKind[]), ...(node.id === geometry.top ? [undefined] : [])]
}

function checkMeanings(c: Case, rules: AccessRules, node: LevelNode, kind: Kind): void {
  if (kind.type !== 'leaf' && kind.type !== 'table') return
  const ofRights = kind.type === 'leaf' ? kind.grants : kind.limits
  const all: (Meaning<unknown> | undefined)[] = kind.type === 'leaf' ? [ofRights, kind.traps, kind.memory] : [ofRights]
  for (const meaning of all)
    if (meaning !== undefined) for (const above of aboves(c, node)) checkMeaning(c, rules, node, kind, meaning, above)
  if (ofRights === undefined) return
  for (const above of aboves(c, node))
    for (const row of new CompiledMeaning(ofRights, kind, above, rules.context).table) checkRights(rules, row, `${kind.name} gives`, node)
}

/** The table says what the function says of the fields' values, one by one. */
function checkMeaning(
  c: Case,
  rules: AccessRules,
  node: LevelNode,
  kind: Kind,
  meaning: Meaning<unknown>,
  above: TableKind | undefined,
): void {
  const compiled = rules.compiled(meaning, kind, above)
  const integers = seededIntegers(c.seed)
  for (let i = 0; i < shareOf(c, c.effort === 'full' ? 400 : 80); i++) {
    const [raw, upper] = [randomBits(integers, node.entryBytes * 8), randomBits(integers, 64)]
    const model = meaning.of(valuesIn(meaning, kind, raw, above, upper), rules.context)
    same(`what ${meaning.fields.join(', ')} of ${kind.name} mean`, JSON.stringify(compiled.of(raw, upper)), JSON.stringify(model), {
      node,
      raw,
    })
  }
}

function valuesIn(meaning: Meaning<unknown>, kind: Kind, raw: bigint, above: Kind | undefined, upper: bigint): Record<string, number> {
  const valueAt = (name: string): number =>
    (name.startsWith('^') ? above && fieldValue(above, upper, name.slice(1)) : fieldValue(kind, raw, name)) ?? 0
  return Object.fromEntries(meaning.fields.map((name) => [name, valueAt(name)]))
}

function checkRights(rules: AccessRules, value: Rights, what: string, node?: LevelNode): void {
  const where = node === undefined ? {} : { node }
  must(Number.isInteger(value) && value >= 0 && value <= Right.ALL, `${what} ${value}: six bits expected`, where)
  if (rules.parties.length === 1) must((value & Right.USER) === value >> 3, `${what} ${value}: one party, and the halves differ`, where)
}

function checkRegime(rules: AccessRules): void {
  for (let path = 0; path <= Right.ALL; path++) {
    if (rules.parties.length === 1 && (path & Right.USER) !== path >> 3) continue
    for (const state of [undefined, {}]) {
      const left = rules.format.regime?.(rules.context, state)(path) ?? path
      checkRights(rules, left, `the regime makes of ${path}`)
    }
  }
}

function checkFaults({ format, context }: AccessRules): void {
  for (const type of FAULT_TYPES)
    for (const access of ACCESS_KINDS)
      for (const level of [undefined, -1, 0, 1, 4]) {
        const fault = format.fault?.({ type, access, privileged: false, level, reason: '' }, context)
        if (fault === undefined) return
        const numbers = Object.values(fault.codes).every((code) => Number.isSafeInteger(code) && code >= 0)
        must(fault.name !== '' && numbers, `fault() of ${type}: a name, and codes that are numbers, expected`)
      }
}

/** Random descriptors of the chain's kinds, one below the other: the rights are the AND of what each says by itself. */
function checkPaths(c: Case, rules: AccessRules): void {
  const integers = seededIntegers(c.seed)
  for (let i = 0; i < shareOf(c, c.effort === 'full' ? 2000 : 400); i++) {
    const path: Decoded[] = []
    let node: LevelNode | undefined = c.chain[c.top]
    while (node !== undefined) {
      const kinds: readonly Kind[] = node.kinds
      const kind = kinds[integers(kinds.length)] as Kind
      const set = kind.type === 'table' || kind.type === 'leaf' ? kind.set : 0n
      const entry: Decoded = decode(
        c.geometry,
        node,
        (randomBits(integers, node.entryBytes * 8) & ~kind.match.mask) | kind.match.value | set,
      )
      path.push(entry)
      node = entry.type === 'table' ? entry.child : undefined
    }
    checkPath(rules, path)
  }
}

function checkPath(rules: AccessRules, path: readonly Decoded[]): void {
  const verdict = rules.path(path)
  let left: Rights = Right.ALL
  let above: DecodedTable | undefined
  for (const [i, entry] of path.entries()) {
    if (entry.type !== 'table' && entry.type !== 'leaf') {
      const isVoid = verdict.path === 0 && verdict.sparse === (entry.type === 'sparse') && (verdict.fault === undefined) === verdict.sparse
      must(isVoid, `${entry.kind.name} is no fault`, { entry })
      return
    }
    const meaning = entry.type === 'table' ? entry.kind.limits : entry.kind.grants
    left &= meaning?.of(valuesIn(meaning, entry.kind, entry.raw, above?.kind, above?.raw ?? 0n), rules.context) ?? Right.ALL
    same('rights that are left', verdict.steps[i], left, { entry })
    const faults = faultingBits(entry.kind, entry.raw) !== 0n
    must(!faults || verdict.fault !== undefined, 'reserved bits that fault are no fault', { entry })
    if (entry.type === 'leaf') same('rights of the path', verdict.path, left, { entry })
    else if (verdict.fault !== undefined && verdict.level === entry.node.level) return
    else above = entry
  }
}

/** A leaf below tables as they are written: nothing is taken away, nothing faults, and what is granted is what `prot` says. */
function checkWritten(c: Case, rules: AccessRules, size: Size): void {
  const tables = writtenTables(c, rules, size)
  const written = protsOf(c).flatMap((prot) => {
    const raw = leafRaw(c, size, prot, leastPaddr(c))
    return raw === undefined ? [] : [{ prot, raw }]
  })
  const touched = written.reduce((bits, { raw }) => bits | raw, 0n) & ~size.kind.set & ~bitsOf(size.kind.address)
  const fields = size.kind.fields.filter(({ pieces }) => (bitsOf(pieces) & touched) !== 0n)
  for (const { prot, raw } of written) {
    const entry = decode(c.geometry, size.node, raw)
    if (entry.type !== 'leaf') continue
    const verdict = rules.path([...tables, entry])
    must(verdict.fault === undefined, () => `a leaf of ${protText(prot)} faults: ${verdict.fault?.reason}`, { entry })
    for (const access of ACCESS_KINDS)
      if (access !== 'write' || (prot & Prot.WRITE) !== 0)
        must(verdict.traps[access] === undefined, () => `a leaf of ${protText(prot)} traps: ${access}, ${verdict.traps[access]}`, { entry })
    checkProt(c, rules, entry, tables.at(-1))
    checkUpdates(c, rules, entry)
  }
  const integers = seededIntegers(c.seed)
  for (let i = 0; i < 100; i++) {
    const raw = fields.reduce((bits, { pieces }) => {
      const mask = bitsOf(pieces)
      return (bits & ~mask) | (randomBits(integers, 64) & mask)
    }, written[0]?.raw ?? 0n)
    const entry = decode(c.geometry, size.node, raw)
    if (entry.type === 'leaf' && entry.kind === size.kind) checkProt(c, rules, entry, tables.at(-1))
  }
}

function writtenTables(c: Case, rules: AccessRules, size: Size): DecodedTable[] {
  const tables: DecodedTable[] = []
  for (const node of c.chain.slice(0, size.depth)) {
    const kind = tableKindOf(node)
    if (kind === undefined) continue
    const entry = decode(c.geometry, node, tableRaw(c, node, kind, 0n))
    must(entry.type === 'table', 'a descriptor made as a table is none', { entry })
    if (entry.type !== 'table') continue
    same('rights that a table of ours leaves', rules.limits(entry, tables.at(-1)), Right.ALL, { entry })
    tables.push(entry)
  }
  return tables
}

/** `prot` says what rights and memory type say: of data and of privilege where there is any access, of execution where the format knows it. */
function checkProt(c: Case, rules: AccessRules, entry: DecodedLeaf, above: DecodedTable | undefined): void {
  const grants = rules.grants(entry, above)
  const memory = rules.memory(entry, above)
  const got = c.format.prot(entry.raw, entry.kind, rules.context)
  const meant = protOfRights(grants, memory)
  const executes =
    entry.kind.grants === undefined ||
    rules.compiled(entry.kind.grants, entry.kind, above?.kind).table.some((row) => (row & Right.EXECUTE) !== 0)
  const data = (grants & (Right.READ | Right.WRITE)) !== 0
  const compared = Prot.READ | Prot.WRITE | (executes ? Prot.NOEXEC : 0) | (data ? Prot.PRIV : 0)
  same('what prot() grants, beside rights', protText(got & compared), protText(meant & compared), { entry })
  const type = memory === undefined ? 0 : protOfMemory(memory)
  same('CACHE and MMIO of prot(), beside the memory type', protText(got & (Prot.CACHE | Prot.MMIO)), protText(type), { entry })
}

/** What hardware writes leaves a leaf of the same kind. */
function checkUpdates(c: Case, rules: AccessRules, { raw, kind, node }: DecodedLeaf): void {
  const { accessed, dirty } = kind.updates?.(rules.context) ?? {}
  for (const update of [accessed, dirty]) {
    if (update === undefined) continue
    must((update.set & update.clear) === 0n, 'an update sets and clears one bit', { node, raw })
    same('kind of a leaf that hardware has updated', decode(c.geometry, node, (raw & ~update.clear) | update.set).kind.name, kind.name, {
      node,
      raw,
    })
  }
}

export const rightsLaws: readonly Law[] = [values, rights]
