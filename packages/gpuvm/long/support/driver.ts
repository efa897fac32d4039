/**
 * A GPU driver in the manner of Tyr and Panthor, for any format: VMs with buffers in them, a few address-space slots that they take turns in,
 * requests that lock, change and flush a range once, jobs, and faults that are looked into.
 */
import {
  type AnyFmt,
  type ConfigOf,
  Device,
  type Devres,
  type DevresGuard,
  IoPageTable,
  IoPgtableError,
  type Prot,
  type ReadMemory,
} from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { GpuAddressSpace, GpuVm, type GpuVmPlan } from '../../src/index.ts'
import { Firmware } from './firmware.ts'
import { type Command, Job } from './job.ts'
import { Addresses, Buffer, Ram } from './memory.ts'
import { type AddressSpace, type Fault, Mmu } from './mmu.ts'

/** Where the tables are, and the memory of buffers: below 4 GiB, which all formats reach. */
const TABLES = { base: 0x8000_0000n, size: 16 * 2 ** 20, name: 'gpu tables' }
const BUFFERS = { first: 0x9000_0000n, end: 0xf000_0000n }
/** Faults of one job, after which something is wrong with the driver. */
const FAULTS = 64

/** A range that gets its memory when a job first comes there. */
interface Heap {
  readonly addr: bigint
  readonly size: number
  readonly buffer: Buffer
  /** What one fault maps, bytes. */
  readonly chunk: number
  readonly prot: Prot
}

export interface Vm {
  readonly name: string
  readonly table: Devres<IoPageTable>
  readonly space: GpuAddressSpace<Buffer>
  readonly heaps: Heap[]
  /** What its slot's registers get. */
  readonly registers: AddressSpace
  /** Where it is, while it is in one. */
  slot: number | undefined
}

interface VmOptions {
  readonly start: bigint
  readonly range: bigint
  readonly kernel?: { readonly addr: bigint; readonly range: bigint }
}

/** A fault of a job, and what was done about it. */
export interface HandledFault extends Fault {
  /** The plan that fixed it; undefined when nothing did, and the job was ended. */
  readonly fix: GpuVmPlan<Buffer> | undefined
}

export interface JobResult {
  readonly outcome: 'done' | 'fault' | 'wrong'
  readonly message: string | undefined
  readonly faults: readonly HandledFault[]
}

export class GpuDriver<F extends AnyFmt = AnyFmt> {
  readonly format: F
  readonly pool: PtPool
  /** Pages that an invalidation by address would have named. */
  pagesByAddress = 0
  readonly firmware: Firmware
  readonly #config: ConfigOf<F>
  readonly #device: Device = new Device('gpu')
  readonly #ram: Ram = new Ram()
  readonly #addresses: Addresses = new Addresses(BUFFERS.first, BUFFERS.end)
  readonly #vms: Vm[] = []
  /** VMs by slot, and the order in which they were last used. */
  readonly #slots: (Vm | undefined)[]
  readonly #recent: Vm[] = []

