/**
 * Walkers as an emulator's author writes them for one format and configuration: int32 lanes, two pieces of memory, rights over the path, access
 * flag, output size, and the answer or the fault in lanes. The baseline of the software MMU.
 */

export interface HandWalker {
  /** 0, or a fault. `need`: rights of users in bits 0 to 2, of the privileged in bits 3 to 5. */
  access(hi: number, lo: number, need: number): number
  /** High and low lane of the address, rights, log2 of the size, fault, level. */
  readonly out: Int32Array
}

type Pieces = readonly { readonly base: bigint; readonly bytes: Uint8Array }[]

const [UNKNOWN, TRANSLATION, RANGE, FLAG, DOMAIN, PERMISSION, SIZE] = [1, 2, 3, 4, 5, 6, 7] as const

interface Piece {
  readonly hi: number
  readonly lo: number
  readonly size: number
  readonly words: Int32Array
}

function pieceOf({ base, bytes }: Pieces[number]): Piece {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2)
  return { hi: Number(base >> 32n) | 0, lo: Number(BigInt.asIntN(32, base)) | 0, size: bytes.byteLength, words }
}

/** arm64 stage 1: 4K granule, 48 bits in and out. */
export function arm64ByHand(root: bigint, pieces: Pieces): HandWalker {
  const [a, b] = pieces.map(pieceOf) as [Piece, Piece]
  const { words: aWords, hi: aHi, lo: aLo, size: aSize } = a
  const { words: bWords, hi: bHi, lo: bLo, size: bSize } = b
  const rootHi = Number(root >> 32n) | 0
  const rootLo = Number(BigInt.asIntN(32, root)) | 0
  const out = new Int32Array(6)
  const fail = (type: number, level: number): number => {
    out[4] = type
    out[5] = level
    return type
  }
  function access(hi: number, lo: number, need: number): number {
    if ((hi & 0xffff_0000) !== 0) return fail(RANGE, 0)
    let tHi = rootHi
    let tLo = rootLo
    let limits = 63
    for (let level = 0; level < 4; level++) {
      const index = level === 0 ? hi >>> 7 : level === 1 ? (hi << 2) | (lo >>> 30) : level === 2 ? lo >>> 21 : lo >>> 12
      const at = (tLo + ((index & 511) << 3)) | 0
      let words = aWords
      let place = 0
      if (tHi === aHi && (at - aLo) >>> 0 < aSize) place = ((at - aLo) >>> 2) | 0
      else if (tHi === bHi && (at - bLo) >>> 0 < bSize) {
        words = bWords
        place = ((at - bLo) >>> 2) | 0
      } else return fail(UNKNOWN, level)
      const d = words[place]!
      const h = words[place + 1]!
      if ((d & 1) === 0) return fail(TRANSLATION, level)
      if (level < 3 && (d & 2) !== 0) {
        if ((h & 0x7800_0000) !== 0) {
          if ((h & 0x4000_0000) !== 0) limits &= ~0b010_010
          if ((h & 0x2000_0000) !== 0) limits &= ~0b000_011
          if ((h & 0x1000_0000) !== 0) limits &= ~0b000_100
          if ((h & 0x0800_0000) !== 0) limits &= ~0b100_000
        }
        tHi = h & 0xffff
        tLo = d & ~0xfff
        continue
      }
      if (level === 0 || (level === 3 && (d & 2) === 0)) return fail(TRANSLATION, level)
      if ((d & 0x400) === 0) return fail(FLAG, level)
      let rights = 0b101_100
      if ((d & 64) !== 0) rights |= 1
      if ((d & 128) === 0) {
        rights |= 16
        if ((d & 64) !== 0) rights |= 2
      }
      if ((h & 0x20_0000) !== 0) rights &= ~0b100_000
      if ((h & 0x40_0000) !== 0) rights &= ~0b000_100
      rights &= limits
      // what users may write the privileged do not execute
      if ((rights & 2) !== 0) rights &= ~0b100_000
      if ((need & ~rights) !== 0) return fail(PERMISSION, level)
      const keep = level === 3 ? 0xfff : level === 2 ? 0x1f_ffff : 0x3fff_ffff
      out[0] = h & 0xffff
      out[1] = (d & ~0xfff & ~keep) | (lo & keep)
      out[2] = rights
      out[3] = level === 3 ? 12 : level === 2 ? 21 : 30
      out[4] = 0
      return 0
    }
    return fail(SIZE, 3)
  }
  return { access, out }
}

