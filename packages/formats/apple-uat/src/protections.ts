/**
 * What a page entry grants whom. AP, UXN, PXN and OS are one code. Linux's driver names the protections that it uses, and so does this
 * package; the flags of `Prot` say the common ones, and attributes the others.
 */
import { attributesIn, type MemoryType, Prot, protOfMemory, protOfRights, protWith, Right, type Rights } from '@io-pgtable/core'

const RW = Prot.READ | Prot.WRITE

/** What the firmware may, where the flags do not say it: they mean the GPU, and the firmware the same, or with PRIV the firmware alone. */
const SAME = 0
const GPU_ALONE = 1
const FIRMWARE_WRITES = 2
const NOBODY = 3
const NO_FIRMWARE = 4
const NO_GPU = 5
/** A code that no protection has: it is only read. */
const NOT_OURS = 6

/** A code of the entry with OS = 1. */
interface Code {
  readonly AP: number
  readonly UXN: number
  readonly PXN: number
}

const code = (AP: number, UXN: number, PXN: number): Code => ({ AP, UXN, PXN })

/** By what is asked for: rights, PRIV or not, and the firmware's part. */
const CODES: readonly { readonly flags: Prot; readonly firmware: number; readonly code: Code }[] = [
  { flags: Prot.READ, firmware: SAME, code: code(0, 0, 1) },
  { flags: Prot.WRITE, firmware: SAME, code: code(0, 1, 0) },
  { flags: RW, firmware: SAME, code: code(0, 1, 1) },
  { flags: Prot.READ | Prot.PRIV, firmware: SAME, code: code(1, 0, 0) },
  { flags: RW | Prot.PRIV, firmware: SAME, code: code(1, 1, 0) },
  { flags: Prot.READ, firmware: GPU_ALONE, code: code(2, 0, 0) },
  { flags: Prot.WRITE, firmware: GPU_ALONE, code: code(2, 0, 1) },
  { flags: RW, firmware: GPU_ALONE, code: code(2, 1, 0) },
  { flags: Prot.READ, firmware: FIRMWARE_WRITES, code: code(1, 1, 1) },
  { flags: 0, firmware: NOBODY, code: code(0, 0, 0) },
  { flags: 0, firmware: NO_FIRMWARE, code: code(1, 0, 1) },
  { flags: 0, firmware: NO_GPU, code: code(2, 1, 1) },
]

export const ATTRIBUTES = 3

/** AttrIndex of what the flags ask for: 0 cached, 1 device, 2 shared (uncached by the firmware). */
const attrIndexOf = (prot: Prot): number => (prot & Prot.MMIO ? 1 : prot & Prot.CACHE ? 0 : 2)

/** Linux's protections, without PROT_. */
const NAMED: Readonly<Record<UatProtection, Prot>> = {
  FW_MMIO_RW: RW | Prot.PRIV | Prot.MMIO,
  FW_MMIO_RO: Prot.READ | Prot.PRIV | Prot.MMIO,
  FW_SHARED_RW: RW | Prot.PRIV,
  FW_SHARED_RO: Prot.READ | Prot.PRIV,
  FW_PRIV_RW: RW | Prot.PRIV | Prot.CACHE,
  GPU_FW_SHARED_RW: RW,
  GPU_FW_PRIV_RW: RW | Prot.CACHE,
  GPU_RO_FW_PRIV_RW: protWith(Prot.READ | Prot.CACHE, FIRMWARE_WRITES),
  GPU_SHARED_RW: protWith(RW, GPU_ALONE),
  GPU_SHARED_RO: protWith(Prot.READ, GPU_ALONE),
  GPU_SHARED_WO: protWith(Prot.WRITE, GPU_ALONE),
  FW_GPU_NA: protWith(Prot.CACHE, NOBODY),
  FW_GPU_RO: Prot.READ | Prot.CACHE,
  FW_GPU_WO: Prot.WRITE | Prot.CACHE,
  FW_NA: protWith(Prot.CACHE, NO_FIRMWARE),
  GPU_NA: protWith(Prot.CACHE, NO_GPU),
}

