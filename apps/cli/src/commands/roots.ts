/** `iopt roots`: the roots that a core says by itself. */
import type { Command } from 'commander'
import type { Io } from '../io.ts'
import { examples, jsonOption } from '../options.ts'

export function addRoots(program: Command, io: Io): void {
  const command = program
    .command('roots')
    .argument('<image>', 'an ELF core')
    .description('the roots that a core says by itself: CPU state in notes of QEMU, and VMCOREINFO of a Linux kernel')
    .action(async (image: string, options: { readonly json?: true }) => {
      const { runRoots } = await import('../core-targets.ts')
      await runRoots(io, image, options)
    })
  jsonOption(command, 'one object a root: format, registers, from')
  examples(command, 'iopt roots guest.elf', 'iopt dump x86_64 --image guest.elf')
}
