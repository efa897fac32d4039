/** Random scenarios: requests that meet one another at page, table and buffer ends, jobs, evictions, and requests that must be refused. */
import { seededIntegers } from '@io-pgtable/conformance'
import { Prot } from '@io-pgtable/core'
import { PAGE } from './memory.ts'
import { evict, expects, fill, MiB, RW, restore, type Scenario, type Step, stepsOn, type VmSpec } from './steps.ts'

const ONE = { name: 'one', start: 0, size: 24 * MiB, kernel: { at: 23 * MiB, size: MiB } } as const satisfies VmSpec
const TWO = { name: 'two', start: 0x4000_0000, size: 12 * MiB, kernel: { at: 0x4000_0000, size: MiB } } as const satisfies VmSpec
const BUFFERS = {
  a: { size: 4 * MiB },
  b: { size: 4 * MiB, pieces: 65_536 },
  c: { size: MiB, pieces: 4096 },
  d: { size: 2 * MiB },
} as const
type Name = keyof typeof BUFFERS
const NAMES = Object.keys(BUFFERS) as Name[]

interface Page {
  readonly buffer: Name
  readonly writable: boolean
}

/** `count` steps on two VMs that take turns in one slot: the same for the same seed. */
export function randomScenario(seed: number, count: number): Scenario {
  const maker = new Maker(seededIntegers(seed))
  return { slots: 1, buffers: BUFFERS, vms: [ONE, TWO], steps: Array.from({ length: count }, () => maker.step()) }
}

class Maker {
  readonly #below: (limit: number) => number
  /** What is mapped, by VM and address. */
  readonly #mapped = new Map([ONE, TWO].map((vm) => [vm, new Map<number, Page>()]))
  readonly #evicted = new Set<Name>()

  constructor(below: (limit: number) => number) {
    this.#below = below
  }

  step(): Step {
    const what = this.#below(100)
    if (what < 45) return this.#map()
    if (what < 70) return this.#unmap()
    if (what < 85) return this.#job() ?? this.#map()
    if (what < 91) return this.#swap()
    return this.#bad()
  }

  #map(): Step {
    const vm = this.#vm()
    const buffer = NAMES.filter((name) => !this.#evicted.has(name))[this.#below(NAMES.length - this.#evicted.size)]
    if (buffer === undefined) return this.#swap()
    const { size: bytes } = BUFFERS[buffer]
    const size = this.#size(bytes)
    const offset = this.#below((bytes - size) / PAGE + 1) * PAGE
    const at = this.#place(vm, size, offset)
    const writable = this.#below(4) > 0
    for (let page = 0; page < size; page += PAGE) this.#mapped.get(vm)?.set(at + page, { buffer, writable })
    return stepsOn(vm.name).map(buffer, at, size, { offset, prot: writable ? RW : Prot.READ })
  }

  #unmap(): Step {
    const vm = this.#vm()
    const size = this.#size(4 * MiB)
    const at = this.#place(vm, size, 0)
    for (let page = 0; page < size; page += PAGE) this.#mapped.get(vm)?.delete(at + page)
    return stepsOn(vm.name).unmap(at, size)
  }

  /** Fills some pages that are mapped and reads them again; or comes to one that it may not write to, or that is not there. */
  #job(): Step | undefined {
    const vm = this.#vm()
    const mapped = this.#mapped.get(vm) ?? new Map<number, Page>()
    const [at] = [...mapped.keys()].slice(this.#below(mapped.size || 1))
    if (at === undefined) return undefined
    let size = 0
    const most = (1 + this.#below(32)) * PAGE
    for (let page = mapped.get(at); size < most && page?.writable === true && !this.#evicted.has(page.buffer); page = mapped.get(at + size))
      size += PAGE
    const value = 1 + this.#below(0xffff)
    if (size === 0) return stepsOn(vm.name).faultingJob([fill(at + 4 * this.#below(PAGE / 4), 4, value)])
    // a buffer may be mapped twice in the range: each word is written, and the last value stays
    return stepsOn(vm.name).job([fill(at, size, value), expects(at, size, value)])
  }

  #swap(): Step {
    const buffer = NAMES[this.#below(NAMES.length)] ?? 'a'
    if (this.#evicted.delete(buffer)) return restore(buffer)
    this.#evicted.add(buffer)
    return evict(buffer)
  }

  /** A request that must be refused. */
  #bad(): Step {
    const vm = this.#vm()
    const buffer = NAMES[this.#below(NAMES.length)] ?? 'a'
    const { map, unmap } = stepsOn(vm.name)
    const at = vm.start + 8 * MiB
    const kinds: Step[] = [
      map(buffer, at, 0, { refused: 'EINVAL' }),
      map(buffer, vm.kernel.at, PAGE, { refused: 'EINVAL' }),
      map(buffer, vm.start + vm.size, PAGE, { refused: 'ERANGE' }),
      map(buffer, at + 4, PAGE, { refused: 'EINVAL' }),
      map(buffer, at, BUFFERS[buffer].size, { offset: PAGE, refused: 'ERANGE' }),
      { ...unmap(vm.start + vm.size - PAGE, 2 * PAGE), refused: 'ERANGE' },
      { ...unmap(at, 0), refused: 'EINVAL' },
    ]
    return kinds[this.#below(kinds.length)] as Step
  }

  #vm(): typeof ONE | typeof TWO {
    return this.#below(3) === 0 ? TWO : ONE
  }

  /** A few pages, or a few blocks. */
  #size(most: number): number {
    const size = this.#below(3) === 0 ? (1 + this.#below(3)) * MiB : (1 + this.#below(40)) * PAGE
    return Math.min(size, most)
  }

  /** An address outside of the kernel's range; often one whose low bits are the offset's, so that large pages are used. */
  #place({ start, size: bytes, kernel }: typeof ONE | typeof TWO, size: number, offset: number): number {
    const first = kernel.at === start ? start + kernel.size : start
    const room = bytes - kernel.size - size
    const at = this.#below(room / PAGE + 1) * PAGE
    const aligned = at - (at % (2 * MiB)) + (offset % (2 * MiB))
    return first + (this.#below(2) === 0 && aligned <= room ? aligned : at)
  }
}
