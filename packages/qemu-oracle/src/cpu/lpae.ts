/** What the long descriptors of Arm should make of each access: DDI 0487 D8.4 to D8.6, DDI 0406C B3.7. Written for this purpose, not the formats' own reading. */
import { type AnyFmt, bitsOf, fieldValue, type Geometry, type IoPageTable, Prot } from '@io-pgtable/core'
import { memoryOf } from './arm-par.ts'
import { type Access, type Answer, combinations, isRun, isUser, isWrite } from './question.ts'
import { type Flip, fieldBits, type Leaf, type Rules, type Scramble } from './rules.ts'

/** An AT answers with a 4 KiB page. */
export const AT_PRECISION = 0xfffn
export const DATA: readonly Access[] = ['priv read', 'priv write', 'user read', 'user write']
export const RUN: readonly Access[] = ['priv run', 'user run']

const NON_CACHEABLE = 0x44
const DEVICE_MASK = 0xf0

function fault(kind: 'translation' | 'permission', level: number): string {
  return `${kind} L${level}`
}

/** Stage 1 of AArch64. What EL0 may write EL1 never runs, and EL0 may run what it cannot read. */
export const STAGE1_A64: Rules = { accesses: DATA, grants: stage1Grants, memory: stage1Memory, below: AT_PRECISION, fault }

/** Stage 1 of AArch32: PL0 runs only what it may read. */
export const STAGE1_A32: Rules = {
  ...STAGE1_A64,
  grants: (prot, access) => {
    if (access === 'priv run') return (prot & Prot.NOEXEC) === 0
    return stage1Grants(prot, access) && (access !== 'user run' || (prot & Prot.PRIV) === 0)
  },
}

function stage1Grants(prot: Prot, access: Access): boolean {
  const [write, priv, run] = [(prot & Prot.WRITE) !== 0, (prot & Prot.PRIV) !== 0, (prot & Prot.NOEXEC) === 0]
  if (access === 'priv run') return run && (priv || !write)
  if (access === 'user run') return run
  return (write || !isWrite(access)) && !(isUser(access) && priv)
}

/** The attributes of MAIR that our AttrIndx select; what is not cacheable is outer shareable, whatever the descriptor says (PAR_EL1.SH). */
function stage1Memory(prot: Prot): string {
  if (prot & Prot.MMIO) return memoryOf(0x04, 2)
  return prot & Prot.CACHE ? memoryOf(0xff, 3) : memoryOf(NON_CACHEABLE, 2)
}

/** What stage 2 can grant: writes alone, too. */
export const STAGE2_PROTS: readonly Prot[] = [Prot.READ, Prot.WRITE, Prot.READ | Prot.WRITE].flatMap((prot) => [
  ...combinations(prot, Prot.NOEXEC, Prot.CACHE),
  prot | Prot.MMIO,
])

/** How a CPU reads XN of stage 2. `aarch32`: what is run must be readable too. `xnx`: FEAT_XNX, where our NOEXEC lets EL1 run, and EL0 not. */
export type Stage2Kind = 'aarch32' | 'aarch64' | 'xnx'

export function stage2Rules(kind: Stage2Kind): Rules {
  return {
    accesses: ['priv read'],
    grants: (prot, access) => stage2Grants(prot, access, kind),
    // with a stage 1 of Write-Back memory, what the leaf of stage 2 says
    memory: stage1Memory,
    below: AT_PRECISION,
    fault,
  }
}

function stage2Grants(prot: Prot, access: Access, kind: Stage2Kind): boolean {
  if (!isRun(access)) return (prot & (isWrite(access) ? Prot.WRITE : Prot.READ)) !== 0
  if (kind === 'aarch32' && !(prot & Prot.READ)) return false
  return (prot & Prot.NOEXEC) === 0 || (kind === 'xnx' && !isUser(access))
}

/** Registers that a leaf of stage 1 needs to be understood. `sh`: where descriptors have none. `updates`: the walker sets access and dirty flags. */
export interface Stage1Walk {
  readonly mair: bigint
  readonly sh?: number
  readonly updates?: boolean
}

/**
 * Leaves of stage 1 that anybody might have written, against the format's own reading of them. The access flag goes before permissions.
 * DBM stays as it is, since our reading of it is that of a walker that updates.
 */
