/**
 * AMD GPUVM: the page tables of Radeon and Instinct GPUs, from Southern Islands (gfx6) to RDNA 4 (gfx12). AMD documents them in part, and by
 * its open tool umr; the facts are those of recordings of Linux's driver amdgpu, and umr's decoding (README: sources). Directories are
 * PDBn, counted from the page table (PTB) up.
 *
 *   gfx6-8    PDB0 · PTB 21:12, with PAGE_TABLE_BLOCK_SIZE more bits; entries of 8 bytes, addresses of 40 bits, leaves in the PTB alone
 *   gfx9-12   PDB2 47:39 · PDB1 38:30 · PDB0 29:21 · PTB 20:12; gfx12.1 PDB3 56:48; leaves at any level, told by bit 54, of gfx12 63
 *
 * It only reads. An entry without V is empty, whatever else it has; with T it is PRT: accesses get zeroes and no fault.
 */
import {
  type Agreed,
  configError,
  type FormatConfig,
  type FoundRoot,
  fieldValue,
  type Geometry,
  type IoPageTableFmt,
  IoPgtableError,
  type LeafKind,
  type LevelNode,
  protOfRights,
  readOnly,
} from '@io-pgtable/core'
import { narrow, registerValue } from '@io-pgtable/gpu-common'
import { directoryKinds, GENERATIONS, type Generation, outputBits, pageKinds, type Shape, sizesOf } from './entries.ts'

export type { Generation } from './entries.ts'

export interface AmdgpuVmConfig extends FormatConfig<'NO_WARN'> {
  /** 6 to 12, and 121 for gfx12.1. */
  readonly generation: Generation
  /** PAGE_TABLE_DEPTH: levels of directories. Default 1 of gfx6 to gfx8, 3, of gfx12.1 4. */
  readonly depth?: number
  /** PAGE_TABLE_BLOCK_SIZE: a page table covers 2^(21 + n) bytes. Default 0, of gfx6 to gfx8 1. */
  readonly blockSize?: number
}

/** What fixes the geometry. */
export interface AmdgpuVmParams {
  readonly generation: Generation
  readonly depth: number
  readonly blockSize: number
  readonly ias: number
}

/** Registers of one VMID's context. */
/** What a driver writes for a table. */
export interface AmdgpuVmRegs {
  /** The root: a page number before gfx9, a page directory entry since. */
  readonly base: bigint
}

export interface AmdgpuVmHardware {
  /** VM_CONTEXTn_PAGE_TABLE_BASE_ADDR, both halves: of gfx6 to gfx8 a page number, later a directory entry. */
  readonly base: bigint
  /** The GPU's generation: 6 to 12, 121 for gfx12.1. */
  readonly generation: bigint
  /** VM_CONTEXTn_CNTL: PAGE_TABLE_DEPTH and PAGE_TABLE_BLOCK_SIZE. Left out: as Linux sets them without translate further. */
  readonly depth?: bigint
  readonly blockSize?: bigint
  /** VM_CONTEXTn_PAGE_TABLE_END_ADDR of gfx6 to gfx8: the last page. Default: 64 GiB. */
  readonly end?: bigint
}

const usual = (generation: Generation): { depth: number; blockSize: number } => {
  if (generation < 9) return { depth: 1, blockSize: 1 }
  return { depth: generation === 121 ? 4 : 3, blockSize: 0 }
}

/** With page tables of 1 GiB (block size 9) the hardware translates further: what the driver calls PDB0 is its page table. */
const isFurther = ({ generation, blockSize }: AmdgpuVmParams): boolean => generation >= 9 && blockSize === 9

function geometry(params: AmdgpuVmParams): Geometry {
  const { generation, depth, blockSize, ias } = params
  const translateFurther = isFurther(params)
  const shape: Shape = { generation, translateFurther }
  const directories = depth + (translateFurther ? 1 : 0)
  const pageBits = translateFurther ? 9 : 9 + blockSize
  const shiftOf = (n: number): number => 12 + pageBits + 9 * n
  const node = (id: string, level: number, shift: number, bits: number, kinds: LevelNode['kinds']): LevelNode => {
    const bytes = Math.max(64, 8 * 2 ** bits)
    return { id, level, name: id, shift, bits, entryBytes: 8, tableBytes: bytes, align: generation < 9 ? 4096 : 64, empty: 0n, kinds }
  }
  const nodes = Array.from({ length: directories }, (_, i) => {
    const n = directories - 1 - i
    const shift = shiftOf(n)
    const bits = i === 0 ? ias - shift : 9
    return node(`PDB${n}`, n + 1, shift, bits, directoryKinds(shape, shift, n === 0 ? 'PTB' : `PDB${n - 1}`))
  })
  const top = nodes[0]?.id ?? 'PTB'
  const table = node('PTB', 0, 12, directories === 0 ? ias - 12 : pageBits, pageKinds(shape))
  return { nodes: [...nodes, table], top, ias, oas: outputBits(generation), window: 'low' }
}

function generationOf(value: number, op: string): Generation {
  const found = GENERATIONS.find((one) => one === value)
  if (found !== undefined) return found
  throw new IoPgtableError('EINVAL', op, `generation ${value}: 6 to 12, or 121 for gfx12.1, expected`, { value })
}

