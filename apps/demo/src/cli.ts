/** The command: arguments, output, exit code. */
import { parseArgs } from 'node:util'
import type { Dump } from './dump.ts'
import { renderEnd, renderScene } from './render.ts'
import { SCENES } from './scenes/index.ts'
import { type Played, play, type Scene, toJson } from './stage.ts'
import { colorsFor } from './text.ts'

const USAGE = `usage: npm run demo [-- --json]

The library at work: memory for tables, two formats under one driver, a GPU's VA
space, a device's lifetime, and the page tables of a real kernel. Every scene
checks what it shows; exits with 1 when a check fails.

  --json    one JSON document with the same facts
  --help    show this
`

/** Where the command writes, and how. */
export interface Io {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly color: boolean
  /** Columns of the terminal, if it is one. */
  readonly columns?: number | undefined
}

/** Runs the command. @returns its exit code: 0 all is well, 1 a check failed or the dump cannot be read, 2 bad arguments */
export async function runCli(
  args: readonly string[],
  io: Io,
  readDump: () => Promise<Dump>,
  scenes: readonly Scene[] = SCENES,
): Promise<number> {
  let json: boolean
  try {
    const flag = { type: 'boolean', default: false } as const
    const { values } = parseArgs({ args: [...args], options: { json: flag, help: { ...flag, short: 'h' } } })
    if (values.help) {
      io.out(USAGE)
      return 0
    }
    json = values.json
  } catch (error) {
    io.err(`demo: ${messageOf(error)}\n${USAGE}`)
    return 2
  }
  try {
    return (await show(scenes, await readDump(), json, io)) ? 0 : 1
  } catch (error) {
    io.err(`demo: ${messageOf(error)}\n`)
    return 1
  }
}

/** Plays the scenes; as text each is written when it is over. @returns whether every check passed */
async function show(scenes: readonly Scene[], dump: Dump, json: boolean, { out, color, columns = 80 }: Io): Promise<boolean> {
  const options = { colors: colorsFor(color), width: Math.min(Math.max(columns, 60), 100) }
  const start = performance.now()
  const played: Played[] = []
  for (const scene of scenes) {
    played.push(await play(scene, dump))
    if (!json) out(`${renderScene(played.at(-1) as Played, played.length, options)}\n`)
  }
  const checks = played.flatMap((scene) => scene.checks)
  const passed = checks.filter(({ ok }) => ok).length
  if (json)
    out(`${toJson({ ok: passed === checks.length, totals: { scenes: played.length, checks: checks.length, passed }, scenes: played })}\n`)
  else out(`${renderEnd(played, (performance.now() - start) / 1000, options)}\n`)
  return passed === checks.length
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
