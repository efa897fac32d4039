/** How golden vectors that were recorded from Linux's driver speak of this format. */
import type { DriverVectorBinding, VectorBinding, VectorMembers, VectorTable } from '@io-pgtable/core'
import { type Prot, protOf } from '@io-pgtable/core'
import { commonConfig, unmapAndTrim } from '@io-pgtable/gpu-common/vectors'
import { powervrRogue } from './index.ts'

const binding: DriverVectorBinding<typeof powervrRogue> = {
  family: 'driver',
  format: 'powervr-rogue',
  fmt: powervrRogue,
  config: commonConfig,
  registers: ({ config }) => ({ leafEntries: Number(0x20_0000n / config.pgsizeBitmap) }),
  level: (node) => node.level,
  tableAddressMask: (_config, node) => (node.level === 2 ? 0xffff_fff0n : 0xff_ffff_ffe0n),
  tableMemory: () => 0xa5_a5a0_0000n,
  operations: { map, unmap: unmapAndTrim },
}

/** The driver takes back what a map did before it met a mapping, and the tables that came for it. */
function map(table: VectorTable<typeof powervrRogue>, op: VectorMembers): { mapped: number; error: unknown } {
  const [iova, pgsize] = [BigInt(op.iova as string), Number(op.pgsize)]
  const prot = protOf(op.prot as readonly (keyof typeof Prot)[])
  const { mapped, error } = table.mapPages(iova, BigInt(op.paddr as string), pgsize, Number(op.pgcount), prot)
  if (error === undefined) return { mapped, error: null }
  if (mapped > 0) table.unmapPages(iova, pgsize, mapped / pgsize)
  table.trim()
  return { mapped: 0, error }
}

export const vectorBindings: readonly VectorBinding[] = [binding]
