/** Device tables of real kernels whose devices have no tables of their own: what is done with each device, and nothing else is found. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { hex } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { bytesSource, openImage, scanAmdVi, scanRiscvIommu } from '../src/index.ts'

type Json = Readonly<Record<string, unknown>>

function read(dump: string, name: string): Uint8Array {
  return new Uint8Array(gunzipSync(readFileSync(new URL(`../test-data/dumps/${dump}/${name}.gz`, import.meta.url))))
}

async function open(dump: string) {
  const expected = JSON.parse(new TextDecoder().decode(read(dump, 'expected.json'))) as Json
  const { registers } = expected as { readonly registers: Readonly<Record<string, string>> }
  return {
    expected,
    image: await openImage(bytesSource(read(dump, 'memory.elf'), dump)),
    register: (name: string) => BigInt(registers[name] ?? ''),
  }
}

test('linux-riscv-iommu: a directory of three levels, whose device contexts let everything through', async () => {
  const { expected, image, register } = await open('linux-riscv-iommu')
  const registers = { capabilities: register('capabilities'), ddtp: register('ddtp') }
  const { streams, findings } = scanRiscvIommu(registers, image.read, {})
  expect(findings).toEqual([])
  const found = streams.map(({ sid, config, tables, structures }) => {
    const dc = structures.at(-1)
    return { sid, config, tables: tables.length, dcAddress: hex(dc?.address ?? 0n), dc: dc?.words.map(hex) }
  })
  const wanted = (expected.streams as readonly Json[]).map(({ sid, dcAddress, dc }) => ({
    sid,
    config: 'bypass',
    tables: 0,
    dcAddress,
    dc,
  }))
  expect(found).toEqual(wanted)
})

test('linux-amdvi-passthrough: entries of mode 0, which let all through or nothing', async () => {
  const { expected, image, register } = await open('linux-amdvi-passthrough')
  const { streams, findings } = scanAmdVi({ devtab: register('devtab') }, image.read, {})
  const rows = expected.mode0 as readonly (readonly [first: number, last: number, dte: readonly string[], access: string])[]
  const sids = (access: string) =>
    rows.filter(([, , , what]) => what === access).flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i))
  expect(
    streams
      .filter(({ config }) => config === 'bypass')
      .map(({ sid }) => sid)
      .filter((sid) => !sids('blocked').includes(sid)),
  ).toEqual(sids('bypass'))
  expect(streams.flatMap(({ tables }) => tables)).toEqual([])
  expect(findings).toEqual([])
  const dtes = new Map(streams.map(({ sid, structures }) => [sid, structures[0]?.words.map(hex)]))
  for (const [first, , dte, access] of rows) if (access === 'bypass') expect(dtes.get(first)).toEqual(dte)
})
