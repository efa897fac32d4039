/** Records that are text alone: IOMMUs of SoCs (Exynos, Rockchip, Allwinner, MediaTek, Tegra) and Intel's GPUs, as Linux prints them. */
import type { AccessKind, FaultType } from '@io-pgtable/core'
import type { Fact, FaultReport } from '../../fault/report.ts'
import type { Facts } from '../facts.ts'
import { missingOf, plainReport, type Reading, type Source } from '../source.ts'

type Own = Pick<FaultReport, 'name' | 'explanation' | 'facts' | 'fault'> & { readonly access?: AccessKind | undefined }

/** `names`: without these there is no record. `wanted`: without these it is not whole. */
function reading(
  kind: string,
  facts: Facts,
  names: Readonly<Record<string, string>>,
  va: bigint | undefined,
  own: () => Own,
  wanted: Readonly<Record<string, string>> = {},
): Reading {
  const needed = missingOf(facts, names)
  const missing = [...needed, ...missingOf(facts, wanted)]
  if (needed.length > 0) return { kind, missing, ...(va !== undefined && { iova: va }) }
  const { access, ...rest } = own()
  const where = { ...(va !== undefined && { iova: va }), ...(access !== undefined && { type: access }) }
  return { kind, missing, report: plainReport({ ...rest, kind, manual: `the log of the driver (${kind})`, access: where }) }
}

/** Numbers and texts by name, without those that are not there. */
function told(facts: Facts, ...names: readonly string[]): Readonly<Record<string, Fact>> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = facts.number(name) ?? facts.text(name)
      return value === undefined ? [] : [[name, value]]
    }),
  )
}

const DIRECTIONS: Readonly<Record<string, AccessKind>> = { read: 'read', write: 'write', rd: 'read', wr: 'write' }
const direction = (text: string | undefined): AccessKind | undefined => (text === undefined ? undefined : DIRECTIONS[text.toLowerCase()])
const stage1 = (type: FaultType | undefined): FaultReport['fault'] => ({ ...(type !== undefined && { type }), stage: 1 })

/** The entries that the driver printed; the walk ends at the last one that is there. */
const EXYNOS: Source = {
  id: 'exynos',
  starts: ['FAULT occurred at'],
  hints: ['page table base', 'level entry', 'lv1 entry', 'lv2 entry'],
  opens: /\b(?<what_s>[A-Z][A-Z0-9 -]{2,32}?) FAULT occurred at 0x(?<va_h>[0-9a-f]{1,16})\b/,
  facts: [
    /\[(?<dir_s>READ|WRITE)\]/g,
    /\bPage table base: 0x(?<base_h>[0-9a-f]{1,16})\b/g,
    /\b(?:Lv1 entry|1st level entry): 0x(?<lv1_h>[0-9a-f]{1,8})\b/g,
    /\b(?:Lv2 entry|2nd level entry): 0x(?<lv2_h>[0-9a-f]{1,8})\b/g,
  ],
  lines: 4,
  read(facts) {
    const what = (facts.text('what') ?? '').trim()
    return reading(
      'exynos',
      facts,
      { va: 'the address', what: 'the fault' },
      facts.number('va'),
      () => ({
        name: `${what} FAULT`,
        explanation: what.includes('PROTECTION') ? 'the entry does not allow this access' : 'no translation',
        facts: told(facts, 'base', 'lv1', 'lv2'),
        fault: stage1(what.includes('PROTECTION') ? 'permission' : what.includes('PAGE') ? 'translation' : undefined),
        access: direction(facts.text('dir')),
      }),
      { base: 'the table base', lv1: 'the entry of level 1', dir: 'the direction' },
    )
  },
}

