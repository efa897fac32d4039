/** Random changes of mappings that are there: cuts, other permissions, trims. Made of the same draws as other operations. */
import { Prot } from '@io-pgtable/core'
import { type Case, roomAt, type Size } from './case.ts'
import { type Draw, operationOf, protFrom } from './generate.ts'
import type { Mapping, Model } from './model.ts'
import type { GatherMode, Operation } from './operation.ts'

const GATHERS = ['own', 'none', 'later'] as const

/** What a draw does, where half of them change what is there. */
export function editOf(model: Model, draw: Draw): Operation {
  const gather = GATHERS[draw.gather] as GatherMode
  const met = metBy(model, draw)
  if (met === undefined || draw.near % 2 === 0) return operationOf(model, draw)
  const what = draw.what % 4
  if (what === 3) return trimOf(model.c, met, draw, gather)
  const offset = insideOf(model.c, met, draw)
  if (what < 2) return { op: 'cut', offset, gather }
  const granule = model.c.sizes[0]!.pgsize
  const whole = draw.count % 3 !== 0
  const from = whole ? met.offset : offset
  const wanted = whole ? met.size.pgsize * (1 + (draw.count % 4)) : granule * (1 + draw.count)
  const bytes = Math.min(wanted, Number(roomAt(model.c.geometry, from)))
  const prot = draw.prot === 0 ? Prot.READ : protFrom(model.c, draw.prot)
  return { op: 'protect', offset: from, bytes, prot, cut: draw.paddr % 2 === 1, gather }
}

function metBy(model: Model, { near, digits }: Draw): Mapping | undefined {
  const mappings = model.mappings()
  return mappings[(near * 5 + (digits[5] ?? 0)) % Math.max(mappings.length, 1)]
}

/** An address in a mapping: at its start, or some pages of a smaller size from either end. */
function insideOf(c: Case, { offset, size }: Mapping, { size: drawn, digits }: Draw): bigint {
  const smaller = c.sizes.filter(({ pgsize }) => pgsize < size.pgsize)
  const step = smaller[drawn % Math.max(smaller.length, 1)] as Size | undefined
  if (step === undefined) return offset
  const most = size.pgsize / step.pgsize
  const count = [1, 1, 2, most / 2, most - 1, most - 1, 3, most / 2 + 1][digits[0]! % 8] ?? 1
  return offset + BigInt(Math.min(Math.floor(count), most - 1)) * BigInt(step.pgsize)
}

/** Around a mapping, for tables of one level or all. */
function trimOf(c: Case, { offset }: Mapping, { digits, count }: Draw, gather: GatherMode): Operation {
  const end = (1n << BigInt(c.geometry.ias)) - 1n
  const node = c.chain[digits[1]! % c.chain.length]!
  const span = 1n << BigInt(node.shift)
  const from = count % 2 === 0 ? 0n : offset - (offset % span)
  const last = count % 2 === 0 ? end : from + span * BigInt(1 + (count % 3)) - 1n
  return { op: 'trim', offset: from, last: last < end ? last : end, gather }
}
