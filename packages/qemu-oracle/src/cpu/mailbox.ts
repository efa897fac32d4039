/**
 * The memory that a guest program and the harness share. All values are 64 bits, little-endian:
 * +0 go (1: run; the guest writes 0 when it is done), +8 the number of entries, from +16 on the registers that the guest sets first,
 * from +0x200 on the entries of 32 bytes: an address, an operation, and two places for results.
 */

export const GO = 0
export const COUNT = 8
export const REGISTERS = 16
export const ENTRIES = 0x200
export const ENTRY_BYTES = 32
/** From the guest program's first byte to its mailbox. */
export const MAILBOX_OFFSET = 0x1_0000
/** As many entries as one batch has at most. */
export const BATCH = 16_384

/** One thing that a guest does: `op` is one of its program's operations, `arg` and `arg2` what some of them take. */
export interface GuestRequest {
  readonly address: bigint
  readonly op: number
  readonly arg?: bigint
  readonly arg2?: bigint
}

/** What an entry holds afterwards. */
export interface GuestResult {
  readonly address: bigint
  readonly first: bigint
  readonly second: bigint
}

/** The mailbox from `COUNT` on, `GO` left out: it is written last. */
export function packMailbox(registers: readonly bigint[], requests: readonly GuestRequest[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(ENTRIES + ENTRY_BYTES * requests.length))
  const put = (at: number, value: bigint): void => bytes.setBigUint64(at, BigInt.asUintN(64, value), true)
  put(COUNT, BigInt(requests.length))
  for (const [i, value] of registers.entries()) put(REGISTERS + 8 * i, value)
  for (const [i, { address, op, arg = 0n, arg2 = 0n }] of requests.entries()) {
    const at = ENTRIES + ENTRY_BYTES * i
    put(at, address)
    put(at + 8, BigInt(op))
    put(at + 16, arg)
    put(at + 24, arg2)
  }
  return new Uint8Array(bytes.buffer, COUNT)
}

/** The results, from the bytes of the entries. */
export function unpackEntries(entries: Uint8Array): readonly GuestResult[] {
  const bytes = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
  return Array.from({ length: entries.byteLength / ENTRY_BYTES }, (_, i) => ({
    address: bytes.getBigUint64(i * ENTRY_BYTES, true),
    first: bytes.getBigUint64(i * ENTRY_BYTES + 16, true),
    second: bytes.getBigUint64(i * ENTRY_BYTES + 24, true),
  }))
}
