/**
 * A process of a comparison of two versions. `pass.js list` prints the rows that there are, as JSON. `pass.js measure NAMES [FORMAT]` measures
 * those named, a line each, with this format in use or with every one, and prints the least nanoseconds a unit by their names.
 * `pass.js check NAMES` measures nothing, and looks at everything that they do.
 *
 * Both versions are measured by this file, each on its own rows: `versions.ts` puts it into the other version.
 */
import { exerciseFormats } from './exercise.ts'
import { expectEqual, type Pass, type Row } from './row.ts'
import { REFERENCES, ROWS } from './rows.ts'

/** A row is done when its least time has not fallen by a hundredth for so many milliseconds of CPU time, and for so many runs. */
const QUIET_MS = 20
const QUIET_RUNS = 8
/** Runs from this many milliseconds on are long enough for the microseconds of CPU time. */
const LONG_MS = 1

/** Milliseconds of CPU time of all threads of this process: what other programs take does not count. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/**
 * Milliseconds of one run of the thread: no more than the clock says, which counts other programs too when they take the core away, and no
 * more than the CPU time, which counts the compiler's and the collector's threads too.
 */
function timeRun(pass: Pass): number {
  const cpu = cpuMs()
  const start = performance.now()
  const result = pass.run()
  const ms = performance.now() - start
  const least = ms < LONG_MS ? ms : Math.min(ms, cpuMs() - cpu)
  expectEqual('result', result, pass.expected)
  pass.reset?.()
  return least
}

/** One row after the other: its memory stays in the caches while it runs, and goes when it is done. Warming up is a part: its runs are not least. */
function leastOf({ prepare, units }: Row): number {
  const pass = prepare()
  let least = Number.POSITIVE_INFINITY
  for (let runs = 0, end = 0; runs < QUIET_RUNS || cpuMs() < end; runs++) {
    const ms = timeRun(pass)
    if (ms < 0.99 * least) {
      runs = 0
      end = cpuMs() + QUIET_MS
    }
    least = Math.min(least, ms)
  }
  return (least * 1e6) / units
}

function check(row: Row): void {
  const pass = row.prepare()
  expectEqual(row.id, pass.run(), pass.expected)
  pass.verify()
}

const [what = 'list', names = '', format] = process.argv.slice(2)
const rows = [...REFERENCES, ...ROWS]
const wanted = new Set(names.split('\n'))
const chosen = rows.filter(({ id }) => wanted.has(id))
if (what === 'list') process.stdout.write(JSON.stringify(rows))
if (what === 'check') for (const row of chosen) check(row)
if (what === 'measure') {
  exerciseFormats(format === undefined ? undefined : new Set([format]))
  process.stdout.write(JSON.stringify(Object.fromEntries(chosen.map((row) => [row.id, leastOf(row)]))))
}
