/** Walks that are printed for themselves: Xen on Arm, VT-d's dump of entries, EPT violations, and listings of whole tables. */
import { decodeArm64Fault } from '../../fault/arm64.ts'
import { decodeEptViolation } from '../../fault/x86.ts'
import type { Facts } from '../facts.ts'
import { type LoggedLeaf, type LoggedWalk, missingOf, plainReport, type Source } from '../source.ts'

const number = (facts: Facts, name: string): bigint => facts.number(name) ?? 0n

/** TCR_EL2 of Xen: 4K pages, 48 bits in and out. */
const XEN_TCR = 0x8085_3510n
const XEN_LEVELS = ['0TH', '1ST', '2ND', '3RD']

const XEN_ARM: Source = {
  id: 'xen-arm',
  starts: ['Walking Hypervisor VA'],
  hints: ['0th[', '1st[', '2nd[', '3rd[', 'hsr', 'syndrome'],
  opens: /\bWalking Hypervisor VA 0x(?<va_h>[0-9a-f]{1,16}) on CPU\d{1,4} via TTBR 0x(?<ttbr_h>[0-9a-f]{1,16})\b/,
  facts: [
    ...XEN_LEVELS.map((name, i) => new RegExp(`\\b${name}\\[0x[0-9a-f]{1,3}\\] = 0x(?<l${i}_h>[0-9a-f]{1,16})\\b`, 'g')),
    /\bHSR[:=] ?(?:0x)?(?<hsr_h>[0-9a-f]{8,16})\b/gi,
  ],
  lines: 30,
  read(facts) {
    const entries = XEN_LEVELS.map((_, i) => facts.number(`l${i}`))
    const va = facts.number('va')
    const missing = entries[0] === undefined ? ['the entries of the walk'] : []
    const hsr = facts.number('hsr')
    const registers = { ttbr0: number(facts, 'ttbr'), tcr: XEN_TCR, mair: 0n, regime: 'el2' }
    const report =
      hsr === undefined
        ? plainReport({
            ...NO_FAULT,
            kind: 'xen',
            name: 'walk',
            explanation: 'a walk of the hypervisor’s own tables (EL2)',
            access: { iova: va ?? 0n },
          })
        : decodeArm64Fault([hsr, va ?? 0n])
    const walk: LoggedWalk = { role: 'arm64-stage1', registers, entries, names: XEN_LEVELS }
    return { kind: 'xen', ...(va !== undefined && { iova: va }), missing, ...(missing.length === 0 && { report, walk }) }
  },
}

const NO_FAULT = { manual: 'the log', facts: {}, fault: {} } as const

/** A dump that follows a DMAR fault: legacy mode, one stage. */
const VTD_ENTRIES: Source = {
  id: 'vtd-entries',
  starts: ['table entries for IOVA'],
  hints: ['context entry', 'pte level', 'root entry', 'pasid'],
  opens: /\bDump \w{1,16} table entries for IOVA 0x(?<iova_h>[0-9a-f]{1,16})\b/,
  facts: [
    /\bcontext entry: hi 0x(?<high_h>[0-9a-f]{1,16}), low 0x(?<low_h>[0-9a-f]{1,16})/g,
    ...[1, 2, 3, 4, 5].map((level) => new RegExp(`\\bpte level: ${level}, pte value: 0x(?<l${level}_h>[0-9a-f]{1,16})\\b`, 'g')),
    /\bpasid (?<scalable_s>dir) entry\b/g,
  ],
  lines: 20,
  read(facts) {
    const iova = facts.number('iova')
    const isScalable = facts.has('scalable')
    const missing = isScalable
      ? ['scalable mode: its tables are told by the PASID entry, which is not read']
      : missingOf(facts, { low: 'the context entry' })
    const aw = Number(number(facts, 'high') & 7n)
    const levels = [aw + 2, aw + 1, aw, aw - 1, aw - 2].filter((level) => level > 0)
    const entries = levels.map((level) => facts.number(`l${level}`))
    const domain = Number((number(facts, 'high') >> 8n) & 0xffffn)
    const registers = { ssptptr: number(facts, 'low') & ~0xfffn, aw }
    const walk: LoggedWalk = { role: 'vtd-second-stage', registers, entries, names: levels.map((level) => `the entry of level ${level}`) }
    const report = plainReport({
      ...NO_FAULT,
      kind: 'vtd',
      name: 'entries',
      explanation: 'the entries that the IOMMU reads for this address',
      facts: { domain, aw, ssptptr: number(facts, 'low') & ~0xfffn },
      access: { iova: iova ?? 0n },
    })
    return {
      kind: 'vtd',
      ...(iova !== undefined && { iova }),
      missing,
      ...(missing.length === 0 && { report, ...(entries[0] !== undefined && { walk }) }),
    }
  },
}

