/** Fields that entries of all modes and levels have at the same place. */
import { type Field, field } from '@io-pgtable/core'

/** Of every entry that is present, but those of a PAE page-directory-pointer table. `section`: of the mode's entries. */
export function x86Common(section: string): readonly Field[] {
  return [
    field('P', 0, 0, 'present', { section }),
    field('R/W', 1, 1, 'writes are allowed', { section: 'SDM 4.6' }),
    field('U/S', 2, 2, 'user-mode accesses are allowed', { section: 'SDM 4.6', values: { 0: 'supervisor', 1: 'user' } }),
    field('PWT', 3, 3, 'page-level write-through', { section: 'SDM 4.9' }),
    field('PCD', 4, 4, 'page-level cache disable', { section: 'SDM 4.9' }),
    field('A', 5, 5, 'accessed', { section: 'SDM 4.8' }),
  ]
}

/** Of a leaf. */
export const X86_DIRTY: Field = field('D', 6, 6, 'dirty', { section: 'SDM 4.8' })
/** Of a leaf. */
export const X86_GLOBAL: Field = field('G', 8, 8, 'global, where CR4.PGE is set', { section: 'SDM 4.10.2.4' })
