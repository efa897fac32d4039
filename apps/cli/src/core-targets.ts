/** Roots that images say by themselves, in the words of a command line. */
import { type CoreRole, type CoreRoot, coreRoots, elfNotes, type Finding, formatOf as imageFormatOf } from '@io-pgtable/inspect'
import type { Io } from './io.ts'
import { registerTexts } from './registers.ts'
import { fileSource } from './source.ts'
import { columns } from './text.ts'

/** The formats of what a core tells. */
const FORMAT_OF: Readonly<Record<CoreRole, string>> = {
  'x86-64': 'x86_64',
  'x86-pae': 'x86-pae',
  'x86-32': 'x86-32',
  'arm64-stage1': 'arm64-lpae-s1',
  'riscv-stage1': 'riscv64',
}

/** A root, the id of its format, and what a command says that takes it. */
export interface ImageRoot extends CoreRoot {
  readonly format: string
  readonly finding: Finding
}

/** The roots of images, with the id of their format. Files that are no ELF cores have none. */
export async function imageRoots(images: readonly string[]): Promise<readonly ImageRoot[]> {
  const roots: ImageRoot[] = []
  for (const image of images) {
    const source = fileSource(image)
    if ((await imageFormatOf(source)) !== 'elf') continue
    for (const root of coreRoots(await elfNotes(source))) roots.push({ ...root, format: FORMAT_OF[root.role], finding: foundRoot(root) })
  }
  return roots
}

function foundRoot({ registers, from }: CoreRoot): Finding {
  const texts = registerTexts(registers).map(([name, text]) => `${name} ${text}`)
  return { severity: 'note', code: 'root-of-image', place: from, message: `no register was given: ${texts.join(', ')} are taken` }
}

/** The command itself. */
export async function runRoots(io: Io, image: string, { json }: { readonly json?: true }): Promise<void> {
  const roots = await imageRoots([image])
  const rows = roots.map(({ format, registers, from }) => ({ format, registers: Object.fromEntries(registerTexts(registers)), from }))
  if (json) for (const row of rows) io.out(`${JSON.stringify(row)}\n`)
  else {
    const texts = rows.map(({ format, registers, from }) => [
      format,
      Object.entries(registers)
        .map(([name, value]) => `--${name} ${value}`)
        .join(' '),
      from,
    ])
    for (const line of columns(texts)) io.out(`${line}\n`)
  }
  if (roots.length === 0) io.err('no note of this image tells a root: registers are needed, as --reg NAME=VALUE\n')
}