/** By AP[2] and AP[1:0]: what users, and the privileged three bits above, read and write. */
const AP = Int32Array.of(0, 0b011_000, 0b011_001, 0b011_011, 0, 0b001_000, 0b001_001, 0b001_001)

/** ARMv7 short descriptors: 32 bits, all domains clients, AFE set. */
export function armV7sByHand(root: bigint, pieces: Pieces): HandWalker {
  const [a, b] = pieces.map(pieceOf) as [Piece, Piece]
  const { words: aWords, lo: aLo, size: aSize } = a
  const { words: bWords, lo: bLo, size: bSize } = b
  const rootLo = Number(BigInt.asIntN(32, root)) | 0
  const dacr = 0x5555_5555
  const out = new Int32Array(6)
  const fail = (type: number, level: number): number => {
    out[4] = type
    out[5] = level
    return type
  }
  function word(at: number): number {
    if ((at - aLo) >>> 0 < aSize) return aWords[((at - aLo) >>> 2) | 0]!
    return (at - bLo) >>> 0 < bSize ? bWords[((at - bLo) >>> 2) | 0]! : 0
  }
  function known(at: number): boolean {
    return (at - aLo) >>> 0 < aSize || (at - bLo) >>> 0 < bSize
  }
  function finish(
    d: number,
    keep: number,
    ap: number,
    never: number,
    pxn: number,
    domain: number,
    level: number,
    lo: number,
    need: number,
  ): number {
    if ((ap & 1) === 0) return fail(FLAG, level)
    const access = (dacr >>> (2 * domain)) & 3
    if (access !== 1 && access !== 3) return fail(DOMAIN, level)
    let rights = 63
    if (access === 1) {
      rights = AP[ap]! | (never === 0 ? 0b000_100 | (pxn === 0 ? 0b100_000 : 0) : 0)
      rights &= ~((~rights & 0b001_001) << 2)
    }
    if ((need & ~rights) !== 0) return fail(PERMISSION, level)
    out[0] = 0
    out[1] = (d & ~keep) | (lo & keep)
    out[2] = rights
    out[3] = 32 - Math.clz32(keep)
    out[4] = 0
    return 0
  }
  function access(hi: number, lo: number, need: number): number {
    if (hi !== 0) return fail(RANGE, 0)
    const at = (rootLo + ((lo >>> 20) << 2)) | 0
    if (!known(at)) return fail(UNKNOWN, 1)
    const d = word(at)
    if ((d & 3) === 0) return fail(TRANSLATION, 1)
    if ((d & 2) !== 0) {
      const ap = ((d >>> 10) & 3) | ((d >>> 13) & 4)
      if ((d & 0x4_0000) !== 0) return finish(d, 0xff_ffff, ap, d & 16, d & 1, 0, 1, lo, need)
      return finish(d, 0xf_ffff, ap, d & 16, d & 1, (d >>> 5) & 15, 1, lo, need)
    }
    const next = ((d & ~0x3ff) + (((lo >>> 12) & 255) << 2)) | 0
    if (!known(next)) return fail(UNKNOWN, 2)
    const e = word(next)
    if ((e & 3) === 0) return fail(TRANSLATION, 2)
    const ap = ((e >>> 4) & 3) | ((e >>> 7) & 4)
    if ((e & 2) !== 0) return finish(e, 0xfff, ap, e & 1, d & 4, (d >>> 5) & 15, 2, lo, need)
    return finish(e, 0xffff, ap, e & 0x8000, d & 4, (d >>> 5) & 15, 2, lo, need)
  }
  return { access, out }
}
