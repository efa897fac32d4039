/** Images of real kernels with some bits flipped, and everything that this package does with an image. */
import { armV7s } from '@io-pgtable/arm-v7s'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { arm64LpaeS2 } from '@io-pgtable/arm64-lpae-s2'
import { IoPgtableError } from '@io-pgtable/core'
import { vtdSs } from '@io-pgtable/vtdss'
import { x8664 } from '@io-pgtable/x86-64'
import {
  bytesSource,
  dumpLeaves,
  type FormatSet,
  findPaddr,
  type MemoryImage,
  openImage,
  scanSmmuv3,
  scanVtd,
  type Tables,
  tableStats,
  tablesOf,
  translate,
  walkTree,
} from '../../src/index.ts'
import { type DumpName, dumpBytes, expectedOf, register } from './dumps.ts'

const FORMATS: FormatSet = { 'arm64-stage1': arm64LpaeS1, 'arm64-stage2': arm64LpaeS2, 'vtd-second-stage': vtdSs, 'x86-first-stage': x8664 }

/** Runs that are taken of one root, and work beyond them: what bounds the time of one image. */
const LIMITS = { limit: 20_000, work: 100_000 }

type Random = () => number

interface Kernel {
  readonly name: DumpName
  readonly bytes: Uint8Array
  roots(image: MemoryImage, flip: (value: bigint) => bigint): readonly Tables[]
}

/** The four kernels, each with the way to its roots; `flip` may change a register. */
export function kernels(): readonly Kernel[] {
  const of = (name: DumpName, roots: Kernel['roots']): Kernel => ({ name, bytes: dumpBytes(name), roots })
  const [a64, a32, smmu, vtd] = (['linux-aarch64-4k', 'linux-armv7', 'linux-smmuv3', 'linux-vtd'] as const).map(expectedOf)
  const value = (kernel: typeof a64, name: string): bigint => register({ ...kernel?.registers, ...kernel?.smmu }, name)
  return [
    of('linux-aarch64-4k', ({ read }, flip) => {
      const [ttbr0, ttbr1, tcr] = [value(a64, 'TTBR0_EL1'), value(a64, 'TTBR1_EL1'), value(a64, 'TCR_EL1')].map(flip) as [
        bigint,
        bigint,
        bigint,
      ]
      return tablesOf(arm64LpaeS1, { ttbr0, ttbr1, tcr, mair: value(a64, 'MAIR_EL1') }, read)
    }),
    of('linux-armv7', ({ read }, flip) => {
      const [ttbr0, ttbr1] = [value(a32, 'TTBR0'), value(a32, 'TTBR1')].map((ttbr) => BigInt.asUintN(32, flip(ttbr)))
      return tablesOf(armV7s, { ttbr0: ttbr0 ?? 0n, ttbr1: ttbr1 ?? 0n }, read)
    }),
    of('linux-smmuv3', ({ read }, flip) => {
      const registers = { strtabBase: flip(value(smmu, 'STRTAB_BASE')), strtabBaseCfg: value(smmu, 'STRTAB_BASE_CFG') }
      return scanSmmuv3(registers, read, FORMATS).streams.flatMap(({ tables }) => tables)
    }),
    of('linux-vtd', ({ read }, flip) => {
      return scanVtd({ rtaddr: flip(value(vtd, 'RTADDR')) }, read, FORMATS).streams.flatMap(({ tables }) => tables)
    }),
  ]
}

/** A copy with one to 64 bits flipped: in seven images of eight in memory, else anywhere; one of sixteen is cut off. */
function flipped(bytes: Uint8Array, rnd: Random): Uint8Array {
  const copy = bytes.slice()
  const first = rnd() % 8 === 0 ? 0 : headersOf(copy)
  for (let bits = 1 + (rnd() % 2 ** (rnd() % 7)); bits > 0; bits--) {
    const at = first + (rnd() % (copy.byteLength - first))
    copy[at] = (copy[at] ?? 0) ^ (1 << (rnd() & 7))
  }
  return rnd() % 16 === 0 ? copy.subarray(0, rnd() % copy.byteLength) : copy
}

/** Bytes of an ELF file's headers. */
function headersOf(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer)
  return bytes[4] === 2 ? 64 + 56 * view.getUint16(56, true) : 52 + 32 * view.getUint16(44, true)
}

/**
 * One image: opened, its roots found, all leaves dumped, addresses looked up, the tree gone through.
 * @returns runs; undefined for an image that was refused, with an error of ours. Every other error is thrown
 */
export async function fuzzOne(kernel: Kernel, rnd: Random): Promise<number | undefined> {
  try {
    const image = await openImage(bytesSource(flipped(kernel.bytes, rnd), kernel.name), { format: 'elf' })
    const flip = (register: bigint): bigint => (rnd() % 16 === 0 ? register ^ (1n << BigInt(rnd() % 64)) : register)
    return kernel.roots(image, flip).reduce((sum, tables) => sum + look(tables, rnd), 0)
  } catch (error) {
    if (error instanceof IoPgtableError) return undefined
    throw error
  }
}

function look(tables: Tables, rnd: Random): number {
  let last = { iova: 0n, paddr: 0n }
  const { runs } = dumpLeaves(tables, (run) => void (run.count % 64 === 0 && (last = { iova: run.iova, paddr: run.paddr })), LIMITS)
  translate(tables, last.iova + BigInt(rnd() % 0x1_0000))
  if (rnd() % 16 === 0) {
    findPaddr(tables, last.paddr, () => undefined, LIMITS)
    tableStats(tables, LIMITS)
    walkTree(tables, () => undefined, { limit: 1000 })
  }
  return runs
}
