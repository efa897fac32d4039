/** A software MMU for any page-table format. See the README. */
export { Access, faultCode, faultType, Lane, lanes, memoryOf, NO_LEVEL, SPARSE } from './access.ts'
export type { MmuFault } from './fault.ts'
export { type Chunk, GuestMemory, type MemoryPiece } from './memory.ts'
export { Mmu, type MmuOptions } from './mmu.ts'
export { type Invalidation, type Size, Tlb, type TlbOptions } from './tlb.ts'
