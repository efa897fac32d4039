/** Every format, in every configuration: what an access meets is what `AccessRules` says, on tables of random descriptors. */
import { ACCESS_KINDS, AccessRules, type AnyFmt, type FoundRoot, type Geometry, inputRanges, type ReadMemory } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { FORMATS } from '../../../apps/cli/src/formats.ts'
import { seededIntegers } from '../../conformance/src/seeded-integers.ts'
import { Access, Mmu } from '../src/index.ts'
import { type Integers, piecesOf, randomTables } from './random-tables.ts'

const CODES = { read: Access.READ, write: Access.WRITE, execute: Access.EXECUTE }
const STATES = [{}, { SUM: true }, { MXR: true }, { SUM: true, MXR: true, PAN: true, AC: true }]

const cases = FORMATS.flatMap((format) => format.configs.map(({ name, config }) => ({ id: `${format.FORMAT}, ${name}`, format, config })))

/** A context with some of its registers' bits changed. */
function varied(context: unknown, integers: Integers): unknown {
  if (typeof context !== 'object' || context === null) return context
  const entries = Object.entries(context).map(([name, value]) => [name, typeof value === 'boolean' ? integers(2) === 0 : value])
  return Object.fromEntries(entries)
}

function rootOf(geometry: Geometry, params: unknown, roots: readonly bigint[], context: unknown): FoundRoot<unknown, unknown> {
  const ranges = inputRanges(geometry)
  return { name: 'root', params, roots, first: ranges[0]?.first ?? 0n, last: ranges.at(-1)?.last ?? 0n, context }
}

function compare(
  format: AnyFmt,
  config: AnyFmt['configs'][number]['config'],
  seed: number,
  addresses: number,
): { through: number; faults: Set<string> } {
  const integers = seededIntegers(seed)
  const agreed = format.configure(config)
  const params = format.params(agreed)
  const geometry = format.geometry(params)
  const tables = randomTables(geometry, integers)
  const context = varied(format.context(agreed), integers)
  const memory = piecesOf(geometry, tables)
  const mmu = new Mmu(format, { memory, roots: [rootOf(geometry, params, tables.roots, context)] })
  const rules = new AccessRules(format, geometry, context)
  const read: ReadMemory = (paddr, bytes) => {
    const piece = memory.find(({ base, bytes: { byteLength } }) => paddr >= base && paddr + BigInt(bytes) <= base + BigInt(byteLength))
    return piece?.bytes.subarray(Number(paddr - piece.base), Number(paddr - piece.base) + bytes)
  }
  const found = { through: 0, faults: new Set<string>() }
  for (let i = 0; i < addresses; i++) {
    const iova = tables.address()
    const verdict = rules.translate(tables.roots, read, iova)
    for (const state of STATES) {
      mmu.setState(state)
      for (const access of ACCESS_KINDS)
        for (const privileged of [false, true]) {
          const want = rules.fault(verdict, { access, privileged }, state)
          const got = mmu.access(iova, CODES[access] | (privileged ? Access.PRIVILEGED : 0))
          const what = () => `${format.FORMAT}, seed ${seed}, ${access} ${privileged} at 0x${iova.toString(16)}: ${want?.reason}`
          if (verdict.sparse) {
            if (got !== -1n || !mmu.isSparse || mmu.fault() !== undefined) expect({ got, ...mmu.fault() }, what()).toBe('sparse')
          } else if (want !== undefined) {
            found.faults.add(want.type)
            const fault = mmu.fault()
            const same = got === -1n && fault?.type === want.type && fault.level === want.level && fault.bits === want.bits
            const asked = fault?.access === access && fault.privileged === privileged && fault.iova === iova
            if (!same || !asked) expect({ got, ...fault }, what()).toEqual({ got: -1n, ...want, iova })
          } else {
            found.through++
            const rights = format.regime?.(context, state)(verdict.path) ?? verdict.path
            if (got !== verdict.paddr || mmu.rights !== rights || mmu.memory?.name !== verdict.memory?.name)
              expect({ got, rights: mmu.rights, memory: mmu.memory?.name }, what()).toEqual({
                got: verdict.paddr,
                rights,
                memory: verdict.memory?.name,
              })
          }
        }
    }
  }
  return found
}

describe('any access of any format', () => {
  test.each(cases)('$id', ({ format, config }) => {
    let through = 0
    const faults = new Set<string>()
    // random tables lead to few leaves where there are many levels
    for (let seed = 1; seed === 1 || (through < 4 && seed < 30); seed++) {
      const found = compare(format, config, seed, 40)
      through += found.through
      for (const type of found.faults) faults.add(type)
    }
    expect(through).toBeGreaterThanOrEqual(4)
    expect(faults.size).toBeGreaterThan(0)
  })
})
