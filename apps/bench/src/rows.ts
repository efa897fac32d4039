/** All rows, in the order in which they run and are printed. */
import { FILL, MEMORY, READ } from './references.ts'
import type { HeapRow, Row } from './row.ts'
import { formatRows } from './rows-formats.ts'
import { gpuvmRows } from './rows-gpuvm.ts'
import { inspectRows } from './rows-inspect.ts'
import { leafRows } from './rows-leaves.ts'
import { createRows, heapRows } from './rows-lifetime.ts'
import { lockRows } from './rows-lock.ts'
import { blockRows, largeMapRow, mapRow, mapRows, mixedRows } from './rows-map.ts'
import { mmuRows } from './rows-mmu.ts'
import { largeTranslateRow, translateRows } from './rows-translate.ts'
import { dropRow, unmapRow, unmapRows } from './rows-unmap.ts'
import { ARM64, ARM64_LARGE, ARM64_WASM, SV32, V7S } from './subject.ts'

/** The references come first: they are part of every run. */
export const REFERENCES: readonly Row[] = [FILL, MEMORY, READ]

export const ROWS: readonly Row[] = [
  ...mapRows(ARM64),
  ...unmapRows(ARM64),
  ...translateRows(ARM64),
  ...blockRows(ARM64),
  ...mixedRows(ARM64),
  dropRow(ARM64),
  ...createRows(ARM64),
  ...lockRows(ARM64),
  mapRow(ARM64_WASM, 512, 'present'),
  mapRow(ARM64_WASM, ARM64_WASM.bytes / ARM64_WASM.page, 'present'),
  unmapRow(ARM64_WASM, 512, false),
  mapRow(ARM64_WASM, 1, 'present'),
  largeMapRow(ARM64_LARGE),
  largeTranslateRow(ARM64_LARGE),
  ...mapRows(V7S),
  ...unmapRows(V7S),
  ...translateRows(V7S),
  ...leafRows(ARM64),
  ...leafRows(SV32),
  ...mmuRows(ARM64, V7S),
  ...formatRows(),
  ...[...inspectRows(), ...gpuvmRows(ARM64)].map((row) => ({ ...row, ballast: true })),
]

export const HEAP_ROWS: readonly HeapRow[] = [...heapRows(ARM64), ...heapRows(V7S)]
