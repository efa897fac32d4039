/** The law of registers: what a device is given leads to the root, and back. */
import { decode, hex, IoPgtableError, inputRanges, type LevelNode, memoryOf, type ReadMemory, walkAddress } from '@io-pgtable/core'
import { type Case, iovaOf, leastPaddr, offsetOf, type Size, tableAlign, tableLimit } from './case.ts'
import { addressSamples } from './descriptor-laws.ts'
import { Fault, isRefusal, type Law, must, type Skipped, same } from './law.ts'
import { Session } from './session.ts'
import { explained, plainProt } from './table-laws.ts'

export const registers: Law = {
  name: 'format/registers',
  says: 'registers carry every bit of the root address; who reads them finds the table: its root, its addresses, and what its leaves grant',
  check(c) {
    carried(c)
    wayBack(c)
    anyValue(c)
    return foundAgain(c)
  },
}

/** Roots at any two places give different registers. */
function carried(c: Case): void {
  const { format, config, geometry, chain, top } = c
  const root = chain[top] as LevelNode
  const regs = (first: bigint): string => {
    return JSON.stringify(format.regs(config, rootsAt(c, first), geometry.top), (_, v: unknown) => (typeof v === 'bigint' ? hex(v) : v))
  }
  const seen = new Map<string, bigint>()
  const align = BigInt(tableAlign(root))
  for (const address of addressSamples(align, tableLimit(c))) {
    if (address + align > tableLimit(c)) continue
    const other = seen.get(regs(address))
    must(other === undefined, `the registers are the same for roots at ${hex(address)} and ${hex(other ?? 0n)}: ${regs(address)}`, {
      node: root,
    })
    seen.set(regs(address), address)
  }
}

/** The root tables of a root block at an address. */
function rootsAt({ geometry, chain, top }: Case, first: bigint): bigint[] {
  const count = geometry.roots ?? 1
  const { tableBytes } = chain[top] as LevelNode
  return Array.from({ length: count }, (_, i) => first + BigInt((tableBytes / count) * i))
}

/** What hardware holds, and the memory that its registers point to. */
function given({ format, config }: Case, regs: unknown): { readonly raw: unknown; readonly read: ReadMemory } {
  return { raw: format.hardware?.(config, regs), read: memoryOf(format.rootMemory?.(config, regs) ?? []) }
}

/** Whatever its place, a root is found again by the raw registers that it was given to. */
function wayBack(c: Case): void {
  const { format, config, geometry, chain, top } = c
  const root = chain[top] as LevelNode
  const align = BigInt(tableAlign(root))
  for (const address of addressSamples(align, tableLimit(c))) {
    if (address + align > tableLimit(c)) continue
    const roots = rootsAt(c, address)
    const { raw, read } = given(c, format.regs(config, roots, geometry.top))
    if (raw === undefined) return
    const found = format.rootsFromRegs(raw, read)
    const held = found.some((other) => roots.every((one, i) => one === other.roots[i]))
    must(
      held,
      () => `a root at ${hex(address)} is found at ${found.map((other) => other.roots.map(hex).join(', ')).join('; ') || 'no place'}`,
      {
        node: root,
      },
    )
  }
}

/** Registers of any value are refused, or lead to roots that are aligned: what the hardware takes no address from is masked away. */
function anyValue(c: Case): void {
  const { format, config, geometry } = c
  const { raw, read } = given(c, format.regs(config, rootsAt(c, 0n), geometry.top))
  if (typeof raw !== 'object' || raw === null) return
  for (const [name, value] of Object.entries(raw)) {
    if (typeof value !== 'bigint') continue
    const bits = Array.from({ length: 64 }, (_, i) => 1n << BigInt(i))
    for (const other of [...bits.flatMap((bit) => [value ^ bit, bit - 1n]), (1n << 64n) - 1n])
      checkRoots(c, { ...raw, [name]: other }, read, `${name} ${hex(other)}`)
  }
}

function checkRoots({ format }: Case, raw: object, read: ReadMemory, text: string): void {
  try {
    for (const found of format.rootsFromRegs(raw, read)) {
      const { nodes, top, roots = 1 } = format.geometry(found.params)
      const root = nodes.find((node) => node.id === top)
      const align = BigInt(root === undefined ? 1 : Math.min((root.entryBytes * 2 ** root.bits) / roots, root.align ?? Infinity))
      const wrong = found.roots.find((address) => address % align !== 0n || address >> 64n !== 0n)
      must(wrong === undefined, () => `${text} gives a root at ${hex(wrong ?? 0n)}: a multiple of ${hex(align)} expected`)
    }
  } catch (error) {
    // Registers that point elsewhere in memory lead to nothing that is known.
    if (!isRefusal(error) && !(error instanceof IoPgtableError && error.code === 'EFAULT')) throw error
  }
}

/** A page at each end of the input addresses is found by the raw registers alone. */
function foundAgain(c: Case): Skipped | undefined {
  const { format, geometry } = c
  if (format.writes === false) return { skipped: 'for what the tables translate: the format only reads' }
  const session = new Session(c)
  if (format.hardware?.(c.config, session.table.regs) === undefined) {
    session.table.free()
    return { skipped: 'for the way back: raw registers do not tell enough of this configuration' }
  }
  const size = c.sizes[0] as Size
  explained(session, () => {
    for (const { first, last } of inputRanges(geometry)) {
      const end = offsetOf(geometry, last) + 1n - BigInt(size.pgsize)
      for (const offset of new Set([offsetOf(geometry, first), end])) {
        session.apply({ op: 'map', offset, paddr: leastPaddr(c), size, count: 1, prot: plainProt(c, size) })
        findPage(session, iovaOf(geometry, offset), size)
        session.apply({ op: 'unmap', offset, size, count: 1, gather: 'own' })
      }
    }
  })
  session.table.free()
  return undefined
}

function findPage({ table, c }: Session, iova: bigint, size: Size): void {
  const { format } = c
  const { raw, read } = given(c, table.regs)
  const roots = format.rootsFromRegs(raw, read).filter(({ first, last }) => iova >= first && iova <= last)
  const [root] = roots
  if (root === undefined) throw new Fault('the raw registers lead to no table that translates the address', { iova })
  same('tables that translate the address, by the raw registers', roots.length, 1, { iova })
  const leaf = walkAddress(format.geometry(root.params), root.roots, table.readMemory, iova).at(-1)
  same('type of what is found by the raw registers', leaf?.type, 'leaf', { iova })
  if (leaf?.type !== 'leaf') return
  const own = decode(c.geometry, size.node, leaf.raw)
  same('paddr of what is found by the raw registers', leaf.paddr, own.type === 'leaf' ? own.paddr : undefined, { iova, entry: leaf })
  const grants = format.prot(leaf.raw, leaf.kind, root.context)
  same('what the leaf grants, by the raw registers', grants, format.prot(leaf.raw, leaf.kind, table.context), { iova, entry: leaf })
}
