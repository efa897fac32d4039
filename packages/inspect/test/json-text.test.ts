/** JSON that people write: what values may say, and where a text is wrong. */
import { IoPgtableError, Prot } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { type JsonValue, parseInteger, parseJson } from '../src/index.ts'

const members = (text: string) => parseJson(text, 's.json').object(['at', 'op', 'prot', 'list'])

test('numbers are numbers, or strings with a base, a unit and _ between digits', () => {
  const { list } = members('{"list": [4096, "4096", "0x1000", "4K", "0b1_0000", "0x4000_1000", "1G"]}')
  expect(list?.array().map((value) => value.integer())).toEqual([4096n, 4096n, 4096n, 4096n, 16n, 0x4000_1000n, 2n ** 30n])
  expect(['12 MB', '4Q', '', '0x', '1_', '1__0', '-1', '16E'].map(parseInteger)).toEqual(Array(8).fill(undefined))
})

test('flags and choices by name, the rest as it stands there', () => {
  const { prot, op, list } = members('{"prot": ["READ", "WRITE"], "op": "map", "list": [1, "2K", "x", true, null, {"a": []}]}')
  expect(prot?.prot()).toBe(Prot.READ | Prot.WRITE)
  expect(op?.oneOf(['unmap', 'map'])).toBe('map')
  expect(list?.plain()).toEqual([1, 2048n, 'x', true, null, { a: [] }])
})

describe('EBADMSG with line, column and path', () => {
  const BAD: [string, string, (value: JsonValue) => unknown, RegExp][] = [
    ['no JSON', '{"at": \n  nope}', () => undefined, /^EBADMSG: s\.json:2:3: /],
    ['nothing', '', () => undefined, /^EBADMSG: s\.json:1:1: /],
    ['no object', '[]', (value) => value.object([]), /s\.json:1:1: an object expected/],
    [
      'a member that there is not',
      '{"at": 0,\n "stops": []}',
      (value) => value.object(['at']),
      /:2:11: stops: there is no member "stops": at expected/,
    ],
    ['a member that is there twice', '{"at": 0, "at": 1}', (value) => value.entries(), /:1:17: at: it is there twice/],
    ['no array', '{"list": {}}', (value) => value.object(['list']).list?.array(), /:1:10: list: an array expected/],
    ['no string', '{"op": 1}', (value) => value.object(['op']).op?.string(), /:1:8: op: a string expected/],
    ['another choice', '{"op": "c"}', (value) => value.object(['op']).op?.oneOf(['a', 'b']), /:1:8: op: "c": one of a, b expected/],
    ['an address that is none', '{"at": "12 MB"}', (value) => value.object(['at']).at?.integer(), /:1:8: at: an integer/],
    ['half a number', '{"at": 0.5}', (value) => value.object(['at']).at?.integer(), /:1:8: at: an integer/],
    ['a permission', '{"prot": ["READ", "EXEC"]}', (value) => value.object(['prot']).prot?.prot(), /:1:19: prot\[1\]: "EXEC": one of READ/],
  ]
  test.each(BAD)('%s', (_name, text, read, says) => {
    let thrown: unknown
    try {
      read(parseJson(text, 's.json'))
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(IoPgtableError)
    expect(thrown).toMatchObject({ code: 'EBADMSG', message: expect.stringMatching(says) })
  })
})
