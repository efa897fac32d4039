/** The conformance kit: the runner of golden vectors. It names no format; what it needs of one is its `VectorBinding`. */

export { describeOutcome } from './describe.ts'
export type { Mismatch, VectorOutcome } from './report.ts'
export { runVectorFile, vectorFormat } from './run.ts'
