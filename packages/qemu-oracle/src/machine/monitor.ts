/** QEMU's machine protocol over a Unix socket (QMP, with the human monitor through it), as QEMU's "QMP Reference Manual" has it. */
import { IoPgtableError } from '@io-pgtable/core'
import { LineSocket } from './socket.ts'

interface Message {
  readonly return?: unknown
  readonly error?: { readonly desc?: string }
  readonly event?: string
  readonly QMP?: unknown
}

/** A client; commands are answered in order and may be pipelined. */
export class MonitorClient {
  readonly #socket: LineSocket<unknown>

  private constructor(socket: LineSocket<unknown>) {
    this.#socket = socket
  }

  static async connect(path: string): Promise<MonitorClient> {
    const socket = await LineSocket.connect<unknown>(path, 'monitor')
    let received = ''
    socket.onData((text) => {
      const lines = (received + text).split('\n')
      received = lines.pop() ?? ''
      for (const line of lines) MonitorClient.#receive(socket, JSON.parse(line) as Message)
    })
    const client = new MonitorClient(socket)
    await client.execute('qmp_capabilities')
    return client
  }

  static #receive(socket: LineSocket<unknown>, message: Message): void {
    if (message.event !== undefined || message.QMP !== undefined) return
    if (message.error === undefined) socket.answer(message.return)
    else socket.refuse(new IoPgtableError('EFAULT', 'monitor', message.error.desc ?? 'refused'))
  }

  execute(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    return this.#socket.send(`${JSON.stringify({ execute: command, arguments: args })}\n`)
  }

  /** A command of the human monitor: its text. */
  async human(command: string): Promise<string> {
    return String(await this.execute('human-monitor-command', { 'command-line': command }))
  }

  close(): void {
    this.#socket.close()
  }
}
