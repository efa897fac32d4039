/** The declaration of a format for a table that somebody else built: the tree and the decode context of its registers, and a configuration that fits. */

import { IoPgtableError } from '../errors.ts'
import { bitsOf, deposit } from '../format/bits.ts'
import { agreedConfig, refuseUnknown } from '../format/config.ts'
import type { AnyFmt, FoundRoot, Geometry, Kind, LeafKind, LeafSize, LevelNode, TableKind } from '../format/format.ts'
import type { ReadMemory } from '../format/hardware.ts'
import type { Agreed, FormatConfig } from '../format/policy.ts'
import { kindOf } from '../read/decode.ts'
import { TABLE_OPTIONS } from './table-options.ts'

/** What `adopt` takes beside a configuration. */
const ADOPT_OPTIONS: readonly string[] = [...TABLE_OPTIONS, 'memory', 'registers', 'root', 'roots', 'onForeign']

/** What is known of a table that is to be adopted. */
export interface Adoptable {
  readonly format: AnyFmt
  readonly config: Agreed<FormatConfig>
  readonly roots: readonly bigint[]
}

/** The table of some registers. @throws `EINVAL` where they lead to none, or to several and none is named, or tell too little */
export function adoptRegisters(
  format: AnyFmt,
  { registers, root, read }: { readonly registers: unknown; readonly root: string | undefined; readonly read: ReadMemory },
  given: Partial<FormatConfig>,
): Adoptable {
  const found = chooseRoot(format, format.rootsFromRegs(registers, read), root)
  const geometry = format.geometry(found.params)
  const config = configFor(format, geometry, given)
  refuseUnknown(format.FORMAT, given, config, ADOPT_OPTIONS)
  return { format: adopting(format, geometry, found.context), config, roots: found.roots }
}

/** The table of root tables that the caller knows, and of a configuration that makes such a tree. */
export function adoptRoots(format: AnyFmt, roots: readonly bigint[], wanted: FormatConfig): Adoptable {
  const config = agreedConfig(format, wanted, ADOPT_OPTIONS)
  return { format: adopting(format, format.geometry(format.params(config)), format.context(config)), config, roots }
}

function chooseRoot(format: AnyFmt, found: readonly FoundRoot<unknown, unknown>[], name: string | undefined): FoundRoot<unknown, unknown> {
  const named = name === undefined ? found : found.filter((root) => root.name === name)
  const [root] = named
  if (root !== undefined && named.length === 1) return root
  const all = found.map((one) => one.name).join(', ') || 'none'
  const text = `the registers of ${format.FORMAT} lead to these tables: ${all}; ${name === undefined ? 'one, or `root` with a name,' : `one named ${name}`} expected`
  throw new IoPgtableError('EINVAL', 'adopt', text)
}

/**
 * A configuration that makes the same tree. What the registers leave open and the caller does not say is as in the first of the format's
 * configurations with which it fits. The tree itself is that of the registers: the configuration is what attributes are written by.
 */
function configFor(format: AnyFmt, geometry: Geometry, given: Partial<FormatConfig>): Agreed<FormatConfig> {
  const wanted = shapeOf(geometry)
  const { ias, oas } = geometry
  const known = { ias, pgsizeBitmap: sizesOf(geometry) }
  let refused: unknown
  for (const base of [{ oas }, ...format.configs.flatMap(({ config }) => [{ ...config, oas }, config])]) {
    try {
      const config = format.configure({ ...base, ...known, ...given })
      if (shapeOf(format.geometry(format.params(config))) === wanted) return { ...config, ias, oas }
    } catch (error) {
      refused ??= error
    }
  }
  const text = `the registers of ${format.FORMAT} do not tell enough: no configuration with what was given makes their tree; give its quirks and its other members`
  throw new IoPgtableError('EINVAL', 'adopt', text, { cause: refused })
}

function sizesOf({ nodes }: Geometry): bigint {
  const sizes = nodes.flatMap((node) => leafKinds(node).flatMap((kind) => kind.sizes.filter((size) => size.encode !== false)))
  return sizes.reduce((bitmap, { pgsize }) => bitmap | BigInt(pgsize), 0n)
}

function leafKinds(node: LevelNode): LeafKind[] {
  return node.kinds.filter((kind): kind is LeafKind => kind.type === 'leaf')
}

/** What two geometries have alike when they are one tree. */
function shapeOf({ nodes, top, ias, window, roots = 1, spaceBits = 64 }: Geometry): string {
  const levels = nodes.map(({ id, level, shift, bits, entryBytes, tableBytes, empty }) => [
    id,
    level,
    shift,
    bits,
    entryBytes,
    tableBytes,
    `${empty}`,
  ])
  return JSON.stringify([top, ias, window, roots, spaceBits, levels])
}

/**
 * The format with a tree, and a context, that are given. Its tables are recognised by the bits that hardware looks at, not by all bits that we set;
 * pages apart from marked ones that are only read; and a prot is written only where its bits mean the same here.
 */
function adopting(format: AnyFmt, geometry: Geometry, context: unknown): AnyFmt {
  const sets = new Map<TableKind, bigint>()
  const nodes = geometry.nodes.map((node) => ({ ...node, kinds: node.kinds.map((kind) => asRead(node, kind, sets)) }))
  return {
    ...format,
    params: () => undefined,
    geometry: () => ({ ...geometry, nodes }),
    context: () => context,
    encodeTable: (config, node, kind) => format.encodeTable(config, node, kind) | (sets.get(kind) ?? 0n),
    encodeLeaf: (config, node, kind, prot) => {
      const bits = format.encodeLeaf(config, node, kind, prot)
      if (bits === undefined) return undefined
      const raw = bits | kind.set | kind.match.value | deposit(geometry.leastOutput ?? 0n, kind.address)
      const means = format.prot(raw, kind, context) === format.prot(raw, kind, format.context(config))
      return means && (bits & bitsOf(kind.address)) === 0n && kindOf(node, raw) === kind ? bits : undefined
    },
  }
}

function asRead(node: LevelNode, kind: Kind, sets: Map<TableKind, bigint>): Kind {
  if (kind.type === 'leaf') return { ...kind, sizes: kind.sizes.flatMap((size, i) => apart(size, kind.sizes.slice(0, i))) }
  if (kind.type !== 'table' || !excludesEarlier(node, kind)) return kind
  const read = { ...kind, set: kind.set & kind.match.mask }
  sets.set(read, kind.set)
  return read
}

/** A size that no bits mark, behind sizes whose marks are only read: it is recognised without those marks, and by any of its other bits. */
function apart(size: LeafSize, before: readonly LeafSize[]): readonly LeafSize[] {
  const marks = before.filter(({ encode }) => encode === false).map(({ match }) => match)
  if (size.match !== undefined || marks.length === 0 || marks.some((mark) => mark === undefined || mark.value === 0n)) return [size]
  const mask = marks.reduce((bits, mark) => bits | (mark?.mask ?? 0n), 0n)
  return [
    { ...size, match: { mask, value: 0n } },
    { ...size, encode: false },
  ]
}

/** Whether the kind's own match says that an entry is of no earlier kind, but for the empty one, which is always looked for first. */
function excludesEarlier(node: LevelNode, kind: TableKind): boolean {
  const before = node.kinds.slice(0, node.kinds.indexOf(kind))
  return before.every(({ type, match }) => type === 'empty' || (match.mask & kind.match.mask & (match.value ^ kind.match.value)) !== 0n)
}
