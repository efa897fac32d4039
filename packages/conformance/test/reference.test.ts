/** The law of the reference sees what an engine writes wrongly. */
import { IoPageTable } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { makeCase } from '../src/check/case.ts'
import { reference } from '../src/check/reference-law.ts'
import { toy } from '../src/toy.ts'

/** The law on the toy, with an engine that maps pages of some other address, or attributes, or not where it should. */
function check(spoil: (args: Parameters<IoPageTable['mapPages']>) => Parameters<IoPageTable['mapPages']>): unknown {
  const [first] = toy.configs
  return reference.check(
    makeCase({
      format: toy,
      name: '28 bits',
      request: first?.config ?? { pgsizeBitmap: 0x1000n, ias: 28, oas: 32 },
      effort: 'quick',
      replay: undefined,
      seed: 1,
      createTable: (format, request) => {
        const table = IoPageTable.createRaw(format, request)
        const own = table.mapPages.bind(table)
        table.mapPages = (...args) => own(...spoil(args))
        return table
      },
    }),
  )
}

test.each([
  ['an output address', ([iova, paddr, ...rest]) => [iova, paddr ^ 0x10_0000n, ...rest]],
  ['an input address', ([iova, ...rest]) => [iova ^ 0x800_0000n, ...rest]],
  ['an attribute', ([iova, paddr, pgsize, count, prot]) => [iova, paddr, pgsize, count, prot ^ 4]],
] as [string, Parameters<typeof check>[0]][])('%s that is wrong', (_, spoil) => {
  expect(() => check(spoil)).toThrow(/expected, got/)
})

test('a sound engine passes', () => {
  expect(check((args) => args)).toBeUndefined()
})
