/**
 * What the paging modes of x86 share, whatever their levels and the width of their entries.
 * Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A (SDM), 4.6 access rights, 4.7 page-fault exceptions, 4.8 accessed
 * and dirty flags, 4.9 memory typing; AMD64 Architecture Programmer's Manual, volume 2 (APM), 5 page translation, 15.25 nested paging.
 */
export { X86_POLICY, x86LeafBits, x86Prot } from './attributes.ts'
export { X86_RESET_PAT, type X86Context, type X86Controls, type X86Roots, x86Context, x86Root } from './context.ts'
export { X86_DIRTY, X86_GLOBAL, x86Common } from './fields.ts'
export { X86_GRANTS, X86_GRANTS_NO_XD, X86_SHARED, x86Denies, x86Fault, x86Memory, x86Parties, x86Regime, x86Updates } from './rights.ts'
