/** The instance block (RAMIN), in which the root of an address space stands. */
import {
  type Agreed,
  type FoundRoot,
  hex,
  IoPgtableError,
  type MemoryPiece,
  type ReadMemory,
  SZ_64K,
  unknownMemory,
} from '@io-pgtable/core'
import { registerValue } from '@io-pgtable/gpu-common'
import type { NvidiaGmmuConfig, NvidiaGmmuHardware, NvidiaGmmuParams, NvidiaGmmuRegs, NvidiaGmmuVersion } from './types.ts'

/** Input and output address bits. */
export const ADDRESS_BITS = { 1: [40, 40], 2: [49, 47], 3: [57, 52] } as const

/** NV_RAMIN_PAGE_DIR_BASE: 1:0 target, 2 volatile, 10 version 2 or later, 11 big pages of 64K, 63:12 address. */
const PAGE_DIR_BASE = 0x200n
const TARGETS = { vidmem: 0n, 'sysmem-coherent': 2n | (1n << 2n), 'sysmem-noncoherent': 3n } as const
const TARGET_NAMES: Readonly<Record<number, string>> = { 0: 'vidmem', 2: 'sysmem-coherent', 3: 'sysmem-noncoherent' }
const NEW_TABLES = 1n << 10n
const BIG_64K = 1n << 11n

export function regs({ version, bigPage, tables, ias }: Agreed<NvidiaGmmuConfig>, root: bigint): NvidiaGmmuRegs {
  const kind = version === 1 ? 0n : NEW_TABLES | (bigPage === SZ_64K ? BIG_64K : 0n)
  return { pageDirBase: root | TARGETS[tables] | kind, addressLimit: (1n << BigInt(ias)) - 1n }
}

/** What a driver writes at 0x200 of the block. */
export function instanceBlock(instance: bigint, { pageDirBase, addressLimit }: NvidiaGmmuRegs): MemoryPiece {
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, pageDirBase, true)
  view.setBigUint64(8, addressLimit, true)
  return { paddr: instance + PAGE_DIR_BASE, bytes }
}

export function rootsFromRegs(registers: NvidiaGmmuHardware, read?: ReadMemory): readonly FoundRoot<NvidiaGmmuParams, undefined>[] {
  const { pageDirBase, addressLimit } = standsIn(registers, read)
  const name = TARGET_NAMES[Number(pageDirBase & 3n)]
  if (name === undefined)
    throw new IoPgtableError('EINVAL', 'rootsFromRegs', `pageDirBase ${hex(pageDirBase)}: target 1; 0, 2 or 3 expected`, {
      value: pageDirBase,
    })
  const version = versionOf(registers.version, pageDirBase, addressLimit)
  const [ias, oas] = ADDRESS_BITS[version]
  const bigShift = version === 3 ? 16 : bigShiftOf(registers.bigPage, pageDirBase)
  const all = (1n << BigInt(ias)) - 1n
  const limit = addressLimit === undefined ? all : addressLimit | 0xfffn
  const last = limit < all ? limit : all
  return [{ name, params: { version, bigShift, ias, oas }, roots: [pageDirBase & ~0xfffn], first: 0n, last, context: undefined }]
}

type Words = { readonly pageDirBase: bigint; readonly addressLimit: bigint | undefined }

function standsIn({ instanceBlock: block, pageDirBase, addressLimit }: NvidiaGmmuHardware, read: ReadMemory | undefined): Words {
  if (addressLimit !== undefined) registerValue('addressLimit', addressLimit, 64)
  if (pageDirBase !== undefined) return { pageDirBase: registerValue('pageDirBase', pageDirBase, 64), addressLimit }
  if (block === undefined) throw new IoPgtableError('EINVAL', 'rootsFromRegs', 'instanceBlock or pageDirBase expected')
  const at = registerValue('instanceBlock', block, 52) + PAGE_DIR_BASE
  if (read === undefined)
    throw new IoPgtableError('EINVAL', 'rootsFromRegs', `instanceBlock ${hex(block)}: the memory is needed, the root stands in it`, {
      value: block,
    })
  const bytes = read(at, 16)
  if (bytes === undefined || bytes.byteLength < 16) throw unknownMemory('rootsFromRegs', at, 16)
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16)
  return { pageDirBase: view.getBigUint64(0, true), addressLimit: addressLimit ?? view.getBigUint64(8, true) }
}

function versionOf(given: bigint | undefined, pageDirBase: bigint, limit: bigint | undefined): NvidiaGmmuVersion {
  if (given === 1n || given === 2n || given === 3n) return Number(given) as NvidiaGmmuVersion
  if (given !== undefined)
    throw new IoPgtableError('EINVAL', 'rootsFromRegs', `version ${hex(given)}: 1, 2 or 3 expected`, { value: given })
  if ((pageDirBase & NEW_TABLES) === 0n) return 1
  return limit !== undefined && limit >> 49n !== 0n ? 3 : 2
}

function bigShiftOf(given: bigint | undefined, pageDirBase: bigint): number {
  const bytes = given ?? (pageDirBase & BIG_64K ? BigInt(SZ_64K) : 2n * BigInt(SZ_64K))
  if (bytes === BigInt(SZ_64K)) return 16
  if (bytes === 2n * BigInt(SZ_64K)) return 17
  throw new IoPgtableError('EINVAL', 'rootsFromRegs', `bigPage ${hex(bytes)}: 0x10000 or 0x20000 expected`, { value: bytes })
}
