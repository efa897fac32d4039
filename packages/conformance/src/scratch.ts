/** Memory for tables that are used one after the other. */
let buffer = new ArrayBuffer(0)

/**
 * Memory that all have in turn, since each would otherwise fetch, and clear, its own. What was there before is in it: a pool clears what it gives.
 *
 * @param size in bytes
 */
export function scratch(size: number): ArrayBuffer {
  if (buffer.byteLength < size) buffer = new ArrayBuffer(size)
  return buffer
}
