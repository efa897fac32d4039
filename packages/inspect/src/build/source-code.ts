/** Built tables as C and as assembly: an array that is linked to its base, and the registers as constants. */
import { hex } from '@io-pgtable/core'
import type { Built, BuiltTable } from './build.ts'

/** Words of tables: as wide as their entries. */
interface Words {
  readonly bytes: 4 | 8
  readonly values: readonly bigint[]
}

function wordsOf({ bytes, tables }: Built): Words {
  const width = tables.some(({ node }) => node.entryBytes === 4) ? 4 : 8
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const values = Array.from({ length: bytes.byteLength / width }, (_, i) =>
    width === 8 ? view.getBigUint64(i * 8, true) : BigInt(view.getUint32(i * 4, true)),
  )
  return { bytes: width, values }
}

/** A constant of a register: its name, and its value where that is a number. */
export interface RegisterConstant {
  readonly name: string
  readonly value: bigint
}

/** Registers that are numbers, and lists of them, by name. */
export function registerConstants({ registers }: Built): readonly RegisterConstant[] {
  return Object.entries(registers).flatMap(([name, value]) => constantsOf(name, value))
}

function constantsOf(name: string, value: unknown): readonly RegisterConstant[] {
  if (typeof value === 'bigint') return [{ name, value }]
  if (typeof value === 'number' || typeof value === 'boolean') return [{ name, value: BigInt(value) }]
  if (Array.isArray(value)) return value.flatMap((element, i) => constantsOf(`${name}_${i}`, element))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([part, element]) => constantsOf(`${name}_${part}`, element))
}

/** Whether a text can be a name in C and in assembly. */
export function isIdentifier(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)
}

function alignment({ tables }: Built): number {
  return Math.max(4096, ...tables.map(({ bytes, node }) => Math.max(bytes, node.align ?? 0)))
}

function headLines({ format, base, bytes, tables, regions }: Built): string[] {
  return [
    `${format.title} (${format.FORMAT}), ${tables.length} tables, ${bytes.byteLength} bytes, made by iopt build.`,
    `The tables point to each other: they work at ${hex(base)} alone. Words are little-endian.`,
    ...regions.map(({ first, last, paddr, name = '' }) => `${hex(first)} to ${hex(last)} -> ${hex(paddr)} ${inComment(name)}`.trimEnd()),
  ]
}

/**
 * A text of the layout's author inside of a comment: it stays on its line and cannot end the comment. Nothing but printable ASCII is left as it
 * is: compilers and editors differ in what a line end is, and some characters turn the direction of writing.
 */
function inComment(text: string): string {
  const plain = text.replace(/[^ -~]/gu, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`)
  return plain.replaceAll('*/', '* /').replaceAll('/*', '/ *').replaceAll('??/', '?? /')
}

/** A C11 source. */
export function toC(built: Built, name: string): string {
  const { bytes: width, values } = wordsOf(built)
  const type = `uint${width * 8}_t`
  const upper = name.toUpperCase()
  const suffix = width === 8 ? 'ULL' : 'U'
  const lines = [
    ...headLines(built).map((line, i, all) => `${i === 0 ? '/* ' : ' * '}${line}${i === all.length - 1 ? ' */' : ''}`),
    '#include <stdint.h>',
    '',
    `#define ${upper}_BASE ${hex(built.base)}ULL`,
    `#define ${upper}_SIZE ${hex(built.bytes.byteLength)}ULL`,
    ...registerConstants(built).map((register) => `#define ${upper}_${register.name.toUpperCase()} ${hex(register.value)}ULL`),
    '',
    `__attribute__((aligned(${alignment(built)}), section(".pgtables"), used))`,
    `const ${type} ${name}[${values.length}] = {`,
    ...arrayLines(built, values, width, suffix),
    '};',
    `_Static_assert(sizeof ${name} == ${upper}_SIZE, "size");`,
    '',
  ]
  return lines.join('\n')
}

function arrayLines({ tables, base }: Built, values: readonly bigint[], width: number, suffix: string): string[] {
  const heads = new Map(tables.map((table) => [Number(table.paddr - base) / width, table]))
  return values.flatMap((value, i) => {
    const head = heads.get(i)
    const comment = head === undefined ? [] : [`  /* ${tableText(head)} */`]
    return value === 0n ? comment : [...comment, `  [${i}] = ${hex(value)}${suffix},`]
  })
}

function tableText({ node, paddr }: BuiltTable): string {
  return `level ${node.level} at ${hex(paddr)}: ${2 ** node.bits} entries for iova[${node.shift + node.bits - 1}:${node.shift}]`
}

/** A source for the GNU assembler. */
export function toAssembly(built: Built, name: string): string {
  const { bytes: width, values } = wordsOf(built)
  const heads = new Map(built.tables.map((table) => [Number(table.paddr - built.base) / width, table]))
  const lines = [
    ...headLines(built).map((line) => `/* ${line} */`),
    '  .section .pgtables, "a"',
    `  .balign ${alignment(built)}`,
    `  .globl ${name}`,
    `  .equ ${name}_base, ${hex(built.base)}`,
    `  .equ ${name}_size, ${hex(built.bytes.byteLength)}`,
    ...registerConstants(built).map((register) => `  .equ ${name}_${register.name}, ${hex(register.value)}`),
    `${name}:`,
  ]
  for (let i = 0; i < values.length; ) {
    const head = heads.get(i)
    if (head !== undefined) lines.push(`  /* ${tableText(head)} */`)
    const zeros = zerosFrom(values, i, heads)
    if (zeros > 1) lines.push(`  .zero ${zeros * width}`)
    else lines.push(`  .${width === 8 ? 'quad' : 'long'} ${hex(values[i] ?? 0n)}`)
    i += Math.max(1, zeros)
  }
  return [...lines, ''].join('\n')
}

/** How many zeroes there are from a word on, up to the next table. */
function zerosFrom(values: readonly bigint[], start: number, heads: ReadonlyMap<number, BuiltTable>): number {
  let end = start
  while (end < values.length && values[end] === 0n && (end === start || !heads.has(end))) end++
  return end - start
}
