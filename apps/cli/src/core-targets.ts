/** Roots that images say by themselves, in the words of a command line. */
import { type CoreRole, type CoreRoot, coreRoots, elfNotes, formatOf as imageFormatOf } from '@io-pgtable/inspect'
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

/** The roots of images, with the id of their format. Files that are no ELF cores have none. */
export async function imageRoots(images: readonly string[]): Promise<readonly (CoreRoot & { readonly format: string })[]> {
  const roots: (CoreRoot & { readonly format: string })[] = []
  for (const image of images) {
    const source = fileSource(image)
    if ((await imageFormatOf(source)) !== 'elf') continue
    for (const root of coreRoots(await elfNotes(source))) roots.push({ ...root, format: FORMAT_OF[root.role] })
  }
  return roots
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
