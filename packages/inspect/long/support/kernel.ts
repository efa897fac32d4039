/** Images of real kernels, whole or spoilt, and their tables leaf by leaf, in the columns of an independent walker. */
import { hex, IoPgtableError, nodeOf } from '@io-pgtable/core'
import { bytesSource, dumpLeaves, type Finding, type LeafRun, type MemoryImage, openImage, type Tables, walkTree } from '../../src/index.ts'
import { type DumpName, dumpBytes, type Row } from '../../test/support/dumps.ts'

/** One leaf of a run; the rest of a run holds for all of its leaves. */
export interface Leaf {
  readonly iova: bigint
  readonly paddr: bigint
  readonly descriptor: bigint
  readonly run: LeafRun
  /** The run's fields, which take long to work out. */
  readonly fields: Readonly<Record<string, number>>
}

/** All that is below a root. */
export interface Below {
  readonly runs: readonly LeafRun[]
  readonly leaves: readonly Leaf[]
  /** Level and address of each table, the root's first. */
  readonly tables: readonly (readonly [number, string])[]
  readonly findings: readonly Finding[]
}

/** @param limit runs after which a dump ends, with a finding */
export function below(tables: Tables, limit = 100_000): Below {
  const runs: LeafRun[] = []
  const { findings } = dumpLeaves(tables, (run) => void runs.push(run.keep()), { limit })
  return { runs, leaves: runs.flatMap(leavesOf), tables: tablesBelow(tables, limit), findings }
}

function leavesOf(run: LeafRun): Leaf[] {
  const { iova, paddr, descriptor, leafSize, count, fields } = run
  return Array.from({ length: count }, (_, i) => {
    const step = BigInt(i) * BigInt(leafSize)
    return { iova: iova + step, paddr: paddr + step, descriptor: descriptor + step, run, fields }
  })
}

function tablesBelow(tables: Tables, limit: number): [number, string][] {
  const { geometry, roots } = tables
  const found = roots.map((root): [number, string] => [nodeOf(geometry, geometry.top).level, hex(root)])
  walkTree(tables, ({ entry, seen }) => void (entry.type === 'table' && !seen && found.push([entry.child.level, hex(entry.next)])), {
    limit,
  })
  return found
}

/** A leaf in the columns that all kernels' files have, and those of the fields that are named. */
export function rowOf({ iova, paddr, descriptor, run, fields }: Leaf, names: readonly string[]): Row {
  return [hex(iova), hex(paddr), run.leafSize, run.level, hex(descriptor), ...names.map((name) => fields[name] ?? 'none')]
}

/** Input addresses of runs that begin before the one in front of them ends. */
export function overlaps(runs: readonly LeafRun[]): string[] {
  const before = ({ iova, size }: LeafRun, next: LeafRun): boolean => iova + BigInt(size) <= next.iova
  return runs.slice(1).flatMap((run, i) => (before(runs[i] as LeafRun, run) ? [] : [hex(run.iova)]))
}

/** The rows of `got` that `want` lacks, and the other way round: what one flipped bit changes is easier to read so. */
export function differing(want: readonly Row[], got: readonly Row[]): { readonly want: readonly Row[]; readonly got: readonly Row[] } {
  const known = new Set(want.map((row) => row.join()))
  const found = new Set(got.map((row) => row.join()))
  return { want: want.filter((row) => !found.has(row.join())), got: got.filter((row) => !known.has(row.join())) }
}

/** An image's file, to be written to. */
export class Spoilt {
  readonly #image: MemoryImage
  readonly #file: DataView

  constructor(image: MemoryImage, file: Uint8Array) {
    this.#image = image
    this.#file = new DataView(file.buffer, file.byteOffset, file.byteLength)
  }

  /** Flips bits of the 64-bit word at a physical address. */
  flip(paddr: bigint, bits: bigint): void {
    const at = this.#placeOf(paddr)
    this.#file.setBigUint64(at, this.#file.getBigUint64(at, true) ^ bits, true)
  }

  put(paddr: bigint, word: bigint): void {
    this.#file.setBigUint64(this.#placeOf(paddr), word, true)
  }

  /** Where a word stands that stands in the image once. */
  find(word: bigint): bigint {
    const found = this.#image.segments.flatMap(({ paddr, offset, fileSize }) =>
      Array.from({ length: fileSize / 8 }, (_, i) => i * 8)
        .filter((at) => this.#file.getBigUint64(offset + at, true) === word)
        .map((at) => paddr + BigInt(at)),
    )
    if (found.length !== 1) throw new Error(`${hex(word)} stands at ${found.map(hex).join(', ') || 'no place'}`)
    return found[0]!
  }

  #placeOf(paddr: bigint): number {
    const segment = this.#image.segments.find((s) => s.paddr <= paddr && paddr < s.paddr + BigInt(s.fileSize))
    if (segment === undefined) throw new Error(`${hex(paddr)} is not in the file`)
    return segment.offset + Number(paddr - segment.paddr)
  }
}

/** A copy of an image that `change` may write into. */
export async function spoilt(name: DumpName, change: (image: Spoilt) => void): Promise<MemoryImage> {
  const file = dumpBytes(name)
  const image = await openImage(bytesSource(file, name))
  change(new Spoilt(image, file))
  return image
}

/** The error of ours that `run` throws. */
export function errorOf(run: () => unknown): IoPgtableError {
  try {
    run()
  } catch (error) {
    if (error instanceof IoPgtableError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