const ROCKCHIP: Source = {
  id: 'rockchip',
  starts: ['Page fault at'],
  hints: ['dte_index', 'mmu_dte_addr'],
  opens: /\bPage fault at (?:0x)?(?<va_h>[0-9a-f]{1,16}) of type (?<dir_s>read|write)\b/,
  facts: [
    /\biova = (?:0x)?(?<iova_h>[0-9a-f]{1,16})\b/g,
    /\bmmu_dte_addr: (?:0x)?(?<root_h>[0-9a-f]{1,16})\b/g,
    /\bdte@(?:0x)?[0-9a-f]{1,16}: (?:0x)?(?<dte_h>[0-9a-f]{1,8}) valid: (?<dteValid_d>[01])\b/g,
    /\bpte@(?:0x)?[0-9a-f]{1,16}: (?:0x)?(?<pte_h>[0-9a-f]{1,8}) valid: (?<pteValid_d>[01])\b/g,
  ],
  lines: 4,
  complete: ['root', 'dte', 'pte'],
  read(facts) {
    const [va, iova] = [facts.number('va'), facts.number('iova')]
    if (iova !== undefined && va !== iova) facts.refuse('va')
    const [dte, pte] = [facts.number('dteValid'), facts.number('pteValid')]
    const level = dte === 0n ? 1 : pte === 0n ? 2 : undefined
    const isThere = dte === 1n && pte === 1n
    return reading(
      'rockchip',
      facts,
      { va: 'the address' },
      va,
      () => ({
        name: 'page fault',
        explanation: isThere
          ? 'both entries are valid: the page does not allow this access, or they have changed since'
          : 'an entry is not valid',
        facts: told(facts, 'root', 'dte', 'pte'),
        fault: { ...stage1(isThere ? undefined : 'translation'), ...(level !== undefined && { level }) },
        access: direction(facts.text('dir')),
      }),
      { iova: 'the line "iova ="', root: 'the line "mmu_dte_addr"' },
    )
  },
}

