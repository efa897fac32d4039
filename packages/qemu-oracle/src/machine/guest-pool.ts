/** Table memory of the engine that a guest's walker sees: what the pool's `sync` hook reports is uploaded, and nothing else. */
import { PtPool } from '@io-pgtable/pt-allocator'
import type { QtestClient } from './qtest.ts'

/**
 * What the guest's memory holds before anything is uploaded: a byte with the bits that make entries valid in every format, so that an entry
 * that the hook never told of translates to nowhere instead of looking empty.
 */
const POISON = 0xa7

/** Fresh tables are zero, and large: zeros need not travel as bytes. */
const PIECE = 4096

/**
 * A pool at `base` of the guest's memory, which must be there and hold nothing else. Uploads are queued in the order of the hook's calls.
 * @param shift added to its addresses in uploads, where `base` is not physical but what another table maps so
 */
export function guestPool(qtest: QtestClient, { base, size }: { readonly base: bigint; readonly size: number }, shift = 0n): PtPool {
  const memory = new Uint8Array(size)
  const sync = (paddr: bigint, byteLength: number): void => {
    for (let done = 0; done < byteLength; done += PIECE) {
      const length = Math.min(PIECE, byteLength - done)
      const at = Number(paddr - base) + done
      const piece = memory.subarray(at, at + length)
      if (piece.some((byte) => byte !== 0)) void qtest.write(paddr + shift + BigInt(done), piece)
      else void qtest.fill(paddr + shift + BigInt(done), length, 0)
    }
  }
  void qtest.fill(base + shift, size, POISON)
  return new PtPool({ base, memory, sync, name: 'guest' })
}
