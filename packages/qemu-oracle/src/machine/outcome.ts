/** What an oracle run found, kept for the report: one file for each oracle, format and configuration in `reports/oracle`. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface Outcome {
  /** What walked the tables: `SMMUv3`, `VT-d`, `Cortex-A15`, ... */
  readonly oracle: string
  /** The id of the format. */
  readonly format: string
  readonly config: string
  /** Mappings in the tables. */
  readonly mappings?: number
  /** Addresses translated, and found where they should be. */
  readonly translations: number
  /** Accesses that had to fault, and did with the right record. */
  readonly faults: number
  /** Changes after which nothing stale was left by our callbacks. */
  readonly flushes?: number
  /** Descriptors made wrong on purpose, and caught. */
  readonly wrong?: number
  /** QEMU's version. */
  readonly qemu: string
  /** What the model does not check, or gets wrong. */
  readonly limits: readonly string[]
}

const FOLDER = fileURLToPath(new URL('../../../../reports/oracle/', import.meta.url))

/** Writes the file and says the counts in one line on the standard output. */
export function record(outcome: Outcome): void {
  const { oracle, format, config, translations, faults, flushes = 0, wrong = 0 } = outcome
  const name = `${oracle}-${format}-${config}`.toLowerCase().replace(/[^a-z0-9]+/g, '-')
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(`${FOLDER}${name}.json`, `${JSON.stringify(outcome, undefined, 2)}\n`)
  const more = `${flushes > 0 ? `, ${flushes} flushes sufficient` : ''}${wrong > 0 ? `, ${wrong} wrong descriptors caught` : ''}`
  process.stdout.write(`${oracle}: ${format}, ${config}: ${translations} translations, ${faults} faults${more}\n`)
}