const SUN50I: Source = {
  id: 'sun50i',
  starts: [' fault for '],
  hints: [],
  opens:
    /\b(?<what_s>Page|Permission) fault for (?:0x)?(?<va_h>[0-9a-f]{1,16}) \(master (?<master_d>\d{1,3}), dir (?<dir_s>rd|wr|read|write)/i,
  facts: [],
  lines: 0,
  read(facts) {
    const isPermission = facts.text('what')?.toLowerCase() === 'permission'
    return reading('sun50i', facts, { va: 'the address' }, facts.number('va'), () => ({
      name: isPermission ? 'permission fault' : 'page fault',
      explanation: isPermission ? 'the access domain of the page does not allow this master' : 'an entry is not valid',
      facts: told(facts, 'master'),
      fault: stage1(isPermission ? 'permission' : 'translation'),
      access: direction(facts.text('dir')),
    }))
  },
}

const MEDIATEK: Source = {
  id: 'mediatek',
  starts: ['fault type=0x'],
  hints: ['larb', 'layer='],
  opens: /\bfault type=0x(?<type_h>[0-9a-f]{1,8}) iova=0x(?<va_h>[0-9a-f]{1,16})\b/,
  facts: [
    /\bpa=0x(?<pa_h>[0-9a-f]{1,16})\b/g,
    /\blarb=(?<larb_d>\d{1,3}) port=(?<port_d>\d{1,3})\b/g,
    /\blayer=(?<layer_d>\d) (?<dir_s>read|write)\b/g,
  ],
  lines: 1,
  complete: ['pa', 'layer'],
  read(facts) {
    return reading('mediatek', facts, { va: 'the address', layer: 'the layer and direction' }, facts.number('va'), () => ({
      name: `fault type 0x${(facts.number('type') ?? 0n).toString(16)}`,
      explanation: `the tables of layer ${facts.number('layer')} do not translate the address`,
      facts: told(facts, 'larb', 'port', 'layer', 'pa', 'type'),
      fault: stage1('translation'),
      access: direction(facts.text('dir')),
    }))
  },
}

const TEGRA: Source = {
  id: 'tegra',
  starts: [' @0x'],
  hints: [],
  opens:
    /\b(?<client_s>\w{2,24}): (?:(?<world_s>secure|non-secure) )?(?<dir_s>read|write) @0x(?<va_h>[0-9a-f]{1,16}): (?<what_s>[^\n(]{1,60}?)(?: \((?<why_s>[^)\n]{1,80})\))?$/,
  facts: [],
  lines: 0,
  read(facts) {
    const why = facts.text('why') ?? ''
    const isSmmu = /SMMU|page/i.test(`${facts.text('what')} ${why}`)
    // the letters are what the page allows: reads, writes, and accesses that are not secure
    const rights = /\[(?<rights>[R-][W-][S-])\]/.exec(why)?.groups?.rights
    const needed = facts.text('dir') === 'write' ? 'W' : 'R'
    const type =
      !isSmmu || rights === undefined ? undefined : rights === '---' ? 'translation' : rights.includes(needed) ? undefined : 'permission'
    return reading('tegra', facts, { va: 'the address' }, facts.number('va'), () => ({
      name: (facts.text('what') ?? '').trim(),
      explanation: why === '' ? 'an error of the memory controller' : why,
      facts: { ...told(facts, 'client', 'world'), ...(rights !== undefined && { rights }) },
      fault: isSmmu ? stage1(type) : {},
      access: direction(facts.text('dir')),
    }))
  },
}

const I915: Source = {
  id: 'i915',
  starts: ['Unexpected fault'],
  hints: ['addr', 'source id', 'engine id', 'type:'],
  opens: /\bUnexpected fault\b/,
  facts: [
    /\bAddr: 0x(?<va_s>[0-9a-f_]{1,20})\b/g,
    /\bAddress space: (?<space_s>GGTT|PPGTT)\b/g,
    /\bSource ID: (?<source_d>\d{1,3})\b/g,
    /\bType: (?<type_d>\d)\b/g,
  ],
  lines: 7,
  complete: ['va', 'space', 'source', 'type'],
  read(facts) {
    const va = facts.text('va')?.replaceAll('_', '')
    return reading(
      'i915',
      facts,
      { va: 'the address', type: 'the type' },
      va ? BigInt(`0x${va}`) : undefined,
      () => ({
        name: `fault type ${facts.number('type')}`,
        explanation: `the ${facts.text('space') ?? 'table'} does not translate the address`,
        facts: told(facts, 'space', 'source', 'type'),
        fault: stage1(undefined),
      }),
      { space: 'the address space', source: 'the source' },
    )
  },
}

const XE_TYPES: readonly (readonly [name: string, type: FaultType])[] = [
  ['NOT_PRESENT', 'translation'],
  ['WRITE_ACCESS_VIOLATION', 'permission'],
  ['ATOMIC_ACCESS_VIOLATION', 'permission'],
]
const XE_ACCESSES: readonly AccessKind[] = ['read', 'write', 'write']
const XE_LEVELS = ['PTE', 'PDE', 'PDP', 'PML4', 'PML5']

const XE: Source = {
  id: 'xe',
  starts: ['ASID:'],
  hints: ['vfid', 'faulted address', 'faulttype', 'accesstype', 'faultlevel', 'engineclass'],
  opens: /\bASID: (?<asid_d>\d{1,8})\b/,
  facts: [
    /\bFaulted Address: 0x(?<va_h>[0-9a-f]{1,16})\b/g,
    /\bFaultType: (?<type_d>\d{1,2})\b/g,
    /\bAccessType: (?<access_d>\d{1,2})\b/g,
    /\bFaultLevel: (?<level_d>\d{1,2})\b/g,
  ],
  lines: 10,
  complete: ['va', 'type', 'access', 'level'],
  read(facts) {
    const [type, level] = [Number(facts.number('type') ?? -1n), Number(facts.number('level') ?? -1n)]
    const [name = `fault type ${type}`, fault] = XE_TYPES[type] ?? []
    const names = { va: 'the address', type: 'the type of the fault', access: 'the type of the access', level: 'the level' }
    return reading('xe', facts, names, facts.number('va'), () => ({
      name,
      explanation: `at the ${XE_LEVELS[level] ?? `level ${level}`}`,
      facts: told(facts, 'asid'),
      fault: { ...stage1(fault), level },
      access: XE_ACCESSES[Number(facts.number('access') ?? -1n)],
    }))
  },
}

export const SOC_SOURCES: readonly Source[] = [EXYNOS, ROCKCHIP, SUN50I, MEDIATEK, TEGRA, I915, XE]