/** The name of a protection of Linux's driver, without PROT_. Those that end in _NA grant nothing: no mapping is made with them. */
export type UatProtection =
  | 'FW_MMIO_RW'
  | 'FW_MMIO_RO'
  | 'FW_SHARED_RW'
  | 'FW_SHARED_RO'
  | 'FW_PRIV_RW'
  | 'GPU_FW_SHARED_RW'
  | 'GPU_FW_PRIV_RW'
  | 'GPU_RO_FW_PRIV_RW'
  | 'GPU_SHARED_RW'
  | 'GPU_SHARED_RO'
  | 'GPU_SHARED_WO'
  | 'FW_GPU_NA'
  | 'FW_GPU_RO'
  | 'FW_GPU_WO'
  | 'FW_NA'
  | 'GPU_NA'

/** The prot that `map` takes for a protection of Linux's driver. */
export function uatProt(name: UatProtection): Prot {
  return NAMED[name]
}

/** The bits of a prot; undefined where no code says it: the firmware cannot write what it cannot read. NOEXEC changes nothing. */
export function uatBits(prot: Prot): bigint | undefined {
  const flags = prot & (RW | Prot.PRIV)
  const found = CODES.find((one) => one.flags === flags && one.firmware === attributesIn(prot))
  if (found === undefined) return undefined
  const { AP, UXN, PXN } = found.code
  return (BigInt(attrIndexOf(prot)) << 2n) | (BigInt(AP) << 6n) | (BigInt(PXN) << 53n) | (BigInt(UXN) << 54n) | (1n << 55n)
}

/** What the bits say: {@link uatBits} gives the same for it, where OS is 1 and AttrIndex one of ours. Nobody executes then. */
export function protOfBits(raw: bigint): Prot {
  const bit = (at: bigint): number => Number((raw >> at) & 1n)
  const AP = Number((raw >> 6n) & 3n)
  const [UXN, PXN, OS] = [bit(54n), bit(53n), bit(55n)]
  const memory = memoryOf(Number((raw >> 2n) & 7n))
  const found = CODES.find(({ code: one }) => one.AP === AP && one.UXN === UXN && one.PXN === PXN)
  if (OS === 0) return protWith(protOfRights(uatRights({ AP, UXN, PXN, OS }), memory), NOT_OURS)
  if (found === undefined) return protWith(protOfMemory(memory) | Prot.NOEXEC, NOT_OURS)
  return protWith(found.flags | protOfMemory(memory) | Prot.NOEXEC, found.firmware)
}

/** By AttrIndex, as Linux's driver and m1n1 have them. */
export function memoryOf(index: number): MemoryType {
  if (index === 0 || index === 5) return { name: 'cached', caching: 'cached' }
  return index === 2 || index === 3 ? { name: 'shared', caching: 'uncached' } : { name: 'device', caching: 'device' }
}

const R = Right.READ
const W = Right.READ | Right.WRITE
const X = Right.READ | Right.EXECUTE
const GPU = Right.USER
const FIRMWARE = Right.PRIVILEGED

/** By AP, UXN, PXN as one number, with OS = 1. */
const OWNED: readonly Rights[] = [
  [0, R, Right.WRITE, W],
  [R & FIRMWARE, 0, W & FIRMWARE, (R & GPU) | (W & FIRMWARE)],
  [R & GPU, Right.WRITE & GPU, W & GPU, 0],
  [0, 0, 0, 0],
].flat()

/** With OS = 0 the GPU has no access; what is left is EL1's of the firmware. */
const FOREIGN: readonly Rights[] = [
  [0, 0, 0, 0],
  [0, W, 0, W],
  [0, X, 0, 0],
  [X, R, 0, R],
].flatMap((rights) => rights.map((right) => right & FIRMWARE))

export function uatRights({ AP = 0, UXN = 0, PXN = 0, OS = 0 }: Readonly<Record<string, number>>): Rights {
  return (OS ? OWNED : FOREIGN)[AP * 4 + UXN * 2 + PXN] ?? 0
}
