/** Recordings of Linux's driver, and the tables that a dump in them describes, put into memory again by the declaration. */
import { readdirSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { deposit, type Geometry, type LevelNode, type ReadMemory } from '@io-pgtable/core'

type Row = readonly [iova: string, node: string, raw: string, count: number, step: string]

export interface Dump {
  readonly op: 'dump'
  readonly leaves: readonly Row[]
  readonly holes: readonly Row[]
  readonly tables: readonly (readonly [iova: string, node: string, raw: string])[]
}

export interface MapRange {
  readonly op: 'mapRange'
  readonly iova: string
  readonly size: number
  readonly sg: readonly (readonly [paddr: string, bytes: number])[]
  readonly prot: readonly string[]
}

export interface Recording {
  readonly config: { readonly chip: string; readonly vaBits: number }
  readonly registers: {
    readonly pageTableBaseBits: string
    readonly pageTableDepth: number
    readonly pageTableBlockSize: number
    readonly empty: Readonly<Record<string, string>>
  }
  readonly ops: readonly (Dump | MapRange | { readonly op: 'unmapRange'; readonly iova: string } | { readonly op: 'translate' })[]
}

const FOLDER = new URL('../test-data/recordings/', import.meta.url)

export function recordings(facts: boolean): { readonly name: string; readonly json: unknown }[] {
  const names = readdirSync(FOLDER).filter((name) => name.startsWith('facts-') === facts)
  return names.map((name) => ({ name, json: JSON.parse(gunzipSync(readFileSync(new URL(name, FOLDER))).toString()) as unknown }))
}

/** Where the driver's tables lay is left out of the files: the root goes here, and each table 2 MiB after the last. */
export const ROOT = 0x1_0000_0000n
const APART = 0x20_0000n

/** The memory that a dump describes. */
export function rebuilt(geometry: Geometry, { leaves, holes, tables }: Dump, empty: Recording['registers']['empty']): ReadMemory {
  const words = new Map<bigint, bigint>()
  const nodes = new Map(geometry.nodes.map((node) => [node.id, node]))
  const nodeOf = (id: string): LevelNode => nodes.get(id) as LevelNode
  const places = new Map<string, bigint>([[`${geometry.top} 0`, ROOT]])
  let next = ROOT
  const at = (node: LevelNode, iova: bigint): bigint => {
    const span = BigInt(node.shift + node.bits)
    const table = places.get(`${node.id} ${iova >> span}`)
    if (table === undefined) throw new Error(`no ${node.id} for 0x${iova.toString(16)}`)
    return table + ((iova >> BigInt(node.shift)) & ((1n << BigInt(node.bits)) - 1n)) * 8n
  }
  for (const [iova, id, raw] of tables) {
    const node = nodeOf(id)
    const kind = node.kinds.find(({ type }) => type === 'table')
    if (kind?.type !== 'table' || typeof kind.child !== 'string') throw new Error(`${id} has no tables`)
    const child = nodeOf(kind.child)
    next += APART
    places.set(`${child.id} ${BigInt(iova) >> BigInt(child.shift + child.bits)}`, next)
    words.set(at(node, BigInt(iova)), BigInt(raw) | deposit(next, kind.address))
  }
  for (const [iova, id, raw, count, step] of [...leaves, ...holes]) {
    const node = nodeOf(id)
    for (let i = 0n; i < BigInt(count); i++) words.set(at(node, BigInt(iova) + (i << BigInt(node.shift))), BigInt(raw) + i * BigInt(step))
  }
  const fills = new Map([...places].map(([key, table]) => [table, nodeOf(key.split(' ')[0] ?? '')]))
  return (paddr, bytes) => {
    const node = fills.get(paddr - (paddr % APART))
    if (node === undefined || paddr % APART >= BigInt(8 << node.bits)) return undefined
    const view = new BigUint64Array(bytes / 8)
    for (let i = 0; i < view.length; i++) view[i] = words.get(paddr + BigInt(i * 8)) ?? BigInt(empty[node.id] ?? '0x0')
    return new Uint8Array(view.buffer)
  }
}
