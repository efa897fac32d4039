/** Tables in memory, with everything that it takes to read them: what a root is to every function of this folder. */
import { type AnyFmt, type FoundRoot, type Geometry, type HardwareOf, IoPgtableError, type ReadMemory } from '@io-pgtable/core'

/** Page tables below one root (or several that belong together), as somebody's registers give them. */
export interface Tables {
  /** The register's name, lower case: `ttbr0`. */
  readonly name: string
  readonly format: AnyFmt
  readonly geometry: Geometry
  /** What decoding a leaf needs to know: the format's. */
  readonly context: unknown
  /** Physical address of each root table. */
  readonly roots: readonly bigint[]
  /** First and last input address that the root translates. */
  readonly first: bigint
  readonly last: bigint
  /** Reads the memory in which the tables are. */
  readonly read: ReadMemory
}

/** The tables that raw registers point to, each clipped to what it translates. @throws what the format's `rootsFromRegs` and `read` throw */
export function tablesOf<F extends AnyFmt>(format: F, registers: HardwareOf<F>, read: ReadMemory): readonly Tables[] {
  return format.rootsFromRegs(registers, read).map((found) => tablesAt(format, found, read))
}

/** The tables below one root that a format found. */
export function tablesAt(format: AnyFmt, found: FoundRoot<unknown, unknown>, read: ReadMemory): Tables {
  const { name, params, roots, first, last, context } = found
  const geometry = geometryOf(format, params)
  if (roots.length !== (geometry.roots ?? 1))
    throw new IoPgtableError('EINVAL', name, `${roots.length} roots given, the geometry has ${geometry.roots ?? 1}`, {
      value: roots.length,
    })
  return { name, format, geometry, context, roots, first, last, read }
}

const geometries = new WeakMap<AnyFmt, Map<string, Geometry>>()

/** The streams of an IOMMU share a few geometries: one object for each. */
function geometryOf(format: AnyFmt, params: unknown): Geometry {
  let known = geometries.get(format)
  if (known === undefined) geometries.set(format, (known = new Map()))
  const key = JSON.stringify(params, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value))
  let geometry = known.get(key)
  if (geometry === undefined) known.set(key, (geometry = format.geometry(params)))
  return geometry
}
