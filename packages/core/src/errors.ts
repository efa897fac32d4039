/** The error type of every package; it is declared beside the allocator, the lowest package of the stack. */
export { type ErrorCode, hex, IoPgtableError } from '@io-pgtable/pt-allocator'
