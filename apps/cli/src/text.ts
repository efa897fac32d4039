/** How things are written for people. */
import { type Access, hex, rightsByParty } from '@io-pgtable/core'
import type { Finding, LeafRun, RunJson, Step, Translation, TranslationFault } from '@io-pgtable/inspect'
import { rulesOf, runJson } from '@io-pgtable/inspect'
import { accessText } from './access.ts'
import type { Colors } from './io.ts'
import { printable } from './printable.ts'

const UNITS = ['', 'K', 'M', 'G', 'T', 'P', 'E']

/** 4096 is 4K; what is no multiple of a unit is in bytes. */
export function sizeText(bytes: number | bigint): string {
  let value = BigInt(bytes)
  let unit = 0
  while (value >= 1024n && value % 1024n === 0n && unit < UNITS.length - 1) {
    value /= 1024n
    unit++
  }
  return `${value}${UNITS[unit]}`
}

/** An address of as many digits as others of its kind. */
export function address(value: bigint, bits = 48): string {
  return `0x${value.toString(16).padStart(Math.ceil(bits / 4), '0')}`
}

/** Cells as columns; the last one is not padded. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length)
  return rows.map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
}

/** A table of which the head is dim. */
export function table(color: Colors, head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const [first = '', ...rest] = columns([head, ...rows])
  return [color.dim(first), ...rest]
}

/** One run: `0xffebd000 → 0x7009000  4K (1 × 4K)  rw- rw-  Normal Write-Back  AttrIndx=1`. `leaf`: the leaf's own rights. */
export function runLine(run: LeafRun, color: Colors, leaf = false): string {
  const { iova, paddr, size, leafSize, count, rights, memory = '', fault, traps, fields }: RunJson = runJson(run)
  const shown = Object.entries(fields).filter(([, value]) => value !== 0)
  const attributes = shown.map(([name, value]) => (value === 1 ? name : `${name}=${value}`)).join(' ')
  const pages = `${count} × ${sizeText(leafSize)}`
  const cells = [iova.padStart(18), '→', paddr.padEnd(14), sizeText(size).padStart(8), `(${pages})`.padEnd(14)]
  const granted = leaf ? rightsByParty(run.leaf.rights, run.parties) : rights
  const stopped = [
    ...(fault === undefined ? [] : [fault.type]),
    ...Object.entries(traps ?? {}).map(([access, type]) => `${access}: ${type}`),
  ]
  const words = [color.green(rightsText(granted)), ...(memory === '' ? [] : [memory]), ...stopped.map((each) => color.red(each))]
  return `${cells.join(' ')} ${words.join('  ')}  ${color.dim(attributes)}`.trimEnd()
}

/** Rights of all parties, in columns: `rw- r-x`. */
export function rightsText(rights: Readonly<Record<string, string>>): string {
  return Object.values(rights).join(' ')
}

/** What the columns of rights are of: `user privileged`. */
export function partiesText(parties: readonly string[]): string {
  return parties.length > 1 ? `rights: ${parties.join(', ')}` : ''
}

/** One finding, in a line. */
export function findingLine({ severity, code, place, message, table: at, index }: Finding, color: Colors): string {
  const paint = severity === 'error' ? color.red : severity === 'warning' ? color.yellow : color.cyan
  const where = at === undefined ? '' : ` table ${hex(at)}${index === undefined ? '' : `[${index}]`}`
  return `${paint(severity)} ${color.bold(code)} ${printable(place)}${where}: ${printable(message)}`
}

/** A finding as JSON: addresses in hex. */
export function findingJson(finding: Finding): Readonly<Record<string, string | number>> {
  return Object.fromEntries(
    Object.entries(finding)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, typeof value === 'bigint' ? hex(value) : (value as string | number)]),
  )
}

/** A walk, level by level, and how it ends: the verdict is the last line. */
export function translationLines(translation: Translation, color: Colors, access?: Access): string[] {
  const { iova, walk, parties } = translation
  const lines = [`${color.bold(hex(iova))}${walk.length > 0 && parties ? color.dim(`  ${partiesText(parties)}`) : ''}`]
  for (const entry of walk) lines.push(stepLine(entry))
  return [...lines, `  ${verdictText(translation, color, access)}`]
}

function stepLine(step: Step): string {
  const { node, table: at, index, raw, kind, rights, tables } = step
  const to = step.type === 'table' ? ` → table ${hex(step.next)}` : ''
  const left = rights === undefined ? '' : `  ${rightsText(rightsByParty(rights, rulesOf(tables).parties))}`
  return `  level ${String(node.level).padStart(2)}  ${hex(at)}[${index}]  ${address(raw, node.entryBytes * 8)}${left}  ${kind.name}${to}`
}

function verdictText({ paddr, fault, rights, parties, memory, bypass, assumed = [] }: Translation, color: Colors, access?: Access): string {
  const asked = access === undefined ? '' : `${accessText(access)}: `
  if (fault !== undefined) return `${asked}${color.red('fault')} ${faultText(fault)}`
  const words = [
    ...(bypass ? ['bypass'] : []),
    ...(rights === undefined ? [] : [rightsText(rightsByParty(rights, parties))]),
    ...(memory === undefined ? [] : [memory.name]),
    ...(assumed.length === 0 ? [] : [color.dim(`assumed: ${assumed.join(', ')}`)]),
  ]
  return `${asked}→ ${color.green(hex(paddr ?? 0n))}${words.map((word) => `  ${word}`).join('')}`
}

/** `access-flag at level 3, stage 1: why`. */
export function faultText({ type, level, stage, reason }: TranslationFault): string {
  const where = [...(level === undefined ? [] : [`at level ${level}`]), ...(stage === undefined ? [] : [`stage ${stage}`])]
  return `${type}${where.length === 0 ? '' : ` ${where.join(', ')}`}: ${reason}`
}

/** `level 2 (page directory)`; many manuals have no other name than the number. */
export function levelText({ level, name }: { readonly level: number; readonly name: string }): string {
  return name.includes(`${level}`) ? name : `level ${level} (${name})`
}
