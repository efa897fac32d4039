/** A thread of range-lock.test.ts: it stays inside an unmap of 0x100000..0x10ffff until it is let go. */
import { parentPort, workerData } from 'node:worker_threads'
import { IoPageTable, type TableToken } from '@io-pgtable/core'
import { toy } from './toy-format.ts'

export interface HoldData {
  readonly token: TableToken
  /** Its word becomes 1 when the thread may go on. */
  readonly gate: SharedArrayBuffer
}

const { token, gate } = workerData as HoldData
const table = IoPageTable.attach(toy({ dirty: true }), token, {
  tlb: {
    flushAll() {},
    flushWalk() {
      parentPort?.postMessage('holding')
      Atomics.wait(new Int32Array(gate), 0, 0, 20_000)
    },
  },
})
parentPort?.postMessage(table.unmapPages(0x10_0000n, 0x1_0000, 1))