  /** @param most bytes of table memory */
  constructor(format: F, config: ConfigOf<F>, slots: number, most?: number) {
    this.format = format
    this.pool = new PtPool({ ...TABLES, ...(most !== undefined && { ceiling: most }) })
    this.#config = config
    const tables: ReadMemory = (paddr, bytes) => readPool(this.pool, paddr, bytes)
    this.firmware = new Firmware(new Mmu(slots, { tables, ram: this.#ram }))
    this.#slots = Array.from({ length: slots })
    this.#device.bind()
  }

  get mmu(): Mmu {
    return this.firmware.mmu
  }

  createBuffer(name: string, size: number, chunk?: number): Buffer {
    return new Buffer(name, size, chunk, this.#addresses)
  }

  createVm(name: string, { start, range, kernel }: VmOptions): Vm {
    const table: Devres<IoPageTable> = IoPageTable.create(this.#device, this.format as AnyFmt, {
      ...this.#config,
      allocator: this.pool,
      tlb: { flushAll() {}, flushWalk() {}, addPages: (_gather, _iova, _granule, count) => void (this.pagesByAddress += count), sync() {} },
      name,
    })
    const opened = table.access()
    const gpuvm = new GpuVm<Buffer>({ name, start, range, ...(kernel && { reserved: [{ ...kernel, name: 'kernel' }] }) })
    const space = new GpuAddressSpace<Buffer>(gpuvm, opened, {
      backing: (buffer, offset, bytes) => buffer.backing(offset, bytes),
      lock: ({ first, last }) => this.#lock(vm, first, last),
      unlock: () => this.#unlock(vm),
    })
    const registers: AddressSpace = {
      geometry: opened.geometry,
      roots: opened.roots,
      prot: (leaf) => this.format.prot(leaf.raw, leaf.kind, opened.context),
    }
    const vm: Vm = { name, table, space, heaps: [], registers, slot: undefined }
    this.#vms.push(vm)
    return vm
  }

  /** Only the slot that a VM is in can have cached anything of it. */
  #lock({ slot }: Vm, first: bigint, last: bigint): void {
    if (slot !== undefined) this.firmware.lock(slot, first, last)
  }

  #unlock({ slot }: Vm): void {
    if (slot !== undefined) this.firmware.flushUnlock(slot)
  }

  map(vm: Vm, addr: bigint, buffer: Buffer, offset: bigint, range: bigint, prot: Prot): GpuVmPlan<Buffer> {
    const { space } = vm
    const bo = space.vm.obtain(buffer)
    // a VM that did not know the buffer when it was evicted
    if (!buffer.resident && !bo.evicted) space.evict(bo)
    return space.map({ addr, range, bo, offset, flags: prot })
  }

  unmap(vm: Vm, addr: bigint, range: bigint): GpuVmPlan<Buffer> {
    return vm.space.unmap({ addr, range })
  }

  /** Takes a buffer's memory away, in every VM that knows it. */
  evict(buffer: Buffer): GpuVmPlan<Buffer>[] {
    const plans = this.#users(buffer).map(({ space }) => space.evict(space.vm.obtain(buffer)))
    buffer.swapOut(this.#ram)
    return plans
  }

  /** Gives it other memory, with the same contents. */
  restore(buffer: Buffer): GpuVmPlan<Buffer>[] {
    buffer.swapIn(this.#ram, this.#addresses)
    return this.#users(buffer).map(({ space }) => space.restore(space.vm.obtain(buffer)))
  }

  #users(buffer: Buffer): Vm[] {
    return this.#vms.filter(({ space }) => [...space.vm.bos].some(({ object }) => object === buffer))
  }

  /** Runs a job to its end. A fault in a heap gets its memory, and the job goes on; any other ends it. */
  run(vm: Vm, commands: readonly Command[]): JobResult {
    const guard: DevresGuard<IoPageTable> = vm.table.acquire()
    try {
      return this.#run(vm, new Job(commands))
    } finally {
      guard.release()
    }
  }

  #run(vm: Vm, job: Job): JobResult {
    const slot = this.#enter(vm)
    const faults: HandledFault[] = []
    for (;;) {
      const result = job.run(this.mmu, slot)
      if (result.state === 'done') return { outcome: 'done', message: undefined, faults }
      if (result.state === 'wrong') return { outcome: 'wrong', message: result.message, faults }
      const fix = faults.length < FAULTS ? this.#fix(vm, result.fault.address) : undefined
      faults.push({ ...result.fault, fix })
      if (fix === undefined) return { outcome: 'fault', message: 'a fault that nothing fixes', faults }
    }
  }

  /** Maps the piece of a heap that a fault is in; nothing when it is in none, or mapped already. */
  #fix(vm: Vm, address: bigint): GpuVmPlan<Buffer> | undefined {
    const heap = vm.heaps.find(({ addr, size }) => addr <= address && address < addr + BigInt(size))
    if (heap === undefined) return undefined
    const offset = ((address - heap.addr) / BigInt(heap.chunk)) * BigInt(heap.chunk)
    if (vm.space.vm.find(heap.addr + offset) !== undefined) return undefined
    const left = BigInt(heap.size) - offset
    const size = left < BigInt(heap.chunk) ? left : BigInt(heap.chunk)
    return this.map(vm, heap.addr + offset, heap.buffer, offset, size, heap.prot)
  }

  /** Gives the VM a slot, the one that was used longest ago if need be. */
  #enter(vm: Vm): number {
    const at = this.#recent.indexOf(vm)
    if (at >= 0) this.#recent.splice(at, 1)
    this.#recent.push(vm)
    if (vm.slot !== undefined) return vm.slot
    const free = this.#slots.indexOf(undefined)
    const slot = free >= 0 ? free : (this.#recent.find((one) => one.slot !== undefined)?.slot ?? 0)
    const before = this.#slots[slot]
    if (before !== undefined) before.slot = undefined
    this.firmware.assign(slot, vm.registers)
    this.#slots[slot] = vm
    vm.slot = slot
    return slot
  }

  /** The end: the GPU forgets everything, then the device unbinds. @returns the code of the error that a kept table gives */
  unbind(): string {
    for (const [slot, vm] of this.#slots.entries()) if (vm !== undefined) this.firmware.assign(slot, undefined)
    const kept = this.#vms.map(({ table }) => table.access())
    this.#device.unbind()
    return [...new Set(kept.map((table) => codeOf(() => table.iovaToPhys(0n))))].join(', ')
  }
}

/** What `use` throws. */
function codeOf(use: () => unknown): string {
  try {
    use()
    return 'nothing was thrown'
  } catch (error) {
    return error instanceof IoPgtableError ? error.code : String(error)
  }
}

function readPool({ base, size, words }: PtPool, paddr: bigint, bytes: number): Uint8Array | undefined {
  const at = Number(paddr - base)
  return at < 0 || at + bytes > size ? undefined : new Uint8Array(words.buffer, words.byteOffset + at, bytes)
}
