/** What tables say of a fault now: the walk of its address, and whether the access would fault again. */
import { Prot, protNames } from '@io-pgtable/core'
import type { Tables } from '../leaves/tables.ts'
import type { Translation } from '../leaves/translate.ts'
import type { FaultAccess } from './record.ts'

/** @returns a sentence */
export function hindsight(tables: Tables, { paddr, fault, walk }: Translation, access: FaultAccess): string {
  if (fault !== undefined) return `the walk ends at level ${fault.level}, now as then`
  const leaf = walk.at(-1)
  if (paddr === undefined || leaf?.type !== 'leaf') return 'the walk ends without a leaf'
  const prot = tables.format.prot(leaf.raw, leaf.kind, tables.context)
  const lacking = denied(prot, access)
  if (lacking.length === 0) return 'the tables allow this access now: they have changed since, or a TLB, or a table above, says otherwise'
  return `the leaf grants ${protNames(prot).join(' ') || 'nothing'}: ${lacking.join(', ')}`
}

/** What an access needs and the flags do not grant. */
function denied(prot: Prot, { write, execute, privileged }: FaultAccess): string[] {
  const lacking: string[] = []
  if (write === true && (prot & Prot.WRITE) === 0) lacking.push('no writes')
  if (write === false && (prot & Prot.READ) === 0) lacking.push('no reads')
  if (execute === true && (prot & Prot.NOEXEC) !== 0) lacking.push('no execution')
  if (privileged === false && (prot & Prot.PRIV) !== 0) lacking.push('privileged accesses alone')
  return lacking
}
