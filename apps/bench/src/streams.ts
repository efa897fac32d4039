/** Where the command writes. */
export interface Streams {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  /** Errors go to a terminal, where one line can be written again and again. */
  readonly live: boolean
}

/** A line that is written over, where that is possible. */
export function progressOf({ err, live }: Streams): (text: string) => void {
  return live ? (text) => err(`\r\x1b[K${text}`) : () => {}
}
