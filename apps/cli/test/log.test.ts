/** `iopt log`: from a file, from standard input, with an image; what it says in text and in JSON. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { DUMPS, iopt, jsonLines, run } from './support.ts'

const folder = mkdtempSync(join(tmpdir(), 'iopt-log-'))

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const OOPS = `[   12.000001] Unable to handle kernel write to read-only memory at virtual address ffff0000f5c3fff8
[   12.000002] Mem abort info:
[   12.000003]   ESR = 0x000000009600004f
[   12.000004] swapper pgtable: 4k pages, 48-bit VAs, pgdp=0000000081498000
[   12.000005] [ffff0000f5c3fff8] pgd=000000017f1f8003, p4d=000000017f1f8003, pud=000000017ec06003, pmd=000000017ea57003, pte=006000017553f793
[   12.000006] Internal error: Oops: 000000009600004f [#1] PREEMPT SMP
[   13.000000] DMAR: [DMA Write NO_PASID] Request device [00:01.0] fault addr 0xffebc000 [fault reason 0x05] PTE Write access is not set
`

test('one object a record, in the order of the log, with line, walk and verdict', async () => {
  const { code, out, err } = await run(['log', file('oops', OOPS), '--json'])
  expect([code, err]).toEqual([0, ''])
  const [dmar, oops] = jsonLines(out).sort((a, b) => Number(b.line) - Number(a.line))
  expect(oops).toMatchObject({
    line: 1,
    kind: 'arm64',
    access: { iova: '0xffff0000f5c3fff8', type: 'write', privileged: true },
    fault: { type: 'permission', level: 3, stage: 1 },
    walks: [{ paddr: null, rights: { privileged: 'r--' }, fault: { type: 'permission', level: 3 } }],
    agrees: true,
    explanation: expect.stringMatching(/entry 63 of the table at 0x17ea57000.*AP 2/) as string,
  })
  expect(dmar).toMatchObject({ line: 7, kind: 'vtd', record: { reason: 5, device: '00:01.0' } })
  expect(dmar).not.toHaveProperty('walks')
})

test('memory types are not in a log: none is named', async () => {
  const { out } = await run(['log', file('oops', OOPS), '--json'])
  expect(out).not.toMatch(/"memory"|Device-n|MMIO|CACHE/)
  expect((await run(['log', file('oops', OOPS)])).out).not.toMatch(/Device-n|MMIO|CACHE/)
})

test('with an image, records of its IOMMU are walked in it', async () => {
  const image = ['--image', join(DUMPS, 'linux-vtd', 'memory.elf'), '--rtaddr', '0x564d000']
  const { out, err } = await run(['log', file('oops', OOPS), ...image, '--json'])
  const vtd = jsonLines(out).find(({ kind }) => kind === 'vtd')
  expect(vtd).toMatchObject({ agrees: true, walks: [{ iova: '0xffebc000', paddr: null }] })
  // those registers are none of a CPU: its own entries are walked
  expect(err).toMatch(/line 1, arm64: not walked/)
  expect(jsonLines(out).find(({ kind }) => kind === 'arm64')).toMatchObject({ agrees: true })
})

test('what is missing is said', async () => {
  const text = OOPS.split('\n')
    .filter((line) => !line.includes('ESR') && !line.includes('Internal'))
    .join('\n')
  const { out } = await run(['log', file('less', text), '--json'])
  expect(jsonLines(out).find(({ line }) => line === 1)).toMatchObject({
    kind: 'arm64',
    access: { iova: '0xffff0000f5c3fff8', type: null },
    missing: ['ESR'],
    explanation: 'missing: ESR',
  })
})

test('standard input, and nothing in it', () => {
  expect(iopt(['log'], OOPS).out).toMatch(/line 1, arm64/)
  const { code, out, err } = iopt(['log'], 'all is well\n')
  expect([code, out]).toEqual([0, ''])
  expect(err).toMatch(/no fault records/)
})

test('text of a log cannot command a terminal', async () => {
  const { out } = await run([
    'log',
    file('escape', 'apple-dart x: fault: status:0x80000008 stream:0 code:0x8 (\u001b[2J\u202eNO PTE) at 0x1000\n'),
  ])
  expect(out).not.toContain('\u001b[2J')
})

test('registers without an image are a mistake', async () => {
  const { code, err } = await run(['log', file('oops', OOPS), '--cr3', '0x1000'])
  expect(code).toBe(2)
  expect(err).toMatch(/--cr3 goes with --image/)
})
