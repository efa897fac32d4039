/** How golden vectors that were recorded from nouveau, UVM and NVIDIA's resource manager speak of this format. */
import {
  type DriverVectorBinding,
  decode,
  deposit,
  type Geometry,
  hex,
  type Kind,
  nodeOf,
  pgsizeBitmap,
  SZ_4K,
  SZ_64K,
  type VectorBinding,
  type VectorEntry,
  type VectorFact,
  type VectorMembers,
} from '@io-pgtable/core'
import { type NvidiaGmmuConfig, nvidiaGmmu, nvidiaLeaf } from './index.ts'
import { APERTURES } from './kinds.ts'
import type { NvidiaGmmuVersion } from './types.ts'
import { PCF } from './v3.ts'

const BITS = { 1: [40, 40], 2: [49, 47], 3: [57, 52] } as const

function request(version: NvidiaGmmuVersion, config: VectorMembers): NvidiaGmmuConfig {
  const bigPage = Number(config.bigPage ?? SZ_64K)
  const [ias, oas] = BITS[version]
  const tables = (config.tables ?? 'vidmem') as 'vidmem'
  return { version, bigPage, tables, ias, oas, pgsizeBitmap: pgsizeBitmap(SZ_4K, bigPage) }
}

/** The part of a node's name that the files have: halves and shortened tables are one node to them. */
function nameOf(id: string): string {
  return id.split(/[ /]/)[0] ?? id
}

/** What a recorded walk says of its end. */
function walked(way: readonly VectorEntry[]): VectorMembers {
  const end = way.at(-1)
  if (end === undefined) return {}
  if (end.kind.type === 'leaf') {
    const { aperture, peer, isReadable, isWritable, isVolatile, hasAtomics } = nvidiaLeaf(end.raw, end.kind)
    const prot = Object.entries({ READ: isReadable, WRITE: isWritable, ATOMIC: hasAtomics, VOLATILE: isVolatile })
    const names = prot.flatMap(([name, has]) => (has ? [name] : []))
    return { aperture, pgsize: 2 ** end.node.shift, prot: names, ...(peer !== undefined && { peer }) }
  }
  if (nameOf(end.node.id) !== 'PTB') return {}
  return end.kind.type === 'sparse' ? { why: 'big entry sparse' } : end.kind.name === 'no small pages' ? { why: 'big entry blocks' } : {}
}

/** What a `translate` says beside the address. */
function translated(way: readonly VectorEntry[]): VectorMembers {
  const end = way.at(-1)
  if (end?.kind.type === 'sparse') return { sparse: true }
  return end?.kind.type === 'leaf' ? { aperture: nvidiaLeaf(end.raw, end.kind).aperture } : {}
}

/** What a leaf says of its map. */
function mappedBy({ raw, kind }: VectorEntry): VectorMembers {
  if (kind.type !== 'leaf') return {}
  const leaf = nvidiaLeaf(raw, kind)
  const prot = Object.entries({ READ: leaf.isReadable, WRITE: leaf.isWritable, PRIV: leaf.isPrivileged, VOLATILE: leaf.isVolatile })
  return { aperture: leaf.aperture, kind: leaf.kind, prot: prot.flatMap(([name, has]) => (has ? [name] : [])) }
}

/** An entry as the declaration has it: the kind's fields by name, and the address. */
function entry(kind: Kind, values: Readonly<Record<string, number>>, address: bigint): bigint {
  let raw = kind.type === 'leaf' || kind.type === 'table' ? deposit(address, kind.address) | kind.set : kind.match.value
  for (const [name, value] of Object.entries(values)) {
    const found = kind.fields.find((field) => field.name === name)
    if (found !== undefined) raw |= deposit(BigInt(value), found.pieces)
    else if (value !== 0) throw new Error(`${kind.name} has no field ${name}`)
  }
  return raw
}

function kindOf(geometry: Geometry, id: string, chosen: (kind: Kind) => boolean): Kind {
  const kind = nodeOf(geometry, id).kinds.find(chosen)
  if (kind === undefined) throw new Error(`${id} has no such kind`)
  return kind
}

function geometryOf(version: NvidiaGmmuVersion): Geometry {
  return nvidiaGmmu.geometry(nvidiaGmmu.params(nvidiaGmmu.configure(request(version, {}))))
}

const GEOMETRIES = { 1: geometryOf(1), 2: geometryOf(2), 3: geometryOf(3) } as const

/** How the name of a leaf's kind ends. */
const LEAF_NAMES = {
  1: (aperture: string) => (aperture.startsWith('sysmem') ? 'system memory' : 'video memory'),
  2: (aperture: string) => (aperture === 'peer' ? 'peer' : aperture === 'vidmem' ? 'video memory' : 'system memory'),
  3: () => 'page',
} as const

const REFUSED = { leftOut: 'nouveau refuses big pages that are not in video memory; here nothing is written' }

