/** Laws of concurrency. */
import type { Law } from './law.ts'

export function workerLaws(_module: URL | undefined): readonly Law[] {
  return []
}
