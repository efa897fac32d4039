/** Random scenarios, as JSON: requests that meet one another at page, table and buffer ends, jobs, evictions, and requests that must be refused. */
import { hex } from '@io-pgtable/core'
import { PAGE } from './memory.ts'

const MiB = 2 ** 20
const VMS = [
  { name: 'one', start: 0, size: 24 * MiB, kernel: { at: 23 * MiB, size: MiB } },
  { name: 'two', start: 0x4000_0000, size: 12 * MiB, kernel: { at: 0x4000_0000, size: MiB } },
] as const
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

type Json = Readonly<Record<string, unknown>>
type Below = (n: number) => number

/** The text of a scenario of `count` steps: the same for the same seed. */
export function randomScenario(seed: number, count: number): string {
  const made = new Maker(generator(seed))
  const steps = Array.from({ length: count }, () => made.step())
  const head = {
    name: `random ${seed}, ${count} steps`,
    about: 'Random requests on two VMs that take turns in one slot',
    slots: 1,
    buffers: Object.fromEntries(NAMES.map((name) => [name, BUFFERS[name]])),
    vms: Object.fromEntries(
      VMS.map(({ name, ...vm }) => [name, { ...vm, start: hex(vm.start), kernel: { ...vm.kernel, at: hex(vm.kernel.at) } }]),
    ),
  }
  const text = JSON.stringify(head, undefined, 2)
  return `${text.slice(0, -2)},\n  "steps": [\n${steps.map((step) => `    ${JSON.stringify(step)}`).join(',\n')}\n  ]\n}\n`
}

class Maker {
  readonly #below: Below
  /** What is mapped, by VM, then by address. */
  readonly #mapped = VMS.map(() => new Map<number, Page>())
  readonly #evicted = new Set<Name>()

  constructor(below: Below) {
    this.#below = below
  }

  step(): Json {
    const what = this.#below(100)
    if (what < 45) return this.#map()
    if (what < 70) return this.#unmap()
    if (what < 85) return this.#job() ?? this.#map()
    if (what < 91) return this.#swap()
    return this.#bad()
  }

  #map(): Json {
    const [vm, i] = this.#vm()
    const buffer = NAMES.filter((name) => !this.#evicted.has(name))[this.#below(NAMES.length - this.#evicted.size)]
    if (buffer === undefined) return this.#swap()
    const { size: bytes } = BUFFERS[buffer]
    const size = this.#size(bytes)
    const offset = this.#below((bytes - size) / PAGE + 1) * PAGE
    const at = this.#place(vm, size, offset)
    const writable = this.#below(4) > 0
    for (let page = 0; page < size; page += PAGE) this.#mapped[i]?.set(at + page, { buffer, writable })
    return { map: buffer, vm: vm.name, at: hex(at), size: hex(size), offset: hex(offset), prot: writable ? ['READ', 'WRITE'] : ['READ'] }
  }

  #unmap(): Json {
    const [vm, i] = this.#vm()
    const size = this.#size(4 * MiB)
    const at = this.#place(vm, size, 0)
    for (let page = 0; page < size; page += PAGE) this.#mapped[i]?.delete(at + page)
    return { unmap: hex(at), vm: vm.name, size: hex(size) }
  }

  /** Fills some pages that are mapped and reads them again; or comes to one that it may not write to, or that is not there. */
  #job(): Json | undefined {
    const [vm, i] = this.#vm()
    const mapped = this.#mapped[i] ?? new Map<number, Page>()
    const [at] = [...mapped.keys()].slice(this.#below(mapped.size || 1))
    if (at === undefined) return undefined
    let size = 0
    const most = (1 + this.#below(32)) * PAGE
    for (let page = mapped.get(at); size < most && page?.writable === true && !this.#evicted.has(page.buffer); page = mapped.get(at + size))
      size += PAGE
    const value = 1 + this.#below(0xffff)
    if (size === 0) return { job: [['fill', hex(at + 4 * this.#below(PAGE / 4)), 4, value]], vm: vm.name, faults: true }
    // a buffer may be mapped twice in the range: each word is written, and the last value stays
    return {
      job: [
        ['fill', hex(at), size, value],
        ['expect', hex(at), size, value],
      ],
      vm: vm.name,
    }
  }

  #swap(): Json {
    const buffer = NAMES[this.#below(NAMES.length)] ?? 'a'
    if (this.#evicted.delete(buffer)) return { restore: buffer }
    this.#evicted.add(buffer)
    return { evict: buffer }
  }

  /** A request that must be refused. */
  #bad(): Json {
    const [vm] = this.#vm()
    const buffer = NAMES[this.#below(NAMES.length)] ?? 'a'
    const request = { map: buffer, vm: vm.name, at: hex(vm.start + 8 * MiB), size: hex(PAGE) }
    const kinds: Json[] = [
      { ...request, size: 0, refused: 'EINVAL' },
      { ...request, at: hex(vm.kernel.at), refused: 'EINVAL' },
      { ...request, at: hex(vm.start + vm.size), refused: 'ERANGE' },
      { ...request, at: hex(vm.start + 8 * MiB + 4), refused: 'EINVAL' },
      { ...request, size: hex(BUFFERS[buffer].size), offset: hex(PAGE), refused: 'ERANGE' },
      { unmap: hex(vm.start + vm.size - PAGE), vm: vm.name, size: hex(2 * PAGE), refused: 'ERANGE' },
      { unmap: hex(vm.start + 8 * MiB), vm: vm.name, size: 0, refused: 'EINVAL' },
    ]
    return kinds[this.#below(kinds.length)] ?? request
  }

  #vm(): [(typeof VMS)[number], number] {
    const i = this.#below(3) === 0 ? 1 : 0
    return [VMS[i], i]
  }

  /** A few pages, or a few blocks. */
  #size(most: number): number {
    const size = this.#below(3) === 0 ? (1 + this.#below(3)) * MiB : (1 + this.#below(40)) * PAGE
    return Math.min(size, most)
  }

  /** An address outside of the kernel's range; often one whose low bits are the offset's, so that large pages are used. */
  #place({ start, size: bytes, kernel }: (typeof VMS)[number], size: number, offset: number): number {
    const first = kernel.at === start ? start + kernel.size : start
    const room = bytes - kernel.size - size
    const at = this.#below(room / PAGE + 1) * PAGE
    const aligned = at - (at % (2 * MiB)) + (offset % (2 * MiB))
    return first + (this.#below(2) === 0 && aligned <= room ? aligned : at)
  }
}

/** Integers from a seed: mulberry32. */
function generator(seed: number): Below {
  let state = seed >>> 0
  return (limit) => {
    state = (state + 0x6d2b_79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
}
