/** The fields of x86-64 paging entries: SDM 4.5, tables 4-14 to 4-20; APM 5.3; VT-d 9.7, for what only its walker gives a meaning. */
import { type Field, field } from '@io-pgtable/core'
import { X86_DIRTY, X86_GLOBAL, x86Common } from '@io-pgtable/x86-common'

const EA = field('EA', 10, 10, 'extended accessed: VT-d first stage, where enabled; ignored otherwise', { section: 'VT-d 9.7' })
const RESTART = field('R', 11, 11, 'HLAT paging: restart with ordinary paging; ignored otherwise', { section: 'SDM 4.5.4' })
const EXECUTE = field('XD', 63, 63, 'execute disable (NX), where EFER.NXE is set; reserved otherwise', { section: 'SDM 4.6' })
const NO_EXECUTE: Field = { ...EXECUTE, reserved: 'faults' }

const COMMON = x86Common('SDM 4.5.4')

/** Of an entry that points to a table. PS is in the kind's match. `nx`: EFER.NXE is set. */
export function tableFields(level: number, nx: boolean): readonly Field[] {
  return [
    ...COMMON,
    field('Ignored6', 6, 6, 'ignored', { section: 'SDM 4.5.4' }),
    field('Ignored8', 8, 8, level > 3 ? 'ignored; AMD wants it to be zero' : 'ignored', { section: 'SDM 4.5.4, APM 5.3' }),
    field('Software', 9, 9, 'ignored; set: the table was synced for a walker that does not snoop', { section: 'SDM 4.5.4' }),
    EA,
    RESTART,
    field('IgnoredHigh', 62, 52, 'ignored', { section: 'SDM 4.5.4' }),
    nx ? EXECUTE : NO_EXECUTE,
  ]
}

/** Of an entry that maps a page. */
export function leafFields(level: number, nx: boolean): readonly Field[] {
  return [
    ...COMMON,
    X86_DIRTY,
    ...(level === 1 ? [field('PAT', 7, 7, 'page-attribute table index, bit 2', { section: 'SDM 4.9.2' })] : largePage(level)),
    X86_GLOBAL,
    field('Software', 9, 9, 'ignored', { section: 'SDM 4.5.4' }),
    EA,
    RESTART,
    field('IgnoredHigh', 58, 52, 'ignored', { section: 'SDM 4.5.4' }),
    field('PK', 62, 59, 'protection key, where CR4.PKE or CR4.PKS is set; ignored otherwise', { section: 'SDM 4.6.2' }),
    nx ? EXECUTE : NO_EXECUTE,
  ]
}

function largePage(level: number): readonly Field[] {
  return [
    field('PS', 7, 7, 'page size: maps a page', { section: 'SDM 4.5.4' }),
    field('PAT', 12, 12, 'page-attribute table index, bit 2', { section: 'SDM 4.9.2' }),
    field('Reserved', 11 + 9 * (level - 1), 13, 'must be zero', { section: 'SDM 4.5.4', reserved: 'faults' }),
  ]
}
