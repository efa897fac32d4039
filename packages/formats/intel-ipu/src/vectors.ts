/** How golden vectors that were recorded from Linux's drivers speak of this format. */
import { type DriverVectorBinding, type Prot, protOf, type VectorBinding, type VectorMembers, type VectorTable } from '@io-pgtable/core'
import { commonConfig } from '@io-pgtable/gpu-common/vectors'
import { intelIpu } from './index.ts'

type Table = VectorTable<typeof intelIpu>

const common: Omit<DriverVectorBinding<typeof intelIpu>, 'format'> = {
  family: 'driver',
  fmt: intelIpu,
  config: (config) => ({ ...commonConfig(config), dummyPage: 0x9400_0000n, dummyTable: 0x9400_1000n }),
  registers: () => ({ l1PhysShift: 12, scratchPageBytes: 4096, scratchTableBytes: 4096, rootEntries: 1024 }),
  level: (node) => node.level,
  tableAddressMask: () => 0xffff_ffffn,
  tableMemory: () => 0xa5a0_0000n,
  /** The driver counts its dummy page and dummy table. */
  tableBytes: (table) => table.tableBytes + 8192,
}

const ipu3: DriverVectorBinding<typeof intelIpu> = { ...common, format: 'intel-ipu3', errors: { EBUSY: 'EEXIST' } }

const ipu6: DriverVectorBinding<typeof intelIpu> = {
  ...common,
  format: 'intel-ipu6',
  errors: { EINVAL: 'EEXIST' },
  operations: { map, unmap },
}

/** IPU6's driver takes back what a map did before it met a mapping. */
function map(table: Table, op: VectorMembers): { mapped: number; error: unknown } {
  const [iova, pgsize] = [BigInt(op.iova as string), Number(op.pgsize)]
  const prot = protOf(op.prot as readonly (keyof typeof Prot)[])
  const { mapped, error } = table.mapPages(iova, BigInt(op.paddr as string), pgsize, Number(op.pgcount), prot)
  if (error === undefined) return { mapped, error: null }
  if (mapped > 0) table.unmapPages(iova, pgsize, mapped / pgsize)
  return { mapped: 0, error }
}

/** It counts the pages that it passes, mapped or not, up to the first that has no L2. */
function unmap(table: Table, op: VectorMembers): { unmapped: number } {
  const [first, pgsize] = [BigInt(op.iova as string), Number(op.pgsize)]
  let unmapped = 0
  for (; unmapped < pgsize * Number(op.pgcount); unmapped += pgsize) {
    const iova = first + BigInt(unmapped)
    if (table.walk(iova).length < 2) break
    table.unmapPages(iova, pgsize, 1)
  }
  return { unmapped }
}

export const vectorBindings: readonly VectorBinding[] = [ipu3, ipu6]
