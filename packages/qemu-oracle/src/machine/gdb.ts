/** A client of QEMU's gdb stub over a Unix socket: registers of a halted CPU. GDB manual, appendix E, "Remote Serial Protocol". */
import { IoPgtableError } from '@io-pgtable/core'
import { LineSocket } from './socket.ts'

export interface GdbRegister {
  readonly number: number
  readonly bits: number
}

/** A client; the CPU is stopped from the connection on. */
export class GdbClient {
  readonly #socket: LineSocket<string>

  private constructor(socket: LineSocket<string>) {
    this.#socket = socket
  }

  static async connect(path: string): Promise<GdbClient> {
    const socket = await LineSocket.connect<string>(path, 'gdb')
    let received = ''
    socket.onData((text) => {
      received += text
      for (;;) {
        received = received.replace(/^\++/, '')
        const packet = /^\$([^#]*)#../s.exec(received)
        if (packet === null) return
        received = received.slice(packet[0].length)
        socket.tell('+')
        socket.answer(unescaped(packet[1] ?? ''))
      }
    })
    return new GdbClient(socket)
  }

  /** A packet, without frame and checksum. */
  packet(data: string): Promise<string> {
    const sum = Buffer.from(data, 'latin1').reduce((all, byte) => (all + byte) & 0xff, 0)
    return this.#socket.send(`$${data}#${sum.toString(16).padStart(2, '0')}`)
  }

  /** The registers that the stub describes, by name. */
  async registers(): Promise<ReadonlyMap<string, GdbRegister>> {
    const registers = new Map<string, GdbRegister>()
    const target = await this.#feature('target.xml')
    let number = 0
    for (const [, name = ''] of target.matchAll(/<xi:include href="([^"]+)"/g)) {
      const text = (await this.#feature(name)).replace(/<!--[\s\S]*?-->/g, '')
      for (const [tag] of text.matchAll(/<reg [^>]*>/g)) {
        number = Number(attribute(tag, 'regnum') ?? number)
        registers.set(attribute(tag, 'name') ?? '', { number, bits: Number(attribute(tag, 'bitsize')) })
        number++
      }
    }
    return registers
  }

  /** @throws (rejects) `EINVAL` when the stub refuses it */
  async setRegister({ number, bits }: GdbRegister, value: bigint): Promise<void> {
    const bytes = Array.from({ length: bits / 8 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn))
    const answer = await this.packet(`P${number.toString(16)}=${Buffer.from(bytes).toString('hex')}`)
    if (answer !== 'OK') throw new IoPgtableError('EINVAL', 'gdb', `register ${number} cannot be set: ${answer}`, { value })
  }

  async register({ number }: GdbRegister): Promise<bigint> {
    const bytes = Buffer.from(await this.packet(`p${number.toString(16)}`), 'hex')
    return BigInt(`0x0${bytes.reverse().toString('hex')}`)
  }

  close(): void {
    this.#socket.close()
  }

  async #feature(name: string): Promise<string> {
    for (let text = ''; ; ) {
      const part = await this.packet(`qXfer:features:read:${name}:${text.length.toString(16)},ffb`)
      text += part.slice(1)
      if (!part.startsWith('m')) return text
    }
  }
}

function attribute(tag: string, name: string): string | undefined {
  return new RegExp(`${name}="([^"]*)"`).exec(tag)?.[1]
}

/** `}` escapes the next byte, which is exclusive-ored with 0x20. */
function unescaped(text: string): string {
  return text.replace(/\}(.)/gs, (_, char: string) => String.fromCharCode(char.charCodeAt(0) ^ 0x20))
}
