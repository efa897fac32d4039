/** ELF cores, made by hand: notes, and one segment of memory. */

export interface CoreNote {
  readonly name: string
  readonly type: number
  readonly bytes: Uint8Array
}

export interface CoreOptions {
  readonly machine: number
  readonly notes: readonly CoreNote[]
  readonly paddr?: bigint
  readonly memory?: Uint8Array
  readonly little?: boolean
}

const padded = (length: number): number => Math.ceil(length / 4) * 4

/** An ELF64 core. */
export function elfCore({ machine, notes, paddr = 0n, memory = new Uint8Array(), little = true }: CoreOptions): Uint8Array<ArrayBuffer> {
  const noteBytes = notes.reduce((sum, { name, bytes }) => sum + 12 + padded(name.length + 1) + padded(bytes.length), 0)
  const [noteAt, memoryAt] = [64 + 2 * 56, 64 + 2 * 56 + noteBytes]
  const file = new Uint8Array(memoryAt + memory.length)
  const view = new DataView(file.buffer)
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, little ? 1 : 2, 1])
  view.setUint16(16, 4, little)
  view.setUint16(18, machine, little)
  view.setBigUint64(32, 64n, little)
  view.setUint16(54, 56, little)
  view.setUint16(56, 2, little)
  const header = (at: number, type: number, offset: number, address: bigint, size: number): void => {
    view.setUint32(at, type, little)
    view.setBigUint64(at + 8, BigInt(offset), little)
    view.setBigUint64(at + 24, address, little)
    view.setBigUint64(at + 32, BigInt(size), little)
    view.setBigUint64(at + 40, BigInt(size), little)
  }
  header(64, 4, noteAt, 0n, noteBytes)
  header(120, 1, memoryAt, paddr, memory.length)
  let at = noteAt
  for (const { name, type, bytes } of notes) {
    view.setUint32(at, name.length + 1, little)
    view.setUint32(at + 4, bytes.length, little)
    view.setUint32(at + 8, type, little)
    file.set(new TextEncoder().encode(name), at + 12)
    file.set(bytes, at + 12 + padded(name.length + 1))
    at += 12 + padded(name.length + 1) + padded(bytes.length)
  }
  file.set(memory, memoryAt)
  return file
}

/** The note that QEMU writes for an x86 CPU, version 1. */
export function qemuNote(cr0: bigint, cr3: bigint, cr4: bigint): CoreNote {
  const bytes = new Uint8Array(440)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, 1, true)
  view.setUint32(4, 440, true)
  view.setBigUint64(392, cr0, true)
  view.setBigUint64(416, cr3, true)
  view.setBigUint64(424, cr4, true)
  return { name: 'QEMU', type: 0, bytes }
}

export function vmcoreinfo(text: string): CoreNote {
  return { name: 'VMCOREINFO', type: 0, bytes: new TextEncoder().encode(text) }
}
