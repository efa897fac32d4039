/**
 * Who may do what: DDI 0487 D8.4 (permissions, hierarchical control, WXN, PAN), D8.5 (access flag, dirty state), D8.6 (memory attributes; MAIR),
 * D24.2 (TCR: HPD, HA, HD, TBI; the fault status codes of ESR); AArch32: DDI 0406C B3.7, B3.8, B3.13.
 */
import {
  type AccessFault,
  type AccessState,
  type ArchFault,
  type Assuming,
  forAll,
  type LeafKind,
  type Meaning,
  type MemoryType,
  meaning,
  Right,
  type Rights,
  type TableKind,
  type Traps,
  trapAll,
  type Updates,
  when,
} from '@io-pgtable/core'

/** Registers that decide about stage 1, as booleans. */
export interface Stage1Regime extends Assuming {
  /** Descriptors and permissions are AArch32's: a fetch needs a page that can be read. */
  readonly aarch32: boolean
  /** One privilege (EL2 without E2H, EL3, Hyp): no PXN, and AP[1] counts for nothing. */
  readonly single: boolean
  /** TCR.HPD: tables take nothing away. */
  readonly hpd: boolean
  /** TCR.HA and HD: hardware sets AF, and makes writable what has DBM. */
  readonly ha: boolean
  readonly hd: boolean
  /** SCTLR.WXN, and UWXN of AArch32: what may be written, at EL0 alone for UWXN, is not executed, by the privileged for UWXN. */
  readonly wxn: boolean
  readonly uwxn: boolean
  /** TCR.TBI: bits 63:56 of an input address are a tag. */
  readonly tbi: boolean
}

/** What stage 2 depends on. */
export interface Stage2Regime {
  readonly fwb: boolean
  readonly xnx: boolean
  readonly aarch32?: boolean
  readonly ha?: boolean
  readonly hd?: boolean
}

const WXN = 1n << 19n
const UWXN = 1n << 20n

/** WXN and UWXN out of SCTLR; left out: neither. */
export function sctlrOf(sctlr: bigint | undefined, name: string): Pick<Stage1Regime, 'wxn' | 'uwxn' | 'assumed'> {
  if (sctlr === undefined) return { wxn: false, uwxn: false, assumed: [`${name}.WXN 0`] }
  return { wxn: (sctlr & WXN) !== 0n, uwxn: (sctlr & UWXN) !== 0n, assumed: [] }
}

const PRIV = Right.PRIVILEGED
const PRIV_EXECUTE = PRIV & Right.EXECUTE
const USER_EXECUTE = Right.USER & Right.EXECUTE
const USER_WRITE = Right.USER & Right.WRITE
const USER_DATA = Right.USER & (Right.READ | Right.WRITE)

/** AP[2:1], or what APTable leaves of everything. */
function data(AP: number, writable: boolean): Rights {
  return (Right.READ | (writable ? Right.WRITE : 0)) & (AP & 1 ? Right.ALL : PRIV)
}

function tableData(APTable: number): Rights {
  return Right.ALL & ~(APTable & 1 ? USER_DATA : 0) & ~(APTable & 2 ? Right.WRITE : 0)
}

type Leaf = Pick<LeafKind, 'grants' | 'traps' | 'memory' | 'global' | 'updates'>
type Table = Pick<TableKind, 'limits'>

const LIMITS64: Meaning<Rights, Stage1Regime> = meaning(
  ['APTable', 'UXNTable', 'PXNTable'],
  ({ APTable = 0, UXNTable, PXNTable }, { hpd }) =>
    hpd ? Right.ALL : tableData(APTable) & ~(UXNTable ? USER_EXECUTE : 0) & ~(PXNTable ? PRIV_EXECUTE : 0),
)
const LIMITS32: Meaning<Rights, Stage1Regime> = meaning(
  ['APTable', 'XNTable', 'PXNTable'],
  ({ APTable = 0, XNTable, PXNTable }, { hpd }) =>
    hpd ? Right.ALL : tableData(APTable) & ~(XNTable ? Right.EXECUTE : 0) & ~(PXNTable ? PRIV_EXECUTE : 0),
)
const LIMITS_SINGLE: Meaning<Rights, Stage1Regime> = meaning(['APTable[1]', 'XNTable'], ({ 'APTable[1]': readOnly, XNTable }, { hpd }) =>
  hpd ? Right.ALL : tableData(readOnly ? 2 : 0) & ~(XNTable ? Right.EXECUTE : 0),
)

