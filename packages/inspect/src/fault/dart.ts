/** Error status of Apple's DART: the registers of the T8020 (also T8103, T6000) and of the T8110, as Asahi Linux documents them. */
import { type FaultType, type Field, field, IoPgtableError } from '@io-pgtable/core'
import { bit, checkedWord, type FaultReport, fieldsOf, reservedText, small } from './report.ts'

/** Register layouts. */
export const DART_LAYOUTS = ['t8020', 't8110'] as const
type Layout = (typeof DART_LAYOUTS)[number]

interface Code {
  readonly name: string
  readonly meaning: string
  readonly type: FaultType
}

/** From bit 0 of the code on, without the T8110's bit 1. */
const [NO_TTBR, NO_PGD, NO_PMD, NO_PTE, WRITE, READ]: readonly Code[] = [
  { name: 'NO_TTBR', meaning: 'the stream has no table', type: 'translation' },
  { name: 'NO_PGD', meaning: 'no entry in the first of four tables', type: 'translation' },
  { name: 'NO_PMD', meaning: 'no entry in the table above the last', type: 'translation' },
  { name: 'NO_PTE', meaning: 'no entry in the last table: nothing is mapped', type: 'translation' },
  { name: 'WRITE_FAULT', meaning: 'the entry is protected from writes', type: 'permission' },
  { name: 'READ_FAULT', meaning: 'the entry is protected from reads', type: 'permission' },
]
const CODES: Readonly<Record<Layout, readonly (Code | undefined)[]>> = {
  t8020: [NO_TTBR, NO_PMD, NO_PTE, WRITE, READ],
  t8110: [NO_TTBR, NO_PGD, NO_PMD, NO_PTE, WRITE, READ],
}

/** Bits of T8110's that no driver names are set in real records. */
const FIELDS: Readonly<Record<Layout, readonly Field[]>> = {
  t8020: [field('CODE', 11, 0, 'the error'), field('STREAM', 27, 24, 'the stream'), field('FLAG', 31, 31, 'the register holds an error')],
  t8110: [
    field('CODE', 14, 0, 'the error'),
    field('STREAM', 27, 20, 'the stream'),
    field('other', 19, 15, 'not documented'),
    field('other2', 30, 28, 'not documented'),
    field('FLAG', 31, 31, 'the register holds an error'),
  ],
}
/** No bit of a T8020's status: only a T8110 sets them. */
const NOT_T8020 = 0x70ff_f000n

/** Decodes the status, and the address where it is known. Without a layout, the bits tell which it is, as far as they can. @throws `EINVAL` */
export function decodeDartFault([status = 0n, address]: readonly bigint[], layout?: string): FaultReport {
  const raw = checkedWord('fault dart', status, 32)
  const own = layoutOf(raw, layout)
  const codes = CODES[own].filter((_, at) => bit(raw, at)) as readonly Code[]
  const told = fieldsOf(raw, FIELDS[own])
  const stream = own === 't8020' ? small(raw, 27, 24) : small(raw, 27, 20)
  const [first] = codes
  const other = own === 't8020' ? 't8110' : 't8020'
  const otherwise = CODES[other].filter((_, at) => bit(raw, at)).map((code) => code?.name)
  return {
    kind: 'dart',
    manual: `Apple DART, error status of the ${own.toUpperCase()}`,
    name: codes.map(({ name }) => name).join(' ') || 'no error',
    explanation: [
      codes.map(({ meaning }) => meaning).join('; ') || 'no bit of the code is one that is known here',
      ...(bit(raw, 31) ? [] : ['the flag is 0: the register holds no error']),
      ...(layout === undefined
        ? [`read as a ${own.toUpperCase()}'s; a ${other.toUpperCase()} would say ${otherwise.join(' ') || 'nothing'}`]
        : []),
      ...(told.reserved === 0n ? [] : [reservedText(told.reserved)]),
    ].join('; '),
    facts: { sid: stream, stream, code: own === 't8020' ? small(raw, 11, 0) : small(raw, 14, 0), layout: own },
    access: {
      ...(address !== undefined && { iova: address }),
      ...(first === WRITE ? { type: 'write' as const } : first === READ ? { type: 'read' as const } : {}),
    },
    fault: { ...(first !== undefined && { type: first.type, stage: 1 as const }) },
    ...told,
  }
}

function layoutOf(raw: bigint, layout: string | undefined): Layout {
  if (layout === undefined) return (raw & NOT_T8020) === 0n ? 't8020' : 't8110'
  const found = DART_LAYOUTS.find((name) => name === layout.toLowerCase())
  if (found === undefined) throw new IoPgtableError('EINVAL', 'fault dart', `layout ${layout}: ${DART_LAYOUTS.join(' or ')} expected`)
  return found
}
