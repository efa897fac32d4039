/** How golden vectors that were recorded from Linux's driver speak of this format. */
import { type Agreed, hex, type VectorBinding, type VectorFact } from '@io-pgtable/core'
import { type OmapIommuConfig, omapIommu } from './index.ts'

/** `[pgsize, endian, element size, mixed, paddr, raw]`: a leaf of a table with these attributes. */
const attribute: VectorFact<typeof omapIommu> = ({ pgsize, endian, 'element size': size, mixed, paddr }, _config, table) => {
  if (table === undefined) return { leftOut: 'no configuration' }
  const elementSize = ([8, 16, 32, 0] as const)[size as number] ?? 0
  const config: Agreed<OmapIommuConfig> = { ...table.config, elementSize, bigEndian: endian === 1, mixed: mixed === 1 }
  for (const node of table.geometry.nodes)
    for (const kind of node.kinds)
      if (kind.type === 'leaf' && kind.sizes.some((s) => s.pgsize === pgsize))
        return omapIommu.encodeLeaf(config, node, kind, 0)! | kind.set | BigInt(paddr as string)
  return { leftOut: `no page of ${pgsize} bytes` }
}

export const vectorBindings: readonly VectorBinding<typeof omapIommu>[] = [
  {
    family: 'driver',
    format: 'omap-iommu',
    fmt: omapIommu,
    config: (_config, usual) => ({ ...usual, quirks: [] }),
    registers: ({ regs, roots }) => ({ ttbAttr: hex(regs.ttb ^ (roots[0] ?? 0n)) }),
    rootRegister: ({ ttb }) => ttb,
    level: (node) => node.level,
    tableAddressMask: () => 0xffff_fc00n,
    unmapsFound: 'range',
    /** Linux frees a table with its last page. */
    trims: true,
    facts: { attributes: attribute },
    differences: {
      holesCountAsUnmapped: {
        op: 'unmap',
        when: 'hole',
        reason: 'Linux counts holes in a table as unmapped; here an unmap ends at the first',
      },
      unmapTakesWholeLarge: { op: 'unmap', when: 'part', reason: 'Linux unmaps the whole of a larger page; here a part of one is refused' },
    },
  },
]