const isWritable = (readOnly: number, DBM: number, { hd }: Pick<Stage1Regime, 'hd'>): boolean => readOnly === 0 || (hd && DBM === 1)

const GRANTS64: Meaning<Rights, Stage1Regime> = meaning(
  ['AP', 'UXN', 'PXN', 'DBM'],
  ({ AP = 0, UXN, PXN, DBM = 0 }, regime) =>
    data(AP, isWritable(AP & 2, DBM, regime)) | (UXN ? 0 : USER_EXECUTE) | (PXN ? 0 : PRIV_EXECUTE),
)
/** XN is of both. */
const GRANTS32: Meaning<Rights, Stage1Regime> = meaning(
  ['AP', 'XN', 'PXN', 'DBM'],
  ({ AP = 0, XN, PXN, DBM = 0 }, regime) => data(AP, isWritable(AP & 2, DBM, regime)) | (XN ? 0 : USER_EXECUTE | (PXN ? 0 : PRIV_EXECUTE)),
)
const GRANTS_SINGLE: Meaning<Rights, Stage1Regime> = meaning(
  ['AP[2]', 'XN', 'DBM'],
  ({ 'AP[2]': readOnly = 0, XN, DBM = 0 }, regime) => data(1, isWritable(readOnly, DBM, regime)) | (XN ? 0 : Right.EXECUTE),
)

const TRAPS: Meaning<Traps | undefined, { readonly ha?: boolean }> = meaning(['AF'], ({ AF }, { ha }) =>
  AF || ha ? undefined : trapAll('access-flag'),
)

const AF = 1n << 10n
const DBM = 1n << 51n

/** `clean`: the bit whose value `is` says that the leaf was not written to yet. */
function updates(clean: bigint, is: bigint): (context: unknown) => Updates {
  return (context) => {
    const { ha, hd } = context as { readonly ha?: boolean; readonly hd?: boolean }
    const dirty = { when: when(DBM | clean, DBM | is), clear: is, set: clean ^ is }
    return { ...(ha && { accessed: { clear: 0n, set: AF } }), ...(hd && { dirty }) }
  }
}

const DEVICE = ['Device-nGnRnE', 'Device-nGnRE', 'Device-nGRE', 'Device-GRE']
const UNPREDICTABLE: MemoryType = { name: 'UNPREDICTABLE', caching: 'unknown' }

/** One attribute of MAIR (DDI 0487 D24.2, MAIR_EL1). */
export function mairType(attribute: number): MemoryType {
  const [outer, inner] = [attribute >> 4, attribute & 15]
  if (outer === 0) return (inner & 2) === 0 || (inner & 1) === 0 ? device(inner) : { ...UNPREDICTABLE, caching: 'device' }
  if (attribute === 0x40) return { name: 'Normal Non-cacheable, XS 0', caching: 'uncached' }
  if (attribute === 0xa0) return { name: 'Normal Write-Through, XS 0', caching: 'cached' }
  if (attribute === 0xf0) return { name: 'Normal Write-Back, tagged', caching: 'cached' }
  if (inner === 0) return { ...UNPREDICTABLE, caching: 'cached' }
  const [outside, inside] = [policy(outer), policy(inner)]
  const name = outside === inside ? `Normal ${outside}` : `Normal, outer ${outside}, inner ${inside}`
  return { name, caching: attribute === 0x44 ? 'uncached' : 'cached' }
}

