/** Commands as software writes them to an SMMUv3's queue: IHI 0070, chapter 4. Two words of 64 bits. */
import { IoPgtableError } from '@io-pgtable/core'
import type { Invalidation, Tlb } from '@io-pgtable/mmu'

/** CMDQ_CONS.ERR: no error; an illegal command. */
export const CERROR_NONE = 0
export const CERROR_ILL = 1

/** What commands act on. */
export interface Caches {
  /** Answers of stage 1, and of both stages; and of stage 2 by itself. */
  readonly tlb: Tlb
  readonly tlb2: Tlb
  /** Configurations of StreamIDs `first..last`; with `ssid` of that substream alone. */
  forget(first: number, last: number, ssid?: number): void
}

const bits = (word: bigint, hi: bigint, lo: bigint): number => Number((word >> lo) & ((1n << (hi - lo + 1n)) - 1n))

const vmidOf = (word: bigint): number => bits(word, 47n, 32n)
const asidOf = (word: bigint): number => bits(word, 63n, 48n)

/** 4.4.1: an address, or with TG a range of (NUM + 1) << SCALE granules. */
function rangeOf(first: bigint, second: bigint): NonNullable<Invalidation['range']> {
  const address = second & ~0xfffn
  const tg = bits(second, 11n, 10n)
  const count = BigInt(bits(first, 16n, 12n) + 1) << BigInt(bits(first, 24n, 20n))
  const bytes = tg === 0 ? 1n : count << BigInt(10 + 2 * tg)
  return { first: address, last: address + bytes - 1n }
}

type Command = (first: bigint, second: bigint, caches: Caches) => void

const nothing: Command = () => undefined
const sidOf = (word: bigint): number => bits(word, 63n, 32n)

const all: Command = (_first, _second, { tlb, tlb2 }) => {
  tlb.invalidate({ all: true })
  tlb2.invalidate({ all: true })
}
const cfgiRange: Command = (first, second, caches) => {
  const range = bits(second, 4n, 0n)
  if (range === 31) return caches.forget(0, 0xffff_ffff)
  const count = 2 ** (range + 1)
  const start = Math.floor(sidOf(first) / count) * count
  caches.forget(start, start + count - 1)
}
const byAddress: Command = (first, second, { tlb }) => {
  tlb.invalidate({ vmid: vmidOf(first), asid: asidOf(first), globals: true, range: rangeOf(first, second) })
}
const byAddressOfAll: Command = (first, second, { tlb }) => tlb.invalidate({ vmid: vmidOf(first), range: rangeOf(first, second) })

const COMMANDS: Readonly<Record<number, Command>> = {
  // PREFETCH_CONFIG, PREFETCH_ADDR
  1: nothing,
  2: nothing,
  // CFGI_STE, CFGI_STE_RANGE and CFGI_ALL, CFGI_CD, CFGI_CD_ALL
  3: (first, _second, caches) => caches.forget(sidOf(first), sidOf(first)),
  4: cfgiRange,
  5: (first, _second, caches) => caches.forget(sidOf(first), sidOf(first), bits(first, 31n, 12n)),
  6: (first, _second, caches) => caches.forget(sidOf(first), sidOf(first)),
  // TLBI_NH_ALL, _ASID, _VA, _VAA
  16: (first, _second, { tlb }) => tlb.invalidate({ vmid: vmidOf(first) }),
  17: (first, _second, { tlb }) => tlb.invalidate({ vmid: vmidOf(first), asid: asidOf(first) }),
  18: byAddress,
  19: byAddressOfAll,
  // TLBI_S12_VMALL, TLBI_S2_IPA, TLBI_NSNH_ALL
  40: (first, _second, { tlb, tlb2 }) => {
    tlb.invalidate({ vmid: vmidOf(first) })
    tlb2.invalidate({ vmid: vmidOf(first) })
  },
  42: (first, second, { tlb2 }) => tlb2.invalidate({ vmid: vmidOf(first), range: rangeOf(first, second) }),
  48: all,
  // CMD_SYNC
  70: nothing,
}

/** Obeys one command. @returns CMDQ_CONS.ERR. @throws `EINVAL` for what is no two words of 64 bits */
export function obey(words: readonly bigint[], caches: Caches): number {
  const [first, second] = words
  if (words.length !== 2 || first === undefined || second === undefined || words.some((word) => BigInt.asUintN(64, word) !== word))
    throw new IoPgtableError('EINVAL', 'command', `${words.length} words: two of 64 bits expected`, { value: words.length })
  const command = COMMANDS[bits(first, 7n, 0n)]
  if (command === undefined) return CERROR_ILL
  command(first, second, caches)
  return CERROR_NONE
}
