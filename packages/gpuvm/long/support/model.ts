/** What a VM's tables should say, page by page, so simple that it is obviously right. */
import { hex, Prot, walkTables } from '@io-pgtable/core'
import type { Vm } from './driver.ts'
import { type Buffer, PAGE } from './memory.ts'

interface Page {
  readonly buffer: Buffer
  readonly offset: number
  readonly prot: Prot
}

/** What a batch translation says of an address that is not mapped: all bits. */
const UNMAPPED = 2 ** 32 * 0xffff_ffff + 0xffff_ffff

export class VmModel {
  readonly #vm: Vm
  /** By address: those of a scenario are numbers. */
  readonly #pages = new Map<number, Page>()
  readonly #iovas: BigUint64Array
  readonly #out: BigUint64Array
  /** The lanes of what was translated. */
  readonly #lanes: Uint32Array

  constructor(vm: Vm) {
    const { start, range } = vm.space.vm
    this.#vm = vm
    this.#iovas = BigUint64Array.from({ length: Number(range) / PAGE }, (_, i) => start + BigInt(i * PAGE))
    this.#out = new BigUint64Array(this.#iovas.length)
    this.#lanes = new Uint32Array(this.#out.buffer)
  }

  map(addr: bigint, size: bigint, buffer: Buffer, offset: bigint, prot: Prot): void {
    for (let at = 0; at < Number(size); at += PAGE) this.#pages.set(Number(addr) + at, { buffer, offset: Number(offset) + at, prot })
  }

  unmap(addr: bigint, size: bigint): void {
    for (let at = 0; at < Number(size); at += PAGE) this.#pages.delete(Number(addr) + at)
  }

  get pages(): number {
    return this.#pages.size
  }

  /** What is wrong in the translation of any page of the VA space, or in the VA space itself. */
  differences(): string[] {
    return [...this.#translations(), ...this.#mappings()]
  }

  #translations(): string[] {
    const { space, table } = this.#vm
    const start = Number(space.vm.start)
    table.access().iovaToPhysMany(this.#iovas, this.#out)
    const wrong: string[] = []
    for (let i = 0; i < this.#out.length; i++) {
      const page = this.#pages.get(start + i * PAGE)
      const want = page?.buffer.addressAt(page.offset) ?? UNMAPPED
      const got = (this.#lanes[2 * i + 1] ?? 0) * 2 ** 32 + (this.#lanes[2 * i] ?? 0)
      if (got !== want) wrong.push(`${hex(start + i * PAGE)} translates to ${textOf(got)}, not to ${textOf(want)}`)
    }
    return wrong
  }

  /** The VA space has the pages of the model, and no others. */
  #mappings(): string[] {
    let pages = 0
    const wrong: string[] = []
    for (const { addr, range, offset, bo } of this.#vm.space.vm.mappings()) {
      for (let at = 0; at < Number(range); at += PAGE, pages++) {
        const page = this.#pages.get(Number(addr) + at)
        if (page?.buffer !== bo.object || page.offset !== Number(offset) + at)
          wrong.push(`the VA space has another mapping at ${hex(Number(addr) + at)}`)
      }
    }
    if (pages !== this.#pages.size) wrong.push(`the VA space has ${pages} pages, not ${this.#pages.size}`)
    return wrong
  }

  /** What is wrong in the permissions that the descriptors grant. */
  permissions(): string[] {
    const { table, registers } = this.#vm
    const { geometry, roots, readMemory } = table.access()
    const wrong: string[] = []
    walkTables(geometry, roots, readMemory, {
      leaf: (leaf) => {
        const prot = registers.prot(leaf) & (Prot.READ | Prot.WRITE)
        const want = (this.#pages.get(Number(leaf.iova))?.prot ?? 0) & (Prot.READ | Prot.WRITE)
        if (prot !== want) wrong.push(`the leaf at ${hex(leaf.iova)} grants ${prot}, not ${want}`)
      },
    })
    return wrong
  }
}

function textOf(paddr: number): string {
  return paddr === UNMAPPED ? 'nothing' : hex(paddr)
}
