/** Oopses of x86 kernels. */
import { decodeX86Fault } from '../../fault/x86.ts'
import type { Facts } from '../facts.ts'
import { type LoggedWalk, missingOf, type Source } from '../source.ts'
import { foldedEntries, namesOf } from './oops.ts'

const entry = (name: string): RegExp => new RegExp(`\\b${name.toUpperCase()} (?<${name}_h>[0-9a-f]{1,16})\\b`, 'g')

export const X86_OOPS: Source = {
  id: 'x86',
  starts: ['BUG: ', 'Corrupted page table'],
  hints: ['bug:', 'corrupted page table', 'error_code', 'oops', 'pgd ', '*pd', '*pte', 'bad pagetable', 'cr2:', 'cr3:', 'end trace'],
  opens:
    /(?:BUG: unable to handle|BUG: kernel NULL pointer dereference|Corrupted page table at)[^0-9]{0,60}?\b(?:address:?|at) (?:0x)?(?<iova_h>[0-9a-f]{8,16})\b/,
  facts: [
    /\berror_code\(0x(?<error_h>[0-9a-f]{1,8})\)/g,
    /\bOops: (?<error_h>[0-9a-f]{4}) \[#\d+\]/g,
    /\bBad pagetable: (?<error_h>[0-9a-f]{4}) \[#\d+\]/g,
    ...['pgd', 'p4d', 'pud', 'pmd', 'pte'].map(entry),
    /\*pdpt = (?<pdpt_h>[0-9a-f]{1,16})\b/g,
    /\*pde = (?<pde_h>[0-9a-f]{1,16})\b/g,
    /\*pte = (?<pte_h>[0-9a-f]{1,16})\b/g,
    /\bCR2: (?<cr2_h>[0-9a-f]{8,16})\b/g,
    /\bCR3: (?<cr3_h>[0-9a-f]{8,16})\b/g,
    /\bCR4: (?<cr4_h>[0-9a-f]{8,16})\b/g,
  ],
  lines: 120,
  ends: /---\[ end trace/,
  read(facts) {
    const iova = facts.number('iova')
    const cr2 = facts.number('cr2')
    const isOther = iova !== undefined && cr2 !== undefined && iova !== cr2
    const missing = [
      ...(facts.conflicts.includes('error') ? [] : missingOf(facts, { error: 'the error code' })),
      ...(isOther ? ['the address (CR2 is another)'] : []),
      ...facts.conflicts.map((name) => `${name} (the log contradicts itself)`),
    ]
    const walk = missing.length === 0 ? walkOf(facts) : undefined
    return {
      kind: 'x86',
      ...(iova !== undefined && !isOther && { iova }),
      ...(missing.length === 0 && { report: decodeX86Fault([facts.number('error') ?? 0n, iova ?? 0n]) }),
      missing: [...missing, ...(typeof walk === 'string' ? [walk] : [])],
      ...(typeof walk === 'object' && { walk }),
    }
  },
}

const PAE = 1n << 5n
const LA57 = 1n << 12n

function walkOf(facts: Facts): LoggedWalk | string | undefined {
  if (!facts.has('pgd') && !facts.has('pde') && !facts.has('pdpt')) return undefined
  const lacking = missingOf(facts, { cr3: 'CR3', cr4: 'CR4' })
  if (lacking.length > 0) return lacking.join(', ')
  const [cr3, cr4] = [facts.number('cr3') ?? 0n, facts.number('cr4') ?? 0n]
  if (facts.has('pdpt')) return 'the four entries that a CPU with PAE holds: one is printed'
  if ((cr4 & PAE) === 0n)
    return { role: 'x86-32', registers: { cr3, cr4 }, entries: [facts.number('pde'), facts.number('pte')], names: ['pde', 'pte'] }
  const levels = (cr4 & LA57) === 0n ? 4 : 5
  const entries = foldedEntries(facts, levels)
  if (typeof entries === 'string') return entries
  return { role: 'x86-first-stage', registers: { cr3, cr4 }, entries, names: namesOf(levels) }
}