function configure(request: AmdgpuVmConfig): Agreed<AmdgpuVmConfig> {
  const generation = generationOf(request.generation, 'amdgpu-vm config')
  const { depth = usual(generation).depth, blockSize = usual(generation).blockSize } = request
  const most = generation < 9 ? 40 : generation === 121 ? 57 : 48
  const shape = { generation, translateFurther: false }
  const reach = { sizes: sizesOf(shape), ias: { least: 25, most }, oas: { least: 22, most: outputBits(generation) } }
  const agreed = narrow('amdgpu-vm', request, ['NO_WARN'], reach)
  check({ generation, depth, blockSize, ias: agreed.ias }, (member, value, expected) => configError('amdgpu-vm', member, value, expected))
  return { ...agreed, oas: outputBits(generation), generation, depth, blockSize }
}

/** Depths and block sizes that leave the root an index of its own. @throws what `wrong` makes */
function check(params: AmdgpuVmParams, wrong: (member: string, value: number, expected: string) => Error): void {
  const { generation, depth, blockSize, ias } = params
  const { depth: deepest } = usual(generation)
  if (!Number.isInteger(depth) || depth < 0 || depth > deepest) throw wrong('depth', depth, `0 to ${deepest} expected`)
  if (!Number.isInteger(blockSize) || blockSize < 0 || blockSize > 9) throw wrong('blockSize', blockSize, '0 to 9 expected')
  const below = depth === 0 ? 12 : 12 + 9 + blockSize + 9 * (depth - 1)
  if (below >= ias) throw wrong('depth', depth, `fewer levels than ${ias} address bits have expected`)
}

function rootsFromRegs(registers: AmdgpuVmHardware): readonly FoundRoot<AmdgpuVmParams, undefined>[] {
  const generation = generationOf(Number(registers.generation), 'rootsFromRegs')
  const { depth, blockSize } = usual(generation)
  const bits = generation < 9 ? 28 : 64
  const base = registerValue('PAGE_TABLE_BASE_ADDR', registers.base, bits)
  const end = registerValue('PAGE_TABLE_END_ADDR', registers.end ?? 0xff_ffffn, 36)
  const ias = generation >= 9 ? (generation === 121 ? 57 : 48) : Math.max(25, 12 + (end === 0n ? 0 : end.toString(2).length))
  const params: AmdgpuVmParams = {
    generation,
    depth: Number(registers.depth ?? depth),
    blockSize: Number(registers.blockSize ?? blockSize),
    ias: Math.min(ias, generation < 9 ? 40 : ias),
  }
  check(params, (member, value, expected) => {
    return new IoPgtableError('EINVAL', 'rootsFromRegs', `${member} ${value}: ${expected}`, { value })
  })
  if (generation >= 9 && (base & 1n) === 0n) return []
  const last = (1n << BigInt(params.ias)) - 1n
  return [{ name: 'base', params, roots: [rootOf(params, base)], first: 0n, last, context: undefined }]
}

/** A root is aligned to its entries; the bits beside its address are those of a directory entry. */
function rootOf(params: AmdgpuVmParams, base: bigint): bigint {
  if (params.generation < 9) return base << 12n
  const address = base & ((1n << BigInt(outputBits(params.generation))) - 64n)
  return address
}

/** The fields that rights and memory type depend on. */
function valuesOf(kind: LeafKind, raw: bigint): Record<string, number> {
  return Object.fromEntries(['R', 'W', 'X', 'S', 'C', 'MTYPE'].flatMap((name) => entryOf(name, fieldValue(kind, raw, name))))
}

function entryOf(name: string, value: number | undefined): [string, number][] {
  return value === undefined ? [] : [[name, value]]
}

/** AMD GPUVM. */
export const amdgpuVm: IoPageTableFmt<AmdgpuVmConfig, AmdgpuVmRegs, AmdgpuVmParams, undefined, AmdgpuVmHardware> = readOnly({
  FORMAT: 'amdgpu-vm',
  title: 'AMD GPUVM (Radeon and Instinct, gfx6 to gfx12)',
  manual: 'AMD umr, register and entry decoders; README, sources',
  configure,
  params: ({ generation, depth, blockSize, ias }) => ({ generation, depth, blockSize, ias }),
  geometry,
  prot: (raw, kind) => {
    const rights = kind.grants?.of(valuesOf(kind, raw), undefined) ?? 0
    const memory = kind.memory?.of(valuesOf(kind, raw), undefined)
    return protOfRights(rights, memory)
  },
  context: () => undefined,
  parties: () => ['all'],
  regs: ({ generation }, [root = 0n]) => ({ base: generation < 9 ? root >> 12n : root | 1n }),
  rootsFromRegs,
  hardware: ({ generation, depth, blockSize, ias }, { base }) => ({
    base,
    generation: BigInt(generation),
    depth: BigInt(depth),
    blockSize: BigInt(blockSize),
    ...(generation < 9 && { end: (1n << BigInt(ias - 12)) - 1n }),
  }),
  configs: [
    { name: 'gfx8, 64 GiB', config: { generation: 8, pgsizeBitmap: 0x1000n, ias: 36, oas: 40 } },
    { name: 'gfx9', config: { generation: 9, pgsizeBitmap: 0x80_4020_1000n, ias: 48, oas: 48 } },
    {
      name: 'gfx9, translating further',
      config: { generation: 9, depth: 2, blockSize: 9, pgsizeBitmap: 0x80_4020_1000n, ias: 48, oas: 48 },
    },
    { name: 'gfx11', config: { generation: 11, pgsizeBitmap: 0x80_4020_1000n, ias: 48, oas: 48 } },
    { name: 'gfx12', config: { generation: 12, pgsizeBitmap: 0x80_4020_1000n, ias: 48, oas: 48 } },
    { name: 'gfx12.1', config: { generation: 121, pgsizeBitmap: 0x1_0080_4020_1000n, ias: 57, oas: 52 } },
  ],
})
