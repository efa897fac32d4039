/** Rows of the software MMU: accesses at random addresses of a range of 4K pages, beside walkers written by hand for one configuration. */

import { armV7s } from '@io-pgtable/arm-v7s'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { type AnyFmt, IoPgtableError } from '@io-pgtable/core'
import { Access, Mmu, Tlb } from '@io-pgtable/mmu'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expectEqual, type Pass, type Row } from './row.ts'
import { mapAll, randomAddresses, type Subject } from './subject.ts'
import { arm64ByHand, armV7sByHand, type HandWalker } from './walkers-by-hand.ts'

const COUNT = 1 << 18
const BASE = 0x8000_0000n
/** Pages that a TLB holds. */
const WARM = 512
const ENTRIES = 4096

interface Guest {
  readonly memory: { readonly base: bigint; readonly bytes: Uint8Array }[]
  readonly root: bigint
  readonly mmu: (tlb?: Tlb) => Mmu
  readonly translateAll: (iovas: BigUint64Array, out: BigUint64Array) => number
}

/** Tables in the first of two pieces of memory. */
function guest(subject: Subject, format: AnyFmt): Guest {
  const bytes = new Uint8Array(subject.poolBytes)
  const table = subject.create(new PtPool({ base: BASE, memory: bytes }))
  mapAll(subject, table)
  const registers = format.hardware?.(table.config, table.regs)
  const memory = [
    { base: BASE, bytes },
    { base: 0n, bytes: new Uint8Array(4096) },
  ]
  const mmu = (tlb?: Tlb): Mmu => new Mmu(format, { memory, registers, ...(tlb && { tlb }) })
  const translateAll = (iovas: BigUint64Array, out: BigUint64Array): number => table.iovaToPhysMany(iovas, out)
  return { memory, root: table.roots[0] ?? 0n, mmu, translateAll }
}

/** Lanes of addresses: of the whole range, or of as many pages as a TLB holds. */
function addresses(subject: Subject, warm: boolean): BigUint64Array {
  const iovas = randomAddresses(subject, COUNT)
  const mask = BigInt(WARM * subject.page - 1)
  return warm ? iovas.map((iova) => subject.iova + ((iova - subject.iova) & mask)) : iovas
}

function accesses(subject: Subject, mmu: Mmu, warm: boolean): Pass {
  const iovas = addresses(subject, warm)
  const words = new Int32Array(iovas.buffer)
  const shift = subject.paddr - subject.iova
  return {
    run: () => {
      let faults = 0
      for (let i = 0; i < words.length; i = (i + 2) | 0) faults |= mmu.accessLanes(words[i + 1]!, words[i]!, Access.READ)
      return faults
    },
    expected: 0,
    verify: () =>
      expectEqual(
        'first wrong address',
        iovas.findIndex((iova) => mmu.access(iova, Access.READ) !== iova + shift),
        -1,
      ),
  }
}

function byHand(subject: Subject, walker: HandWalker): Pass {
  const iovas = addresses(subject, false)
  const words = new Int32Array(iovas.buffer)
  const shift = subject.paddr - subject.iova
  const addressAt = (iova: bigint, i: number): bigint => {
    if (walker.access(words[2 * i + 1]!, words[2 * i]!, Access.READ) !== 0) throw new IoPgtableError('EFAULT', 'byHand', 'a fault')
    return ((BigInt(walker.out[0]!) << 32n) | BigInt(walker.out[1]! >>> 0)) - iova
  }
  return {
    run: () => {
      let faults = 0
      for (let i = 0; i < words.length; i = (i + 2) | 0) faults |= walker.access(words[i + 1]!, words[i]!, Access.READ)
      return faults
    },
    expected: 0,
    verify: () =>
      expectEqual(
        'first wrong address',
        iovas.findIndex((iova, i) => addressAt(iova, i) !== shift),
        -1,
      ),
  }
}

function many(subject: Subject, format: AnyFmt, withMmu: boolean): Pass {
  const { mmu, translateAll } = guest(subject, format)
  const iovas = addresses(subject, true)
  const out = new BigUint64Array(COUNT)
  const shift = subject.paddr - subject.iova
  const fast = mmu(new Tlb({ entries: ENTRIES }))
  return {
    run: () => (withMmu ? fast.accessMany(iovas, Access.READ, out) : translateAll(iovas, out)),
    expected: COUNT,
    verify: () =>
      expectEqual(
        'first wrong address',
        iovas.findIndex((iova, i) => out[i] !== iova + shift),
        -1,
      ),
  }
}

function missRows(subject: Subject, format: AnyFmt, hand: (guest: Guest) => HandWalker): Row[] {
  const row = { unit: 'access', units: COUNT }
  const what = `${COUNT / 1024}K random addresses of ${subject.range}`
  return [
    {
      ...row,
      id: `${subject.format}/mmu/by-hand`,
      title: `${what}, a walker written by hand`,
      prepare: () => byHand(subject, hand(guest(subject, format))),
    },
    {
      ...row,
      id: `${subject.format}/mmu/miss`,
      title: `${what}, Mmu without a TLB`,
      prepare: () => accesses(subject, guest(subject, format).mmu(), false),
    },
  ]
}

export function mmuRows(arm64: Subject, v7s: Subject): Row[] {
  const row = { unit: 'access', units: COUNT }
  const what = `${COUNT / 1024}K addresses of ${WARM} pages`
  const format = arm64LpaeS1 as AnyFmt
  const hits = [1, 4].map(
    (ways): Row => ({
      ...row,
      id: `${arm64.format}/mmu/hit/${ways}`,
      title: `${what}, a TLB of ${ENTRIES} entries, ${ways === 1 ? 'direct-mapped' : `${ways} ways`}`,
      prepare: () => accesses(arm64, guest(arm64, format).mmu(new Tlb({ entries: ENTRIES, ways })), true),
    }),
  )
  return [
    ...missRows(arm64, format, ({ memory, root }) => arm64ByHand(root, memory)),
    ...missRows(v7s, armV7s as AnyFmt, ({ memory, root }) => armV7sByHand(root, memory)),
    ...hits,
    { ...row, id: `${arm64.format}/mmu/many`, title: `${what}, accessMany with a warm TLB`, prepare: () => many(arm64, format, true) },
    { ...row, id: `${arm64.format}/mmu/many-by-table`, title: `${what}, iovaToPhysMany`, prepare: () => many(arm64, format, false) },
  ]
}
