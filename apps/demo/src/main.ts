import { runCli } from './cli.ts'
import { readDump } from './dump.ts'
import { wantsColor } from './text.ts'

// The reader of a pipe may have enough before the end.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

process.exitCode = await runCli(
  process.argv.slice(2),
  {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    color: wantsColor(process.stdout, process.env),
    columns: process.stdout.columns,
  },
  () => readDump(),
)
