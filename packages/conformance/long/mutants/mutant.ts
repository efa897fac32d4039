/** What a mutant is, and how faults are put into formats and engines. */
import {
  type AnyFmt,
  IoPageTable as Engine,
  type FormatConfig,
  type Geometry,
  type IoPageTable,
  type IoPageTableFmt,
  type Kind,
  type LevelNode,
  type TableOptions,
  type TlbFlushOps,
} from '@io-pgtable/core'
import type { PtPool } from '@io-pgtable/pt-allocator'
import type { CheckFormatOptions, CreateTable, LawName } from '../../src/index.ts'

export interface Mutant {
  /** What is wrong, in a few words. */
  readonly fault: string
  readonly of: 'format' | 'engine'
  /** The law that must find it. */
  readonly law: LawName
  readonly options: Omit<CheckFormatOptions, 'test' | 'log'>
}

type Fmt<C extends FormatConfig> = IoPageTableFmt<C, unknown, unknown, unknown, unknown>

/** A format with some of its members replaced, tested in one configuration: the first, or the named one. */
export function changed<F extends AnyFmt>(format: F, changes: Partial<Fmt<FormatConfig>>, config?: string): AnyFmt {
  const configs = format.configs.filter(({ name }, i) => (config === undefined ? i === 0 : name === config))
  return { ...format, configs, ...changes } as AnyFmt
}

/** A format that lacks a member. */
export function without(format: AnyFmt, member: keyof AnyFmt): AnyFmt {
  return changed(format, { [member]: undefined })
}

/** A format whose geometry is changed. */
export function reshaped(format: AnyFmt, change: (geometry: Geometry) => Geometry, config?: string): AnyFmt {
  return changed(format, { geometry: (params) => change(format.geometry(params)) }, config)
}

/** A format whose nodes are changed: one, by its id, or all. */
export function renoded(format: AnyFmt, id: string | undefined, change: (node: LevelNode) => LevelNode, config?: string): AnyFmt {
  const nodes = (geometry: Geometry): LevelNode[] =>
    geometry.nodes.map((node) => (id === undefined || node.id === id ? change(node) : node))
  return reshaped(format, (geometry) => ({ ...geometry, nodes: nodes(geometry) }), config)
}

/** A format whose kinds of that name are changed. */
export function rekinded(format: AnyFmt, name: string, change: (kind: Kind) => object, config?: string): AnyFmt {
  const kinds = (node: LevelNode): Kind[] => node.kinds.map((kind) => (kind.name === name ? ({ ...kind, ...change(kind) } as Kind) : kind))
  return renoded(format, undefined, (node) => ({ ...node, kinds: kinds(node) }), config)
}

/** An engine whose tables have some members replaced. */
export function engine(changes: (table: IoPageTable, request: TableOptions & FormatConfig) => Partial<IoPageTable>): CreateTable {
  return (format, request) => {
    const table = Engine.createRaw(format, request)
    return over(table, changes(table, request))
  }
}

/** An engine that issues other callbacks than it should. */
export function flushing(changes: (tlb: TlbFlushOps, request: TableOptions & FormatConfig) => Partial<TlbFlushOps>): CreateTable {
  return (format, request) => {
    const tlb = request.tlb ?? { flushAll() {}, flushWalk() {} }
    return Engine.createRaw(format, { ...request, tlb: { ...tlb, ...changes(tlb, request) } })
  }
}

/** An engine that uses its allocator wrongly. */
export function allocating(changes: (pool: PtPool) => Partial<PtPool>): CreateTable {
  return (format, request) => Engine.createRaw(format, { ...request, allocator: over(request.allocator, changes(request.allocator)) })
}

/** An object with some members replaced; the others, private ones too, stay its own. */
export function over<T extends object>(target: T, changes: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      if (Object.hasOwn(changes, name)) return changes[name as keyof T]
      const value = Reflect.get(target, name, target) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
