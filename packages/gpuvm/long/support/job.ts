/** A job: a few commands that read and write through the tables. One that faults can be run again, and goes on where it was. */
import { hex } from '@io-pgtable/core'
import { PAGE } from './memory.ts'
import type { Fault, Mmu } from './mmu.ts'

/** Sizes are bytes, whole words; values are words. */
export type Command =
  | { readonly op: 'fill'; readonly at: bigint; readonly size: number; readonly value: number }
  | { readonly op: 'copy'; readonly at: bigint; readonly from: bigint; readonly size: number }
  /** Reads, and fails when any word is another. */
  | { readonly op: 'expect'; readonly at: bigint; readonly size: number; readonly value: number }

export type JobState =
  | { readonly state: 'done' }
  | { readonly state: 'fault'; readonly fault: Fault }
  | { readonly state: 'wrong'; readonly message: string }

export class Job {
  readonly #commands: readonly Command[]
  #command = 0
  /** Bytes of the command that are done. */
  #done = 0

  constructor(commands: readonly Command[]) {
    this.#commands = commands
  }

  /** Goes on until it is done, or cannot. */
  run(mmu: Mmu, slot: number): JobState {
    for (let command = this.#commands[this.#command]; command !== undefined; command = this.#commands[this.#command]) {
      while (this.#done < command.size) {
        const stop = this.#piece(mmu, slot, command)
        if (stop !== undefined) return stop
      }
      this.#command++
      this.#done = 0
    }
    return { state: 'done' }
  }

  /** The words up to the next end of a page. */
  #piece(mmu: Mmu, slot: number, command: Command): JobState | undefined {
    const at = command.at + BigInt(this.#done)
    const words = mmu.access(slot, at, command.op === 'expect' ? 'read' : 'write')
    if (!(words instanceof Uint32Array)) return { state: 'fault', fault: words }
    const from = Number(at % BigInt(PAGE)) / 4
    const count = Math.min((command.size - this.#done) / 4, PAGE / 4 - from)
    if (command.op === 'copy') return this.#copy(mmu, slot, words, from, command)
    if (command.op === 'fill') words.fill(command.value, from, from + count)
    else {
      const wrong = words.subarray(from, from + count).findIndex((word) => word !== command.value)
      const found = words[from + wrong]
      if (wrong >= 0 && found !== undefined)
        return { state: 'wrong', message: `${hex(at + BigInt(wrong * 4))} holds ${hex(found)}, not ${hex(command.value)}` }
    }
    this.#done += count * 4
    return undefined
  }

  #copy(mmu: Mmu, slot: number, to: Uint32Array, at: number, command: Command & { op: 'copy' }): JobState | undefined {
    const source = command.from + BigInt(this.#done)
    const words = mmu.access(slot, source, 'read')
    if (!(words instanceof Uint32Array)) return { state: 'fault', fault: words }
    const from = Number(source % BigInt(PAGE)) / 4
    const count = Math.min((command.size - this.#done) / 4, PAGE / 4 - from, PAGE / 4 - at)
    to.set(words.subarray(from, from + count), at)
    this.#done += count * 4
    return undefined
  }
}
