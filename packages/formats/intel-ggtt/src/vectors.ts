/** How golden vectors that were recorded from i915 and xe speak of this format. */
import { type DriverVectorBinding, deposit, hex, Prot, protOf, type VectorBinding, type VectorMembers } from '@io-pgtable/core'
import { type GgttGeneration, ggttProt, intelGgtt } from './index.ts'

/** By the names of configurations and of the facts' encoders. */
const GENERATIONS: Readonly<Record<string, GgttGeneration>> = {
  gen8: 8,
  mtl: 12,
  'i915 gen8': 8,
  'i915 mtl': 12,
  'xe xelp': 8,
  'xe xelpg': 12,
  'i915 snb': 6,
  'i915 ivb': 7,
  'i915 byt': 71,
  'i915 hsw': 75,
  'i915 iris': 76,
}

const generationOf = (name: unknown): GgttGeneration => GENERATIONS[name as string] ?? 8

const binding: DriverVectorBinding<typeof intelGgtt> = {
  family: 'driver',
  format: 'intel-ggtt',
  fmt: intelGgtt,
  config: ({ generation, size, scratch }) => ({
    generation: generationOf(generation),
    scratch: BigInt((scratch as string | undefined) ?? '0x0'),
    pgsizeBitmap: 0x1000n,
    ias: Math.log2(size as number),
    oas: 46,
  }),
  registers: ({ regs }) => ({ emptyRaw: hex(regs.scratchEntry) }),
  level: (node) => node.id,
  tableAddressMask: () => 0n,
  tableMemory: () => 0x5_a5a0_0000n,
  prot: ({ pat = 0, localMemory = false }) => ggttProt(Prot.READ | Prot.WRITE, { pat: pat as number, local: localMemory as boolean }),
  translated: (table, iova) => (((table.walk(iova).at(-1)?.raw ?? 0n) & 3n) === 3n ? { localMemory: true } : {}),
  facts: { rows: fact },
}

/** The entry that a driver's encoder makes of an address, a PAT index or cache level, permissions and the memory. */
function fact(row: VectorMembers): bigint {
  const [encoder, address, pat, prot, local] = Object.values(row)
  const generation = generationOf(encoder)
  const config = intelGgtt.configure({ generation, pgsizeBitmap: 0x1000n, ias: 31, oas: 46 })
  const [node] = intelGgtt.geometry(intelGgtt.params(config)).nodes
  const kind = node?.kinds[1]
  if (node === undefined || kind?.type !== 'leaf') throw new Error('a flat table of pages expected')
  const asked = ggttProt(protOf(prot as readonly (keyof typeof Prot)[]), { pat: pat as number, local: local as boolean })
  return (intelGgtt.encodeLeaf(config, node, kind, asked) ?? 0n) | kind.set | deposit(BigInt(address as string), kind.address)
}

export const vectorBindings: readonly VectorBinding[] = [binding]
