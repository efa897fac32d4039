/** Stage 2 of AArch32, asked through stage 1: CPUs with 32-bit addresses reach 40-bit ones only by tables of stage 1, which are made for each question. */
import { type Arm32LpaeS1Config, arm32LpaeS1 } from '@io-pgtable/arm32-lpae-s1'
import { IoPageTable, Prot, pgsizeBitmap, SZ_4K } from '@io-pgtable/core'
import { guestPool } from '../machine/guest-pool.ts'
import type { A32Registers, Arm32 } from './arm32.ts'
import type { Ask } from './rules.ts'

/** Stage 1's own tables and the code of loads and stores, as stage 1 sees them, and where they are. */
export interface NestedMemory {
  readonly tables: { readonly iova: bigint; readonly paddr: bigint; readonly size: number }
  readonly code: { readonly iova: bigint; readonly paddr: bigint; readonly size: number }
}

const STAGE1: Arm32LpaeS1Config = { pgsizeBitmap: pgsizeBitmap(SZ_4K), ias: 32, oas: 40 }
const PAGE = BigInt(SZ_4K)
const ALL = Prot.READ | Prot.WRITE | Prot.CACHE

/** Asks about addresses of stage 2, which maps the memory as it says. */
export function nested(cpu: Arm32, { tables, code }: NestedMemory, registers: Pick<A32Registers, 'vttbr' | 'vtcr'>): Ask {
  const { qtest } = cpu.machine
  return async (questions) => {
    const allocator = guestPool(qtest, { base: tables.iova, size: tables.size }, tables.paddr - tables.iova)
    const table = IoPageTable.createRaw(arm32LpaeS1, { allocator, ...STAGE1 })
    const pages = new Map<bigint, bigint>()
    const inputOf = (address: bigint): bigint => {
      const frame = address / PAGE
      const page = pages.get(frame) ?? BigInt(pages.size) * PAGE
      if (!pages.has(frame)) table.map(page, frame * PAGE, SZ_4K, ALL)
      pages.set(frame, page)
      return page + (address % PAGE)
    }
    const through = questions.map(({ iova, access }) => ({ iova: inputOf(iova), access }))
    const accessCode = inputOf(code.iova)
    await qtest.settle()
    const { ttbr, ttbcr = 0n, mair0, mair1 } = table.regs
    return cpu.stages({ ttbr0: ttbr, ttbcr, mair0, mair1, accessCode, ...registers })(through)
  }
}
