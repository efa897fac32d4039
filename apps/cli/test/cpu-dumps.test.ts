/** `iopt dump` over the memory that real kernels left, for tables that CPUs walk: each leaf as an independent walker has it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, expect, test } from 'vitest'
import { DUMPS, jsonLines, run } from './support.ts'

const FOLDER = mkdtempSync(join(tmpdir(), 'iopt-dumps-'))
afterAll(() => rmSync(FOLDER, { recursive: true, force: true }))

type Row = readonly (string | number)[]
interface Expected {
  readonly registers: Readonly<Record<string, string>>
  readonly roots: readonly { readonly mappings: readonly Row[] }[]
}

function expectedOf(dump: string): Expected {
  return JSON.parse(gunzipSync(readFileSync(join(DUMPS, dump, 'expected.json.gz'))).toString()) as Expected
}

function imageOf(dump: string): string {
  const file = join(FOLDER, `${dump}.elf`)
  writeFileSync(file, gunzipSync(readFileSync(join(DUMPS, dump, 'memory.elf.gz'))))
  return file
}

/** Each leaf: iova, paddr, size, level. */
function leavesOf(rows: readonly Row[]): string[] {
  return rows.flatMap(([va = 0, pa = 0, size = 0, level, , , count = 1, over = size, out = size]) =>
    Array.from({ length: Number(count) }, (_, i) =>
      leaf(BigInt(va) + BigInt(i) * BigInt(over), BigInt(pa) + BigInt(i) * BigInt(out), size, level),
    ),
  )
}

function leaf(iova: bigint, paddr: bigint, size: unknown, level: unknown): string {
  return `0x${iova.toString(16)} 0x${paddr.toString(16)} ${size} ${level}`
}

interface Case {
  readonly dump: string
  /** After `iopt dump`; `$cr3` is a register of the dump. */
  readonly command: string
  /** Roots of the dump that the command finds, by number. */
  readonly roots: readonly number[]
}

const CASES: readonly Case[] = [
  { dump: 'linux-x86-32', command: 'x86-32 --cr3 $cr3 --cr4 $cr4', roots: [0] },
  { dump: 'linux-x86-pae', command: 'x86-pae --cr3 $cr3 --cr4 $cr4 --reg efer=$efer', roots: [0] },
  {
    dump: 'linux-loongarch64',
    command: 'loongarch64 --reg pgdl=$PGDL --reg pgdh=$PGDH --reg pwcl=$PWCL --reg pwch=$PWCH',
    roots: [0, 1],
  },
  { dump: 'linux-s390x', command: 's390-dat --reg cr1=$cr1', roots: [0] },
  { dump: 'linux-s390x', command: 's390-dat --reg cr13=$cr13', roots: [1] },
  { dump: 'linux-ppc64-radix-4k', command: 'ppc64-radix --reg processTable=$processTable --reg pid=$pidr', roots: [0] },
  { dump: 'linux-ppc64-radix-4k', command: 'ppc64-radix --reg processTable=$processTable --reg pid=0', roots: [1] },
  { dump: 'linux-amd-npt', command: 'x86_64 --reg ncr3=$nCR3 --cr4 $cr4', roots: [0] },
]

test.each(CASES)('iopt dump $command', async ({ dump, command, roots }) => {
  const expected = expectedOf(dump)
  const args = command.replaceAll(/\$(\w+)/g, (_, name: string) => expected.registers[name] ?? '').split(' ')
  const { code, out, err } = await run(['dump', ...args, '--image', imageOf(dump), '--json'])
  expect([code, err]).toEqual([0, ''])
  const found = jsonLines(out).flatMap(({ iova, paddr, leafSize, level, count }) =>
    leavesOf([[iova, paddr, leafSize, level, '', '', count] as Row]),
  )
  expect(found.sort()).toEqual(roots.flatMap((i) => leavesOf(expected.roots[i]?.mappings ?? [])).sort())
  expect(found.length).toBeGreaterThan(80)
  // no entry on the way ends a walk, and somebody may read what it leads to
  const closed = jsonLines(out).filter(
    ({ fault, rights }) => fault !== undefined || !/r/.test(JSON.stringify(Object.values(rights as object))),
  )
  expect(closed).toEqual([])
})
