/** Lines of a text that may be large, and whose lines may be: what is beyond 64 KiB of one is dropped. */
import { StringDecoder } from 'node:string_decoder'

const LIMIT = 2 ** 16

/** The lines of a stream, without their ends: those of a piece of it together. */
export async function* linesOf(stream: AsyncIterable<Buffer | string>): AsyncGenerator<readonly string[]> {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  for await (const chunk of stream) {
    const text = typeof chunk === 'string' ? chunk : decoder.write(chunk)
    const lines: string[] = []
    let from = 0
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
      lines.push(withoutReturn(rest + text.slice(from, Math.min(end, from + LIMIT))))
      rest = ''
      from = end + 1
    }
    if (rest.length < LIMIT) rest += text.slice(from, from + LIMIT)
    yield lines
  }
  rest += decoder.end()
  if (rest !== '') yield [withoutReturn(rest)]
}

function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line
}
