/** An MMU fault in words: at which level the walk ended, what descriptor was there, and why that is none that lets the access through. */
import { hex, Prot, protNames } from '@io-pgtable/core'
import { explainEntry } from '../explain.ts'
import type { WalkStep } from '../report.ts'
import type { AddressSpace, Fault } from './mmu.ts'

export interface FaultReport {
  readonly address: bigint
  readonly access: string
  /** The level's number in the manual; undefined when nothing was walked. */
  readonly level: number | undefined
  readonly descriptor: bigint | undefined
  readonly why: string
  readonly walk: readonly WalkStep[]
}

export function explainFault({ address, access, walk }: Fault, space: AddressSpace | undefined): FaultReport {
  const last = walk.at(-1)
  return {
    address,
    access,
    level: last?.node.level,
    descriptor: last?.raw,
    why: whyOf(last, access, space),
    walk: walk.map(explainEntry),
  }
}

function whyOf(last: Fault['walk'][number] | undefined, access: string, space: AddressSpace | undefined): string {
  if (last === undefined || space === undefined) return 'the slot has no address space'
  const where = `entry ${last.index} of the table at ${hex(last.table)}`
  if (last.type === 'table') return `${where} leads to memory that is no table`
  if (last.type !== 'leaf')
    return `${where} is ${last.type === 'empty' ? 'empty: nothing is mapped there' : 'no descriptor that a table may hold'}`
  const names = protNames(space.prot(last) & (Prot.READ | Prot.WRITE)).join(' and ') || 'nothing'
  return `${where} is a ${last.kind.name.toLowerCase()} that grants ${names}, and the job wants to ${access}`
}
