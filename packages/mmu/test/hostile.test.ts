/** Random bytes as tables: every walk ends, in a translation or a fault of the list, and reads nothing outside of the memory. */
import { FAULT_TYPES, inputRanges } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { FORMATS } from '../../../apps/cli/src/formats.ts'
import { seededIntegers } from '../../conformance/src/seeded-integers.ts'
import { Access, Mmu } from '../src/index.ts'

const WALKS = 200
const ACCESSES = [Access.READ, Access.WRITE | Access.PRIVILEGED, Access.EXECUTE, Access.ATOMIC]

test.each(FORMATS.map((format) => ({ id: format.FORMAT, format })))('$id', ({ format }) => {
  const integers = seededIntegers(7)
  const bytes = new Uint32Array(1 << 16).map(() => integers(2 ** 32))
  for (const { config } of format.configs) {
    const agreed = format.configure(config)
    const params = format.params(agreed)
    const geometry = format.geometry(params)
    const ranges = inputRanges(geometry)
    const first = ranges[0]?.first ?? 0n
    const last = ranges.at(-1)?.last ?? 0n
    // tables begin and end at the limits of what is known, and at 4 GiB
    const base = geometry.oas > 32 ? 0xffff_8000n : 0x8000n
    const roots = Array.from({ length: geometry.roots ?? 1 }, (_, i) => base + BigInt(0x4000 * i))
    const root = { name: 'root', params, roots, first, last, context: format.context(agreed) }
    const mmu = new Mmu(format, { memory: [{ base, bytes }], roots: [root] })
    for (let i = 0; i < WALKS; i++) {
      const range = ranges[integers(ranges.length)] ?? { first: 0n, last: 0n }
      const iova = range.first + (((BigInt(integers(2 ** 32)) << 32n) | BigInt(integers(2 ** 32))) % (range.last - range.first + 1n))
      const paddr = mmu.access(iova, ACCESSES[integers(4)] ?? Access.READ)
      const fault = mmu.fault()
      if (mmu.isSparse && paddr === -1n && fault === undefined) continue
      const isFault = fault !== undefined && FAULT_TYPES.includes(fault.type) && fault.iova === iova
      if (paddr === -1n ? !isFault : fault !== undefined || paddr >> BigInt(geometry.oas) !== 0n)
        expect({ iova, paddr, fault }).toBe('sound')
    }
  }
})
