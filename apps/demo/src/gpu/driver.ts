/**
 * A GPU driver in the manner of Tyr and Panthor, for any format: VMs with buffers in them, a few address-space slots that they take turns
 * in, requests that lock, change and flush a range once, jobs, and heaps that get memory where a job faults.
 */
import { type AnyFmt, type ConfigOf, Device, type Devres, IoPageTable, NOOP_FLUSH_OPS, Prot } from '@io-pgtable/core'
import { GpuAddressSpace, GpuVm, type GpuVmPlan, type Segment } from '@io-pgtable/gpuvm'
import type { Tables } from '@io-pgtable/inspect'
import { PtPool } from '@io-pgtable/pt-allocator'
import { type Fault, Gpu, PAGE } from './gpu.ts'

/** A buffer object. With `chunk` its memory is in pieces of that size, which lie apart. */
export interface Buffer {
  readonly name: string
  readonly size: bigint
  readonly chunk?: number
  paddr: bigint
}

/** Commands of a job: all pages of a range are written, or must hold a value. */
export interface Command {
  readonly op: 'fill' | 'expect'
  readonly at: bigint
  readonly size: number
  readonly value: number
}

export interface Vm {
  readonly table: Devres<IoPageTable>
  readonly space: GpuAddressSpace<Buffer>
  readonly tables: Tables
  heap?: { readonly at: bigint; readonly buffer: Buffer; readonly chunk: bigint }
  slot: number | undefined
}

/** How a job ended. `faults` were fixed, `fault` was not; `wrong` is what a page held instead. */
export interface JobResult {
  readonly faults: readonly Fault[]
  readonly fault?: Fault
  readonly wrong?: number
}

export class GpuDriver<F extends AnyFmt = AnyFmt> {
  readonly pool: PtPool = new PtPool({ base: 0x8000_0000n, size: 2 ** 24, name: 'gpu tables' })
  readonly device: Device = new Device('gpu').bind()
  readonly gpu: Gpu
  readonly #format: F
  readonly #config: ConfigOf<F>
  /** VMs by slot, and the order in which they were last used. */
  readonly #slots: (Vm | undefined)[]
  readonly #recent: Vm[] = []

  constructor(format: F, config: ConfigOf<F>, slots = 2) {
    this.#format = format
    this.#config = config
    this.gpu = new Gpu(slots)
    this.#slots = Array.from({ length: slots })
  }

  createVm(name: string, start: bigint, range: bigint): Vm {
    const request = { ...this.#config, allocator: this.pool, tlb: NOOP_FLUSH_OPS, name }
    const table: Devres<IoPageTable> = IoPageTable.create(this.device, this.#format as AnyFmt, request)
    const { format, geometry, context, roots, readMemory: read } = table.access()
    const tables = { name, format, geometry, context, roots, first: 0n, last: (1n << 64n) - 1n, read }
    const reserved = [{ addr: start + range - 0x10_0000n, range: 0x10_0000n, name: 'kernel' }]
    const space = new GpuAddressSpace(new GpuVm<Buffer>({ name, start, range, reserved }), table.access(), {
      backing,
      // only the slot that a VM is in can have cached anything of it
      lock: ({ first, last }) => vm.slot !== undefined && this.gpu.lock(vm.slot, first, last),
      unlock: () => vm.slot !== undefined && this.gpu.flushUnlock(vm.slot),
    })
    const vm: Vm = { table, space, tables, slot: undefined }
    return vm
  }

  /** A request of the user: whatever is in the range gives way. */
  bind({ space }: Vm, addr: bigint, buffer: Buffer, range: bigint = buffer.size, flags: Prot = Prot.READ | Prot.WRITE): GpuVmPlan<Buffer> {
    return space.map({ addr, range, bo: space.vm.obtain(buffer), flags })
  }

  /** Takes a buffer's memory away in every VM, and gives it other memory with the same contents. */
  move(buffer: Buffer, to: bigint, vms: readonly Vm[], between: () => void = () => undefined): void {
    for (const { space } of vms) space.evict(space.vm.obtain(buffer))
    between()
    this.gpu.move(buffer.paddr, to, Number(buffer.size))
    buffer.paddr = to
    for (const { space } of vms) space.restore(space.vm.obtain(buffer))
  }

  /** Runs a job. A fault in the heap gets its chunk of memory, and the job goes on where it was; any other ends it. */
  run(vm: Vm, commands: readonly Command[]): JobResult {
    const guard = vm.table.acquire()
    const slot = this.#enter(vm)
    const faults: Fault[] = []
    try {
      for (const { op, at, size, value } of commands)
        for (let done = 0; done < size; ) {
          const got = this.gpu.access(slot, at + BigInt(done), op === 'fill' ? value : undefined)
          if (typeof got === 'number') {
            if (got !== value) return { faults, wrong: got }
            done += PAGE
          } else if (this.#grow(vm, got)) faults.push(got)
          else return { faults, fault: got }
        }
      return { faults }
    } finally {
      guard.release()
    }
  }

  #grow(vm: Vm, { address }: Fault): boolean {
    const { heap, space } = vm
    if (heap === undefined || address < heap.at || address >= heap.at + heap.buffer.size) return false
    const offset = ((address - heap.at) / heap.chunk) * heap.chunk
    if (space.vm.find(heap.at + offset) !== undefined) return false
    space.map({ addr: heap.at + offset, range: heap.chunk, bo: space.vm.obtain(heap.buffer), offset, flags: Prot.READ | Prot.WRITE })
    return true
  }

  /** Gives the VM a slot, the one that was used longest ago if need be. */
  #enter(vm: Vm): number {
    if (this.#recent.includes(vm)) this.#recent.splice(this.#recent.indexOf(vm), 1)
    this.#recent.push(vm)
    if (vm.slot !== undefined) return vm.slot
    const free = this.#slots.indexOf(undefined)
    const slot = free >= 0 ? free : (this.#recent.find((one) => one.slot !== undefined)?.slot ?? 0)
    const before = this.#slots[slot]
    if (before !== undefined) before.slot = undefined
    this.gpu.program(slot, vm.tables)
    this.#slots[slot] = vm
    vm.slot = slot
    return slot
  }
}

/** Pages of a VM that do not translate to where its VA space says. */
export function wrongPages({ space, table }: Vm): number {
  let wrong = 0
  for (const { addr, range, offset, bo } of space.vm.mappings())
    for (let at = 0n; at < range; at += BigInt(PAGE)) {
      const [piece] = backing(bo.object, offset + at, PAGE)
      if (table.access().iovaToPhys(addr + at) !== piece?.paddr) wrong++
    }
  return wrong
}

/** The memory behind a part of a buffer. */
function* backing({ paddr, chunk, size }: Buffer, offset: bigint, bytes: number): Generator<Segment> {
  const piece = BigInt(chunk ?? size)
  for (let at = offset; at < offset + BigInt(bytes); ) {
    const end = (at / piece + 1n) * piece
    const length = (end < offset + BigInt(bytes) ? end : offset + BigInt(bytes)) - at
    // pieces lie a page apart
    yield { paddr: paddr + at + (at / piece) * BigInt(PAGE), size: Number(length) }
    at += length
  }
}
