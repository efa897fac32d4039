/** Built tables as data: what was chosen, the registers, and every descriptor. */
import { descriptorAt, hex } from '@io-pgtable/core'
import type { Built, BuiltTable } from './build.ts'

/** A value with its bigints as hex. */
export function withHex(value: unknown): unknown {
  if (typeof value === 'bigint') return hex(value)
  if (Array.isArray(value)) return value.map(withHex)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withHex(member)]))
}

/** The object: format, configuration, base, size, registers, roots, and the tables with their entries that are not empty. */
export function toJson(built: Built): object {
  const { format, config, base, bytes, registers, roots, tables } = built
  return {
    format: format.FORMAT,
    config: withHex(config),
    base: hex(base),
    size: bytes.byteLength,
    registers: withHex(registers),
    roots: withHex(roots),
    tables: tables.map((table) => tableJson(built, table)),
  }
}

function tableJson({ base, bytes }: Built, { node, paddr, bytes: size }: BuiltTable): object {
  const view = new DataView(bytes.buffer, bytes.byteOffset + Number(paddr - base), Math.min(size, bytes.byteLength - Number(paddr - base)))
  const entries = Array.from({ length: Math.floor(view.byteLength / node.entryBytes) }, (_, i) => [i, descriptorAt(view, node, i)] as const)
  const used = entries.filter(([, raw]) => raw !== node.empty).map(([index, raw]) => ({ index, descriptor: hex(raw) }))
  return { level: node.level, name: node.name, paddr: hex(paddr), bytes: size, entries: used }
}
