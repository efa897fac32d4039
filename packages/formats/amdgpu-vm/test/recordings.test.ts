/** What Linux's driver wrote, read back: every descriptor of the facts, and in every dump every leaf and where every mapping leads. */
import { type Decoded, decode, fieldValue, type Geometry, type LevelNode, nodeOf, walkAddress, walkTables } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { amdgpuVm } from '../src/index.ts'
import { type MapRange, type Recording, ROOT, rebuilt, recordings } from './recordings.ts'

const generationOf = (chip: string): bigint => (chip === 'gfx12.1' ? 121n : BigInt(/\d+/.exec(chip)?.[0] ?? '0'))

/** The registers that a file tells. */
function found({ config, registers }: Recording) {
  const generation = generationOf(config.chip)
  const base = generation < 9n ? ROOT >> 12n : ROOT | BigInt(registers.pageTableBaseBits)
  const { pageTableDepth, pageTableBlockSize } = registers
  const [root] = amdgpuVm.rootsFromRegs({ base, generation, depth: BigInt(pageTableDepth), blockSize: BigInt(pageTableBlockSize) })
  if (root === undefined) throw new Error(`no root by ${base}`)
  return root
}

for (const { name, json } of recordings(false))
  test(`${name}: leaves, and the way of every mapped segment`, () => {
    const recording = json as Recording
    const { params, roots } = found(recording)
    const geometry = amdgpuVm.geometry(params)
    expect(roots).toEqual([ROOT])
    // the dump with the most leaves: each of the others costs as much, and shows less
    const dumps = recording.ops.filter((op) => op.op === 'dump').sort((a, b) => b.leaves.length - a.leaves.length)
    const [fullest] = dumps
    const live = new Map<string, MapRange>()
    let ways = 0
    const wrong: string[] = []
    for (const op of recording.ops) {
      if (op.op === 'mapRange') live.set(op.iova, op)
      if (op.op === 'unmapRange') live.delete(op.iova)
      if (fullest === undefined || op !== fullest) continue
      const read = rebuilt(geometry, fullest, recording.registers.empty)
      const expected = fullest.leaves.flatMap(([iova, id, raw, count, step]) =>
        Array.from({ length: count }, (_, i) => {
          const at = BigInt(iova) + (BigInt(i) << BigInt(nodeOf(geometry, id).shift))
          return `${at} ${id} ${BigInt(raw) + BigInt(i) * BigInt(step)}`
        }),
      )
      const seen: string[] = []
      walkTables(geometry, roots, read, { leaf: ({ iova, node, raw }) => void seen.push(`${iova} ${node.id} ${raw}`) })
      expect(seen).toEqual(expected)
      for (const { iova, size, sg, prot } of live.values()) {
        const first = BigInt(iova)
        const end = prot.includes('PRT') && walkAddress(geometry, roots, read, first + BigInt(size) - 1n).at(-1)
        if (end && end.type !== 'sparse') wrong.push(`PRT at ${iova}: ${end.kind.name}`)
        let offset = 0n
        for (const [paddr, bytes] of sg) {
          for (const within of [0n, BigInt(bytes) - 1n]) {
            const leaf = walkAddress(geometry, roots, read, first + offset + within).at(-1)
            if (leaf?.type !== 'leaf') throw new Error(`0x${(first + offset + within).toString(16)}: ${leaf?.kind.name}`)
            const span = BigInt(leaf.size.pgsize) - 1n
            // the driver does not look whether system memory is aligned to the large page that it chooses
            const unaligned = BigInt(fieldValue(leaf.kind, leaf.raw, 'Within') ?? 0) << 12n
            const paddrGot = leaf.paddr + unaligned + ((first + offset + within) & span)
            const system = fieldValue(leaf.kind, leaf.raw, 'S') === 1
            if (paddrGot !== BigInt(paddr) + within || system !== prot.includes('SYSTEM'))
              wrong.push(`${iova}, ${paddr} + ${within}: ${paddrGot}`)
            ways++
          }
          offset += BigInt(bytes)
        }
      }
    }
    expect(wrong).toEqual([])
    expect(ways).toBeGreaterThan(0)
  })

const geometries = new Map<string, Geometry>()

function geometryOf(chip: string): Geometry {
  const generation = generationOf(chip)
  const further = chip.endsWith('-tf') ? { depth: 2n, blockSize: 9n } : {}
  const [root] = amdgpuVm.rootsFromRegs({ base: generation < 9n ? 1n : 0x1001n, generation, ...further })
  if (root === undefined) throw new Error(`${chip} has no root`)
  const geometry = geometries.get(chip) ?? amdgpuVm.geometry(root.params)
  geometries.set(chip, geometry)
  return geometry
}

/** Names of the facts for fields, where a one is set. */
const FLAGS = {
  SYSTEM: 'S',
  SNOOPED: 'C',
  TMZ: 'Z',
  EXECUTE: 'X',
  READ: 'R',
  WRITE: 'W',
  PRT: 'T',
  NOALLOC: 'NoAlloc',
  DCC: 'DCC',
  BUS_ATOMICS: 'Atomics',
}

for (const { name, json } of recordings(true))
  test(`${name}: every descriptor has the fields that were set`, () => {
    const { rows } = json as { rows: readonly (readonly (string | number | boolean | null | string[])[])[] }
    let count = 0
    const wrong: string[] = []
    for (const row of rows) {
      const [chip, kind, , , , , , address, flags, mtype, text] = row as [
        string,
        string,
        string,
        string,
        string,
        string,
        boolean,
        string,
        string[],
        number | null,
        string,
      ]
      const generation = generationOf(chip)
      const raw = BigInt(text)
      const geometry = geometryOf(chip)
      if (kind === 'page table base') continue
      const node = nodeOf(geometry, kind === 'pte' ? 'PTB' : kind.slice('pde '.length)) as LevelNode
      const entry = decode(geometry, node, raw)
      count++
      if (!says(entry, generation)) wrong.push(`${row.join(' ')}: ${entry.kind.name}`)
      function says(got: Decoded, of: bigint): boolean {
        if (kind !== 'pte') return got.type === 'table' && got.next === BigInt(address)
        if (flags.includes('PRT')) return got.type === 'sparse'
        if (got.type !== 'leaf' || got.paddr !== BigInt(address)) return false
        const set = Object.entries(FLAGS).flatMap(([flag, field]) => (fieldValue(got.kind, raw, field) === 1 ? [flag] : []))
        return set.sort().join() === [...flags].sort().join() && (of < 9n || fieldValue(got.kind, raw, 'MTYPE') === mtype)
      }
    }
    expect(wrong).toEqual([])
    expect(count).toBeGreaterThan(300)
  })

test('registers that no GPU has, and a context without a root', () => {
  expect(() => amdgpuVm.rootsFromRegs({ base: 1n, generation: 5n })).toThrow(/generation 5: 6 to 12/)
  expect(() => amdgpuVm.rootsFromRegs({ base: 1n, generation: 9n, depth: 4n })).toThrow(/depth 4: 0 to 3/)
  expect(() => amdgpuVm.rootsFromRegs({ base: 1n << 28n, generation: 8n })).toThrow(/28 bits expected/)
  expect(amdgpuVm.rootsFromRegs({ base: 0x1_0000_0000n, generation: 12n })).toEqual([])
  // the GART: a flat page table
  const [gart] = amdgpuVm.rootsFromRegs({ base: 0x1_0000_0001n, generation: 9n, depth: 0n })
  expect(amdgpuVm.geometry(gart!.params).nodes.map(({ id }) => id)).toEqual(['PTB'])
})