/** 0000dd00; dd01 with XS 0; the two bits beside it are UNPREDICTABLE. */
function device(code: number): MemoryType {
  if (code & 2) return { ...UNPREDICTABLE, caching: 'device' }
  return { name: `${DEVICE[code >> 2]}${code & 1 ? ', XS 0' : ''}`, caching: 'device' }
}

/** A nibble: 0100 non-cacheable, 00RW and 10RW write-through, 01RW and 11RW write-back; transient below 8. */
function policy(code: number): string {
  if (code === 4) return 'Non-cacheable'
  const name = code & 4 ? 'Write-Back' : 'Write-Through'
  const allocate = ['', ' Write-Allocate', ' Read-Allocate', ' Read/Write-Allocate'][code & 3]
  return `${name}${allocate}${code < 8 ? ' Transient' : ''}`
}

const MEMORY: Meaning<MemoryType, { readonly mair: bigint }> = meaning(['AttrIndx'], ({ AttrIndx = 0 }, { mair }) =>
  mairType(Number((mair >> BigInt(8 * AttrIndx)) & 0xffn)),
)

const AP2 = 1n << 7n
const GLOBAL: Meaning<boolean> = meaning(['nG'], ({ nG }) => nG === 0)
/** A regime with one privilege has no address space ids. */
const ALWAYS_GLOBAL: Meaning<boolean> = meaning([], () => true)
function stage1(grants: Meaning<Rights, Stage1Regime>, global = GLOBAL): Leaf {
  return { grants, traps: TRAPS, memory: MEMORY, global, updates: updates(AP2, AP2) }
}

/** Of AArch64's stage 1, of AArch32's, and of a regime with one privilege. */
export const RIGHTS64: { readonly leaf: Leaf; readonly table: Table } = { leaf: stage1(GRANTS64), table: { limits: LIMITS64 } }
export const RIGHTS32: { readonly leaf: Leaf; readonly table: Table } = { leaf: stage1(GRANTS32), table: { limits: LIMITS32 } }
export const RIGHTS_SINGLE: { readonly leaf: Leaf; readonly table: Table } = {
  leaf: stage1(GRANTS_SINGLE, ALWAYS_GLOBAL),
  table: { limits: LIMITS_SINGLE },
}

/** Stage 2 memory attributes: MemAttr[3:2] outer, [1:0] inner; with FEAT_S2FWB three bits count. */
const NAMES = ['', 'Non-cacheable', 'Write-Through', 'Write-Back']
function memAttr(code: number): MemoryType {
  if (code < 4) return { name: DEVICE[code] ?? '', caching: 'device' }
  const [outer, inner] = [NAMES[code >> 2], NAMES[code & 3] || 'reserved']
  return {
    name: outer === inner ? `Normal ${outer}` : `Normal, outer ${outer}, inner ${inner}`,
    caching: code === 5 ? 'uncached' : 'cached',
  }
}
function memAttrFwb(code: number): MemoryType {
  if ((code & 4) === 0) return { name: DEVICE[code & 3] ?? '', caching: 'device' }
  if (code === 5) return { name: 'Normal Non-cacheable', caching: 'uncached' }
  return { name: code === 6 ? 'Normal Write-Back' : code === 7 ? 'as stage 1' : 'reserved', caching: 'cached' }
}
const MEMORY2: Meaning<MemoryType, Stage2Regime> = meaning(['MemAttr'], ({ MemAttr = 0 }, { fwb }) => (fwb ? memAttrFwb : memAttr)(MemAttr))

/** XN: 0 executable, 1 at EL0 alone, 2 never, 3 at EL1 alone; without FEAT_XNX bit 1 alone counts. */
function stage2Execute(XN: number, xnx: boolean): Rights {
  if (!xnx) return XN & 2 ? 0 : Right.EXECUTE
  return [Right.EXECUTE, USER_EXECUTE, 0, PRIV_EXECUTE][XN] ?? 0
}

