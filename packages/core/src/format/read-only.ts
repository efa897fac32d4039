/** Formats that only read. */
import type { FormatConfig, IoPageTableFmt } from './format.ts'

/** The members that a format has to say only where it writes. */
type Written = 'writes' | 'policy' | 'encodeLeaf' | 'encodeTable' | 'regs'

/** A format that only reads, as it is declared. */
export type ReadOnlyFmt<C extends FormatConfig = FormatConfig, R = unknown, P = unknown, D = unknown, H = unknown> = Omit<
  IoPageTableFmt<C, R, P, D, H>,
  Written
> &
  Partial<Pick<IoPageTableFmt<C, R, P, D, H>, 'regs'>>

/**
 * A format that only reads: its tables are decoded, walked and explained, and what they grant is told, but none is made or changed. Without
 * `regs`, by which the way back from raw registers is tested, registers are the addresses of the `roots`.
 */
export function readOnly<C extends FormatConfig, R, P, D, H>(format: ReadOnlyFmt<C, R, P, D, H>): IoPageTableFmt<C, R, P, D, H> {
  return {
    regs: (_config, roots) => ({ roots }) as R,
    ...format,
    writes: false,
    policy: () => ({ conflict: 'table', freeTables: 'never', flushOrder: 'walks-first', addPagesWithoutGather: false }),
    encodeLeaf: () => undefined,
    encodeTable: () => 0n,
  }
}
