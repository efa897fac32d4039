/** `iopt replay`: a trace of iommu:map and iommu:unmap, onto a fresh table. */
import { createReadStream, statSync } from 'node:fs'
import { agreedConfig, hex, IoPageTable, Prot } from '@io-pgtable/core'
import { readTrace, TraceParser, TraceReplay } from '@io-pgtable/inspect'
import { PtPool } from '@io-pgtable/pt-allocator'
import type { Command } from 'commander'
import { configOf } from '../configs.ts'
import type { Io } from '../io.ts'
import { examples, jsonOption } from '../options.ts'
import { printable } from '../printable.ts'
import { Progress } from '../progress.ts'
import { formatOf } from '../targets.ts'
import { sizeText } from '../text.ts'
import { flags, small } from '../usage.ts'

interface Options {
  readonly format: string
  readonly config?: string
  readonly prot: number
  readonly memory: number
  readonly maps?: true
  readonly json?: true
}

export function addReplay(program: Command, io: Io): void {
  const command = program
    .command('replay')
    .argument('<trace>', "ftrace's text: trace, trace_pipe, trace-cmd report")
    .description('ftrace iommu:map and iommu:unmap onto a fresh table: what is mapped at its end')
    .option('--format <format>', 'the format of the table', 'arm64-lpae-s1')
    .option('--config <config>', 'its configuration: a number, a name, or JSON')
    .option('--prot <flags>', 'what mappings grant: a trace does not tell', flags, Prot.READ | Prot.WRITE)
    .option('--memory <bytes>', 'for tables', small, 2 ** 30)
    .option('--maps', 'the mappings at the end, too')
    .action((path: string, options: Options) => run(io, path, options))
  jsonOption(command, 'one object: maps, unmaps, bytes, problems; with --maps one object a mapping before it')
  examples(command, 'iopt replay trace.txt', 'iopt replay trace.txt --format vtdss --maps')
}

async function run(io: Io, path: string, options: Options): Promise<void> {
  const format = formatOf(options.format)
  const size = Math.ceil(options.memory / 4096) * 4096
  const pool = new PtPool({ base: 0n, size, name: 'replay' })
  const table = IoPageTable.createRaw(format, { ...agreedConfig(format, configOf(format, options.config)), allocator: pool })
  const replay = new TraceReplay(table, options.prot)
  const parser = new TraceParser()
  await replayAll(io, path, parser, replay)
  if (options.maps) printMappings(io, table, options)
  const { totals, problems } = replay
  for (const { message } of problems) io.err(`${io.errColor.yellow('problem')} ${printable(message)}\n`)
  const skipped = Object.fromEntries(parser.skipped)
  if (options.json) io.out(`${JSON.stringify({ ...totals, skipped, tableBytes: table.tableBytes })}\n`)
  else io.out(`${textOf(totals, table.tableBytes)}\n`)
  for (const [name, count] of parser.skipped) io.err(`${count} events ${name} are not replayed\n`)
}

async function replayAll(io: Io, path: string, parser: TraceParser, replay: TraceReplay): Promise<void> {
  const file = createReadStream(path, 'utf8')
  const progress = new Progress(io, 'bytes', statSync(path, { throwIfNoEntry: false })?.size)
  try {
    for await (const event of readTrace(file, parser)) {
      replay.apply(event)
      progress.at(file.bytesRead)
    }
  } finally {
    progress.end()
    file.destroy()
  }
}

type Totals = TraceReplay['totals']

function textOf({ maps, unmaps, mappedBytes, unmappedBytes, problems }: Totals, tableBytes: number): string {
  return `${maps} maps of ${sizeText(mappedBytes)}, ${unmaps} unmaps of ${sizeText(unmappedBytes)}, ${problems} problems; tables take ${sizeText(tableBytes)}`
}

function printMappings(io: Io, table: IoPageTable, { json }: Options): void {
  for (const { iova, paddr, size } of table.snapshot().runs) {
    if (json) io.out(`${JSON.stringify({ iova: hex(iova), paddr: hex(paddr), size: Number(size) })}\n`)
    else io.out(`${hex(iova).padStart(18)} → ${hex(paddr).padEnd(14)} ${sizeText(size)}\n`)
  }
}
