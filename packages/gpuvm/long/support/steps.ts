/** Scenarios: VMs, buffers, and what is asked of them. Addresses and sizes are bytes. */
import { Prot } from '@io-pgtable/core'
import type { Command } from './job.ts'

export const KiB = 1024
export const MiB = 1024 * KiB
export const RW: Prot = Prot.READ | Prot.WRITE

export interface VmSpec {
  readonly name: string
  readonly start: number
  readonly size: number
  /** The kernel's range, which requests must leave alone. */
  readonly kernel?: { readonly at: number; readonly size: number }
}

/** `pieces`: its memory is in pieces of that size; one piece without. */
export interface BufferSpec {
  readonly size: number
  readonly pieces?: number
}

interface Mapping {
  readonly vm: string
  readonly buffer: string
  readonly at: number
  readonly size: number
}

/** `refused`: the code of the error that the request is to give; without it, it is to succeed. */
export type Step = { readonly refused?: string } & (
  | ({ readonly op: 'map'; readonly offset: number; readonly prot: Prot } & Mapping)
  /** Addresses that get `chunk` bytes of memory when a job comes there. */
  | ({ readonly op: 'heap'; readonly chunk: number } & Mapping)
  | { readonly op: 'unmap'; readonly vm: string; readonly at: number; readonly size: number }
  /** Of every VM. */
  | { readonly op: 'evict'; readonly buffer: string }
  | { readonly op: 'restore'; readonly buffer: string }
  /** `faults`: it is to be ended by one. */
  | { readonly op: 'job'; readonly vm: string; readonly commands: readonly Command[]; readonly faults?: true }
)

export interface Scenario {
  /** Address-space slots of the GPU. */
  readonly slots: number
  /** Most bytes of table memory. */
  readonly tables?: number
  readonly buffers: Readonly<Record<string, BufferSpec>>
  readonly vms: readonly VmSpec[]
  readonly steps: readonly Step[]
}

type Options = Partial<{ vm: string; offset: number; prot: Prot; refused: string }>

/** Steps as people write them, on the VM `vm` unless another one is named. */
export function stepsOn(vm: string) {
  return {
    map: (buffer: string, at: number, size: number, options: Options = {}): Step => {
      return { op: 'map', vm, buffer, at, size, offset: 0, prot: RW, ...options }
    },
    unmap: (at: number, size: number): Step => ({ op: 'unmap', vm, at, size }),
    heap: (buffer: string, at: number, size: number, chunk: number): Step => ({ op: 'heap', vm, buffer, at, size, chunk }),
    job: (commands: readonly Command[]): Step => ({ op: 'job', vm, commands }),
    faultingJob: (commands: readonly Command[]): Step => ({ op: 'job', vm, commands, faults: true }),
  }
}

export const evict = (buffer: string): Step => ({ op: 'evict', buffer })
export const restore = (buffer: string): Step => ({ op: 'restore', buffer })

export const fill = (at: number, size: number, value: number): Command => ({ op: 'fill', at: BigInt(at), size, value })
export const expects = (at: number, size: number, value: number): Command => ({ op: 'expect', at: BigInt(at), size, value })
export const copy = (at: number, from: number, size: number): Command => ({ op: 'copy', at: BigInt(at), from: BigInt(from), size })
