/** What a failure says, and that its one line runs it again. */
import { IoPageTable } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { type CheckFormatOptions, descriptorText, runFormat } from '../src/index.ts'
import { toy } from '../src/toy.ts'

/** An engine that forgets the third page of a map, when it maps three or more. */
const faulty: NonNullable<CheckFormatOptions['createTable']> = (format, request) => {
  const table = IoPageTable.createRaw(format, request)
  return new Proxy(table, {
    get(_, name) {
      const value = Reflect.get(table, name, table) as unknown
      if (name !== 'mapPages') return typeof value === 'function' ? value.bind(table) : value
      return (...args: Parameters<IoPageTable['mapPages']>) => {
        const result = table.mapPages(...args)
        const [iova, , pgsize, count] = args
        if (result.mapped === pgsize * count && count === 33) table.unmapPages(iova + BigInt(2 * pgsize), pgsize, 1)
        return result
      }
    },
  })
}

async function failures(options: Partial<CheckFormatOptions>): Promise<string[]> {
  const messages: string[] = []
  const format = { ...toy, configs: toy.configs.slice(0, 1) }
  await runFormat({ format, createTable: faulty, log: () => {}, ...options }, (_name, error) => {
    if (error instanceof Error) messages.push(error.message)
  })
  return messages
}

test('a failure of a random law has the seed, the shrunk calls and a line that runs it again', async () => {
  const [message = ''] = await failures({})
  expect(message).toMatch(/^law table\/model is broken: toy, configuration "28 bits": /)
  expect(message).toMatch(/seed \d+, shrunk \d+ times to these calls:\n/)
  const calls = message.split('\n').filter((line) => / table\./.test(line))
  expect(calls).toHaveLength(1)
  expect(calls[0]).toMatch(/^ {2}> table\.mapPages\(0x0n, 0x0n, 0x1000, 33, READ\|WRITE\)$/)
  const line = /IOPT_REPLAY='([^']*)'/.exec(message)?.[1] ?? ''
  const again = await failures({ replay: line })
  expect(again).toHaveLength(1)
  expect(again[0]?.split('\n').filter((text) => / table\./.test(text))).toEqual(calls)
})

test('other seeds run other sequences', async () => {
  const [message = ''] = await failures({ seed: 7 })
  expect(message).toMatch(/seed 7, /)
})

test('a descriptor under the numbers of its bits', () => {
  const node = toy.geometry({ ias: 28, oas: 32 }).nodes[1]
  if (node === undefined) throw new Error('the toy has two levels')
  expect(descriptorText(node, 0x8123_4005n)).toBe(
    [
      '    31       23       15       7      0',
      '    10000001.00100011.01000000.00000101  0x81234005: page',
      '      W [2] = 1',
      '      C [3] = 0',
      '      X [4] = 0',
      '      M [5] = 0',
      '      D [6] = 0',
      '      address [31:12] = 0x81234000',
    ].join('\n'),
  )
  expect(descriptorText(node, 3n)).toContain('0x00000003: reserved')
})