/** As Xen and KVM print it: EPTP is not among it, so that its entries cannot be walked. */
const EPT: Source = {
  id: 'ept',
  starts: ['EPT violation'],
  hints: ['gpa'],
  opens: /\bEPT violation 0x(?<qualification_h>[0-9a-f]{1,16})\b/i,
  facts: [/\bgpa 0x(?<gpa_h>[0-9a-f]{1,16})\b/gi],
  lines: 1,
  complete: ['gpa'],
  read(facts) {
    const missing = missingOf(facts, { gpa: 'the guest physical address' })
    return {
      kind: 'ept',
      missing,
      ...(missing.length === 0 && { report: decodeEptViolation([number(facts, 'qualification'), number(facts, 'gpa')]) }),
    }
  },
}

/** What teaching kernels of RISC-V print: dots by depth, the index, the entry. */
const LISTING: Source = {
  id: 'listing',
  starts: ['page table 0x'],
  hints: ['..'],
  opens: /^page table 0x(?<root_h>[0-9a-f]{1,16})$/,
  facts: [/^(?<row_t>(?:\.\. ?){1,5} ?\d{1,3}: (?:pte )?0x[0-9a-f]{1,16})(?![0-9a-f])/g],
  lines: 2 ** 16,
  read(facts) {
    const root = facts.number('root')
    const leaves = root === undefined ? 'the root' : leavesOf(facts.texts('row'), root)
    if (typeof leaves === 'string') return { kind: 'listing', missing: [leaves] }
    const report = plainReport({
      ...NO_FAULT,
      kind: 'listing',
      name: 'listing',
      explanation: `a listing of ${facts.texts('row').length} entries: ${leaves.length} leaves; hardware is taken to set A and D`,
      facts: { root: root ?? 0n },
      access: {},
    })
    return { kind: 'listing', missing: [], report, leaves }
  },
}

interface Row {
  readonly depth: number
  readonly index: number
  readonly entry: bigint
}

function rowOf(text: string): Row {
  const [, dots = '', index = '', entry = ''] = /^((?:\.\. ?)+) ?(\d+): (?:pte )?(0x[0-9a-f]+)$/.exec(text) ?? []
  return { depth: dots.split('..').length - 1, index: Number(index), entry: BigInt(entry) }
}

/** Teaching kernels leave A and D to the hardware: menvcfg.ADUE, and the extension Svadu. */
const ADUE = 1n << 61n
const SV39 = { levels: 3, mode: 8n } as const
/** R, W or X of an entry: a leaf. */
const LEAF = 0b1110n

/** The leaves of a listing, each with the entries above it. @returns a text where rows are missing or not in order */
function leavesOf(texts: readonly string[], root: bigint): readonly LoggedLeaf[] | string {
  const leaves: LoggedLeaf[] = []
  const path: Row[] = []
  for (const row of texts.map(rowOf)) {
    const above = path[row.depth - 2]
    const before = path[row.depth - 1]
    const isBelow = row.depth === 1 || (above !== undefined && (above.entry & LEAF) === 0n)
    if (row.depth > SV39.levels || row.index > 511 || !isBelow) return 'rows above others'
    if (before !== undefined && before.index >= row.index) return 'the rows in their order'
    path.splice(row.depth - 1, path.length, row)
    if ((row.entry & LEAF) !== 0n) leaves.push(leafOf(path, root))
  }
  return texts.length === 0 ? 'the rows' : leaves
}

function leafOf(path: readonly Row[], root: bigint): LoggedLeaf {
  const low = path.reduce((iova, { index }, i) => iova | (BigInt(index) << BigInt(12 + 9 * (SV39.levels - 1 - i))), 0n)
  return {
    role: 'riscv-stage1',
    registers: { satp: (SV39.mode << 60n) | (root >> 12n), envcfg: ADUE },
    entries: path.map(({ entry }) => entry),
    names: path.map((_, i) => `row ${i}`),
    iova: BigInt.asUintN(64, BigInt.asIntN(39, low)),
  }
}

export const WALK_SOURCES: readonly Source[] = [XEN_ARM, VTD_ENTRIES, EPT, LISTING]