function leafRow(version: NvidiaGmmuVersion, row: VectorMembers, id: string, address: string): bigint {
  const prot = row.prot as readonly string[]
  const has = (name: string): number => (prot.includes(name) ? 1 : 0)
  const not = (name: string): number => 1 - has(name)
  const ending = LEAF_NAMES[version](String(row.aperture))
  const kind = kindOf(GEOMETRIES[version], id, ({ type, name }) => type === 'leaf' && name.endsWith(ending))
  const common = {
    VALID: 1,
    APERTURE: APERTURES.indexOf(row.aperture as 'vidmem'),
    KIND: Number(row['pte kind']),
    PEER: Number(row.peer ?? 0),
    COMPTAGLINE: Number(row.comptagline ?? 0),
  }
  if (version !== 3)
    return entry(
      kind,
      {
        ...common,
        VOL: has('VOLATILE'),
        PRIVILEGE: has('PRIV'),
        READ_ONLY: not('WRITE'),
        ...(version === 2 && { ATOMIC_DISABLE: not('ATOMIC') }),
      },
      BigInt(address),
    )
  const flags = { UNCACHED: has('VOLATILE'), PRIVILEGED: has('PRIV'), READ_ONLY: not('WRITE'), NO_ATOMICS: not('ATOMIC') }
  const code = Object.entries({ ...flags, NO_COUNTING: not('ACCESS_COUNT') }).reduce(
    (sum, [name, set]) => sum + set * PCF[name as keyof typeof PCF],
    0,
  )
  return entry(kind, { ...common, PCF: code }, BigInt(address))
}

function rows(version: 2 | 3): VectorFact {
  return (row) => {
    const id = ({ any: 'PTS', PT: 'PTS' } as Record<string, string>)[String(row.node)] ?? String(row.node)
    const what = row['kind of row']
    if (what === 'refused') return REFUSED
    if (what === 'leaf') return leafRow(version, row, id, String(row.paddr))
    return kindOf(GEOMETRIES[version], id, ({ type, name }) => (what === 'sparse' ? type === 'sparse' : name === 'no small pages')).match
      .value
  }
}

/** Rows of version 1: leaves, and directory entries with both tables. */
const rowsV1: VectorFact = (row) => {
  const what = row['kind of row']
  const address = row['address (dual: big and small table)']
  if (what === 'refused') return REFUSED
  if (what === 'leaf') return leafRow(1, row, row.node === 'PTB' ? 'PTB' : 'PTS', String(address))
  const [big = '0x0', small = '0x0'] = String(address).split(' ')
  const aperture = tableAperture(row.aperture)
  const volatile = row.aperture === 'sysmem-coherent' ? 1 : 0
  const geometry = GEOMETRIES[1]
  const toBig = entry(
    kindOf(geometry, 'PD', isTable),
    { APERTURE_BIG: aperture, APERTURE_SMALL: aperture, VOL_BIG: volatile, VOL_SMALL: volatile },
    BigInt(big),
  )
  return toBig | entry(kindOf(geometry, 'PD small', isTable), {}, BigInt(small))
}

function isTable({ type }: Kind): boolean {
  return type === 'table'
}

/** The code of a table's aperture; 0 for no table. */
function tableAperture(name: unknown): number {
  return Math.max(0, ['none', 'vidmem', 'sysmem-coherent', 'sysmem-noncoherent'].indexOf(String(name)))
}

/** nouveau marks tables in coherent memory volatile, UVM all; what forbids ATS is the drivers' choice, too. */
function tableRow(version: 2 | 3): VectorFact {
  return (row) => {
    const geometry = GEOMETRIES[version]
    const raw = BigInt(String(row['raw (dual: 128 bits, big half low)']))
    const half = (id: string, aperture: unknown, address: unknown, recorded: bigint): bigint => {
      if (aperture === null) return decode(geometry, nodeOf(geometry, id), recorded).type === 'empty' ? recorded : -1n
      const memory = version === 3 ? '' : String(aperture).startsWith('sysmem') ? 'in system memory' : 'in video memory'
      const kind = kindOf(geometry, id, ({ type, name }) => type === 'table' && name.endsWith(memory))
      return entry(kind, { APERTURE: tableAperture(aperture), ...cacheOf(version, row, aperture) }, BigInt(String(address)))
    }
    const low = half(String(row.node), row['aperture (dual: of the big half)'], row.address, BigInt.asUintN(64, raw))
    if (row['kind of row'] !== 'dual') return low
    return low | (half('PD0 small', row['aperture of the small half'], row['address of the small half'], raw >> 64n) << 64n)
  }
}

function cacheOf(version: 2 | 3, row: VectorMembers, aperture: unknown): Readonly<Record<string, number>> {
  const isUvm = row.source === 'uvm'
  const isUncached = isUvm || aperture === 'sysmem-coherent'
  if (version === 2) return { VOL: isUncached ? 1 : 0 }
  const forbidsAts = isUvm ? row['ats: the platform has ATS'] === 'ats' && row.node !== 'PD4' : aperture === 'vidmem'
  return { PCF: (isUncached ? 1 : 0) + (forbidsAts ? 2 : 0) }
}

function binding(version: NvidiaGmmuVersion): DriverVectorBinding<typeof nvidiaGmmu> {
  return {
    family: 'driver',
    format: `nvidia-gmmu-v${version}`,
    fmt: nvidiaGmmu,
    config: (config) => request(version, config),
    registers: ({ config, regs, roots: [root = 0n], geometry }) => ({
      pageDirBaseAttr: hex(regs.pageDirBase - root),
      addressLimit: hex(regs.addressLimit),
      vaBits: config.ias,
      rootBytes: 8 * 2 ** nodeOf(geometry, geometry.top).bits,
    }),
    level: ({ id }) => nameOf(id),
    tableAddressMask: () => 0n,
    tableMemory: () => 0x1_2340_0000n,
    walked,
    translated: (table, iova) => translated(table.walk(iova)),
    mappedBy,
    facts: version === 1 ? { rows: rowsV1 } : { rows: rows(version), tables: tableRow(version) },
  }
}

export const vectorBindings: readonly VectorBinding[] = [binding(1), binding(2), binding(3)]
