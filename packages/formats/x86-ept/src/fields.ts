/** The fields of EPT entries: SDM volume 3C, 29.3.2, tables 29-1 to 29-7. */
import { type Field, field } from '@io-pgtable/core'

const SECTION = { section: 'SDM 29.3.2' }
const FAULTS = { ...SECTION, reserved: 'faults' } as const

function access(mbec: boolean): readonly Field[] {
  const fetches = mbec ? 'instruction fetches of supervisor mode are allowed' : 'instruction fetches are allowed'
  return [
    field('R', 0, 0, 'reads are allowed', SECTION),
    field('W', 1, 1, 'writes are allowed', SECTION),
    field('X', 2, 2, fetches, SECTION),
    mbec ? field('XU', 10, 10, 'instruction fetches of user mode are allowed', SECTION) : field('Ignored10', 10, 10, 'ignored', SECTION),
  ]
}

function accessed(ad: boolean): Field {
  return field('A', 8, 8, ad ? 'accessed' : 'ignored: EPTP enables no accessed flags', { section: 'SDM 29.3.5' })
}

/** What both kinds have. `oas`: MAXPHYADDR. */
function common({ oas, mbec, ad }: EntryShape): readonly Field[] {
  const beyond = field('Beyond', 51, oas, 'address bits from MAXPHYADDR on: must be zero', FAULTS)
  return [...access(mbec), accessed(ad), field('Ignored11', 11, 11, 'ignored', SECTION), ...(oas < 52 ? [beyond] : [])]
}

/** What the shape of entries follows from. */
export interface EntryShape {
  readonly oas: number
  readonly mbec: boolean
  readonly ad: boolean
}

/** Of an entry that points to a table. Below level 4, bit 7 tells it from a page. */
export function tableFields(shape: EntryShape, level: number): readonly Field[] {
  return [
    ...common(shape),
    field('Reserved', level > 3 ? 7 : 6, 3, 'must be zero', FAULTS),
    field('Ignored9', 9, 9, 'ignored', SECTION),
    field('IgnoredHigh', 63, 52, 'ignored', SECTION),
  ]
}

/** Of an entry that maps a page. */
export function leafFields(shape: EntryShape, level: number): readonly Field[] {
  const large = [
    field('PS', 7, 7, 'page size: maps a page', SECTION),
    field('Reserved', 11 + 9 * (level - 1), 12, 'must be zero', FAULTS),
    field('Ignored61', 61, 61, 'ignored', SECTION),
  ]
  const small = [
    field('Ignored7', 7, 7, 'ignored', SECTION),
    field('SPP', 61, 61, 'sub-page write permissions, where that control is set; ignored otherwise', SECTION),
  ]
  return [
    ...common(shape),
    field('EMT', 5, 3, 'memory type', {
      section: 'SDM 29.3.7',
      values: { 0: 'uncacheable', 1: 'write combining', 4: 'write-through', 5: 'write-protected', 6: 'write-back' },
      reservedValues: [2, 3, 7],
    }),
    field('IPAT', 6, 6, 'ignore the guest’s PAT', { section: 'SDM 29.3.7' }),
    ...(level === 1 ? small : large),
    field('D', 9, 9, shape.ad ? 'dirty' : 'ignored: EPTP enables no dirty flags', { section: 'SDM 29.3.5' }),
    field('IgnoredHigh', 56, 52, 'ignored', SECTION),
    field('VGP', 57, 57, 'verify guest paging, where that control is set; ignored otherwise', SECTION),
    field('PWA', 58, 58, 'paging-write access, where that control is set; ignored otherwise', SECTION),
    field('Ignored59', 59, 59, 'ignored', SECTION),
    field('SSS', 60, 60, 'supervisor shadow stack, where EPTP enables it; ignored otherwise', SECTION),
    field('Ignored62', 62, 62, 'ignored', SECTION),
    field('SVE', 63, 63, 'suppress #VE: a violation here is a VM exit, not an exception of the guest', { section: 'SDM 26.5.7' }),
  ]
}
