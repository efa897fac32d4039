/** How golden vectors that were recorded from Linux's driver speak of this format. */
import { type DriverVectorBinding, hex, type VectorBinding, type VectorMembers, type VectorTable } from '@io-pgtable/core'
import { commonConfig, OVERWRITES } from '@io-pgtable/gpu-common/vectors'
import { v3d } from './index.ts'

/** A page of the caller: the files tell the bits beside its address. */
const ILLEGAL = 0x9400_0000n
const PART = 'a part of a big or super page goes, and the rest keeps the size bit; here that part is refused'

const binding: DriverVectorBinding<typeof v3d> = {
  family: 'driver',
  format: 'v3d',
  fmt: v3d,
  config: (config) => ({ ...commonConfig(config), illegal: ILLEGAL }),
  registers: ({ regs }) => ({ mmuCtl: hex(regs.ctl), illegalAddrAttr: hex(regs.illegalAddr - (ILLEGAL >> 12n)), scratchBytes: 4096 }),
  level: (node) => node.level,
  tableAddressMask: () => 0n,
  tableMemory: () => 0x5_a540_0000n,
  operations: { unmapRange },
  differences: {
    mapOverMapped: OVERWRITES,
    splitsLargePage: { op: 'unmapRange', when: 'part', reason: PART },
  },
}

/** The driver clears every entry of the range: one call a mapping here, and holes are passed over. */
function unmapRange(table: VectorTable<typeof v3d>, { iova, size }: VectorMembers): { unmapped: number } {
  const first = BigInt(iova as string)
  let unmapped = 0
  for (let offset = 0; offset < Number(size); ) {
    const bytes = table.unmapRange(first + BigInt(offset), Number(size) - offset)
    unmapped += bytes
    offset += bytes === 0 ? 4096 : bytes
  }
  return { unmapped }
}

export const vectorBindings: readonly VectorBinding[] = [binding]