/** `access`: S2AP in AArch64, HAP in AArch32. */
function stage2(access: 'S2AP' | 'HAP'): Leaf {
  const grants: Meaning<Rights, Stage2Regime> = meaning(
    [access, 'XN', 'DBM'],
    ({ [access]: ap = 0, XN = 0, DBM: dbm }, { xnx, hd = false }) =>
      forAll((ap & 1 ? Right.READ : 0) | (ap & 2 || (hd && dbm) ? Right.WRITE : 0)) | stage2Execute(XN, xnx),
  )
  return { grants, traps: TRAPS, memory: MEMORY2, updates: updates(AP2, 0n) }
}

/** Of stage 2 in AArch64 and in AArch32: no table takes anything away. */
export const RIGHTS_S2: { readonly leaf: Leaf; readonly table: Table } = { leaf: stage2('S2AP'), table: {} }
export const RIGHTS32_S2: { readonly leaf: Leaf; readonly table: Table } = { leaf: stage2('HAP'), table: {} }

/** What configuration registers make of a stage 1 path; with a state, PAN too. */
export function stage1RegimeOf(regime: Stage1Regime, state?: AccessState): (path: Rights) => Rights {
  const { aarch32, single, wxn, uwxn } = regime
  return (path) => {
    let rights = aarch32 ? fetchNeedsRead(path) : path
    if (!single && (path & USER_WRITE) !== 0 && (uwxn || !aarch32)) rights &= ~PRIV_EXECUTE
    // WRITE of each half is one place below its EXECUTE.
    if (wxn) rights &= ~((path & Right.WRITE) << 1)
    if (state?.PAN && !single && (path & USER_DATA) !== 0) rights &= ~(PRIV & (Right.READ | Right.WRITE))
    return rights
  }
}

/** What takes a right of a stage 1 path away. */
export function stage1Denies(
  { aarch32, single, wxn, uwxn }: Stage1Regime,
  { path, needed, state }: { readonly path: Rights; readonly needed: Rights; readonly state: AccessState },
): string | undefined {
  if ((needed & Right.EXECUTE) === 0) return state.PAN && !single ? 'PSTATE.PAN, with memory of EL0,' : undefined
  if (wxn && (path & (needed >> 1)) !== 0) return 'SCTLR.WXN, with memory that may be written,'
  if (single || (path & USER_WRITE) === 0) return undefined
  return aarch32 ? (uwxn ? 'SCTLR.UWXN, with memory that PL0 may write,' : undefined) : 'that EL0 may write it'
}

/** AArch32: what cannot be read cannot be executed, at stage 2 too. */
export function fetchNeedsRead(path: Rights): Rights {
  return path & ~(((~path & Right.READ) << 2) & Right.EXECUTE)
}

const STATUS: Readonly<Partial<Record<AccessFault['type'], readonly [code: number, name: string]>>> = {
  'address-size': [0x00, 'address size fault'],
  translation: [0x04, 'translation fault'],
  'access-flag': [0x08, 'access flag fault'],
  permission: [0x0c, 'permission fault'],
  'walk-abort': [0x14, 'synchronous external abort on a walk'],
  'unknown-memory': [0x14, 'synchronous external abort on a walk'],
}

/**
 * The fault status code, with the level in bits 1:0 (0 where none is known); level -1 has codes of its own. WnR of a data abort, and S1PTW of
 * stage 2, whose fetches are reads; an IPA as HPFAR_EL2.FIPA has it.
 */
export function armFault({ type, level = 0, access, ipa, onWalk }: AccessFault): ArchFault {
  const [base, name] = STATUS[type] ?? [0x04, 'translation fault']
  const below = type === 'address-size' ? 0x29 : type === 'translation' ? 0x2b : 0x13
  const FSC = level < 0 ? below : base | level
  return {
    name: `${name}, level ${level}`,
    codes: {
      ...{ FSC, WnR: access === 'write' && !onWalk ? 1 : 0 },
      ...(ipa !== undefined && { S1PTW: onWalk ? 1 : 0, FIPA: Number(ipa >> 12n) }),
    },
  }
}
