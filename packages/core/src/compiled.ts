/**
 * Internal: what this repository's packages share of a compiled declaration. It is no part of the interface and changes without notice.
 */
export { type LaneKind, type LaneLeaf, type LaneNode, type LaneTable, laneLeafOf, laneNodes } from './compile/lane-node.ts'
export { laneHi, laneLo, lanePieces, movesOf } from './compile/lane-pieces.ts'
export type { Moves } from './hot/moves.ts'