export function stage1Scramble<F extends AnyFmt>({ format, context }: IoPageTable<F>, { mair, sh, updates = false }: Stage1Walk): Scramble {
  const value = (leaf: Leaf, name: string): number => fieldValue(leaf.kind, leaf.raw, name) ?? 0
  const judge = (leaf: Leaf, access: Access): Pick<Answer, 'fault' | 'memory'> => {
    if (value(leaf, 'AF') === 0 && !updates) return { fault: `access flag L${leaf.node.level}` }
    const prot = format.prot(leaf.raw, leaf.kind, context)
    if ((isUser(access) && prot & Prot.PRIV) || (isWrite(access) && !(prot & Prot.WRITE)))
      return { fault: `permission L${leaf.node.level}` }
    const attribute = Number((mair >> BigInt(8 * value(leaf, 'AttrIndx'))) & 0xffn)
    const plain = attribute === NON_CACHEABLE || (attribute & DEVICE_MASK) === 0
    return { memory: memoryOf(attribute, plain ? 2 : (sh ?? value(leaf, 'SH'))) }
  }
  return { count: 500, mask: (leaf) => fieldBits(leaf, STAGE1_FIELDS), judge }
}

const STAGE1_FIELDS = ['AttrIndx', 'NS', 'AP', 'SH', 'AF', 'nG', 'Contiguous', 'PXN', 'UXN', 'XN', 'Software', 'PBHA', 'AMEC', 'Ignored']

const oneBit = (what: string, bit: number, more: Partial<Flip> = {}): Flip => ({ what, mask: 1n << BigInt(bit), ...more })

/** Each bit of the type, of the address and of what an AT tells, wrong. `bits`: where the address stands. `updates`: as above. */
export function stage1Flips(bits: bigint, updates = false): readonly Flip[] {
  return [
    oneBit('type, valid', 0),
    oneBit('type, page', 1),
    ...addressFlips(bits),
    oneBit('AttrIndx', 2),
    oneBit('AttrIndx', 3),
    oneBit('AP[1]', 6),
    ...(updates ? [] : [oneBit('AP[2]', 7), oneBit('AF', 10)]),
    oneBit('type of the table, valid', 0, { entry: 'table' }),
    oneBit('type of the table, table', 1, { entry: 'table' }),
  ]
}

export function addressFlips(bits: bigint): readonly Flip[] {
  return Array.from({ length: 64 }, (_, bit) => bit)
    .filter((bit) => (bits >> BigInt(bit)) & 1n)
    .map((bit) => oneBit(`address, bit ${bit}`, bit))
}

/** Execute-never, seen by running what may be run. */
function neverFlip(what: string, bit: number, access: Access, rules: Rules): Flip {
  return oneBit(what, bit, { accesses: [access], shows: ({ prot }) => rules.grants(prot, access) })
}
export const NEVER_FLIPS_A64: readonly Flip[] = [neverFlip('PXN', 53, 'priv run', STAGE1_A64), neverFlip('UXN', 54, 'user run', STAGE1_A64)]
export const NEVER_FLIPS_A32: readonly Flip[] = [neverFlip('PXN', 53, 'priv run', STAGE1_A32), neverFlip('XN', 54, 'user run', STAGE1_A32)]

/** Where the address stands in a leaf of the last level. */
export function leafBits(geometry: Geometry): bigint {
  const leaf = geometry.nodes.at(-1)?.kinds.find(({ type }) => type === 'leaf')
  return leaf?.type === 'leaf' ? bitsOf(leaf.address) : 0n
}

/** Stage 2: what an AT or an access tells. A write that is refused is no AT here. */
export function stage2Flips(bits: bigint): readonly Flip[] {
  return [
    oneBit('type, valid', 0),
    oneBit('type, page', 1),
    ...addressFlips(bits),
    oneBit('AF', 10),
    oneBit('MemAttr', 2),
    oneBit('MemAttr', 4),
    oneBit('type of the table, valid', 0, { entry: 'table' }),
    oneBit('type of the table, table', 1, { entry: 'table' }),
  ]
}

/** S2AP, seen by loads and stores. */
export const S2AP_FLIPS: readonly Flip[] = [
  oneBit('S2AP[0]', 6, { accesses: ['priv load'] }),
  oneBit('S2AP[1]', 7, { accesses: ['priv store'] }),
]

/** XN[1], seen by running what may be run. Without FEAT_XNX it alone says never. */
export const XN_FLIP: Flip = oneBit('XN[1]', 54, {
  accesses: ['priv run'],
  shows: ({ prot }) => (prot & (Prot.NOEXEC | Prot.READ)) === Prot.READ,
})
