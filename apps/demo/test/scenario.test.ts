/** Scenario files: what they may say, and where they are wrong. */
import { readdirSync, readFileSync } from 'node:fs'
import { Prot } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { parseScenario } from '../src/gpu/scenario.ts'
import { errorOf } from './support.ts'

const HEAD =
  '{"buffers": {"a": "64K", "b": {"size": "1M", "pieces": "64K"}}, "vms": {"v": {"size": "16M"}, "w": {"start": "1G", "size": "1M", "kernel": {"at": "1G", "size": "4K"}}}, "steps": [\n'

test('everything that a scenario may say', () => {
  const text = `${HEAD}
    {"map": "a", "at": "0x1000", "size": 4096},
    {"map": "b", "vm": "w", "at": "0x4000_1000", "size": "64K", "offset": "4K", "prot": ["READ"], "note": "n", "refused": "ENOMEM"},
    {"heap": "a", "at": 0, "size": "64K", "chunk": "8K"},
    {"unmap": 0, "size": "4K"}, {"evict": "a"}, {"restore": "a"},
    {"job": [["fill", 0, 4, 7], ["expect", 0, 4, 7], ["copy", 4096, 0, "4K"]], "faults": true}
  ]}`
  const { slots, buffers, vms, steps } = parseScenario(text, 's.json')
  expect(slots).toBe(2)
  expect(buffers).toEqual([
    { name: 'a', size: 65_536 },
    { name: 'b', size: 2 ** 20, chunk: 65_536 },
  ])
  expect(vms[1]).toEqual({ name: 'w', start: 2n ** 30n, range: 2n ** 20n, kernel: { addr: 2n ** 30n, range: 4096n } })
  expect(steps.map(({ op }) => op)).toEqual(['map', 'map', 'heap', 'unmap', 'evict', 'restore', 'job'])
  expect(steps[0]).toEqual({
    op: 'map',
    vm: 'v',
    buffer: 'a',
    at: 4096n,
    size: 4096n,
    offset: 0n,
    prot: Prot.READ | Prot.WRITE,
    chunk: 65_536,
  })
  expect(steps[1]).toMatchObject({ vm: 'w', offset: 4096n, prot: Prot.READ, note: 'n', refused: 'ENOMEM' })
  expect(steps[6]).toEqual({
    ...{ op: 'job', vm: 'v', faults: true },
    commands: [
      { op: 'fill', at: 0n, size: 4, value: 7 },
      { op: 'expect', at: 0n, size: 4, value: 7 },
      { op: 'copy', at: 4096n, from: 0n, size: 4096 },
    ],
  })
})

test('the scenarios that the demo carries', () => {
  const folder = new URL('../scenarios/', import.meta.url)
  for (const file of readdirSync(folder))
    expect(parseScenario(readFileSync(new URL(file, folder), 'utf8'), file).steps.length).toBeGreaterThan(5)
})

describe('EBADMSG with line and column', () => {
  const step = (text: string): string => `${HEAD}  ${text}\n]}`
  const BAD: [string, string, string, RegExp][] = [
    ['no JSON', '{"buffers": \n  nope}', '2:3', /./],
    ['nothing', '', '1:1', /./],
    ['no object', '[]', '1:1', /an object expected/],
    ['no buffers', '{"vms": {}, "steps": []}', '1:1', /there is no member "buffers"/],
    ['no VM', '{"buffers": {}, "vms": {}, "steps": []}', '1:24', /at least one VM expected/],
    ['a member that there is not', '{"buffers": {}, "vms": {"v": {"size": 1}}, "stops": []}', '1:53', /there is no member "stops"/],
    ['a buffer of half a page', '{"buffers": {"a": 2048}}', '1:19', /whole pages of 4096 bytes expected/],
    ['a buffer of nothing', '{"buffers": {"a": {"size": 0}}}', '1:28', /whole pages/],
    ['pieces that are no power of two', '{"buffers": {"a": {"size": "64K", "pieces": "12K"}}}', '1:45', /a power of two expected/],
    ['slots', '{"slots": 0, "buffers": {}}', '1:11', /1 to 16 expected/],
    ['two operations', step('{"map": "a", "evict": "a"}'), '2:3', /got map and evict/],
    ['no operation', step('{"vm": "v"}'), '2:3', /one of map, unmap/],
    ['an unknown buffer', step('{"map": "c", "at": 0, "size": 1}'), '2:11', /"c": one of a, b expected/],
    ['an unknown VM', step('{"map": "a", "vm": "x", "at": 0, "size": 1}'), '2:22', /"x": one of v, w expected/],
    ['no address', step('{"map": "a", "size": 1}'), '2:3', /there is no member "at"/],
    ['an address that is none', step('{"map": "a", "at": "12 MB", "size": 1}'), '2:22', /an integer/],
    ['a member of another operation', step('{"evict": "a", "size": 1}'), '2:26', /a step "evict" has no "size"/],
    ['a permission', step('{"map": "a", "at": 0, "size": 1, "prot": ["EXEC"]}'), '2:45', /"EXEC": one of READ/],
    ['an error code', step('{"unmap": 0, "size": 1, "refused": "ENOENT"}'), '2:38', /one of EINVAL/],
    ['a command', step('{"job": [["fill", 0, 4]]}'), '2:12', /\["fill", at, size, value\]/],
    ['half a word', step('{"job": [["fill", 2, 4, 1]]}'), '2:21', /an address of whole words/],
    ['no words', step('{"job": [["fill", 4, 0, 1]]}'), '2:24', /whole words expected/],
    ['a source of half a word', step('{"job": [["copy", 4, 2, 4]]}'), '2:24', /an address of whole words/],
  ]
  test.each(BAD)('%s', (_name, text, where, says) => {
    const { code, message } = errorOf(() => parseScenario(text, 's.json'))
    expect(code).toBe('EBADMSG')
    expect(message).toContain(`s.json:${where}:`)
    expect(message).toMatch(says)
  })
})
