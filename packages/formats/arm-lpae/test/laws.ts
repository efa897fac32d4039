/** What must hold of every long-descriptor format, more exactly than the conformance kit can say it; the tests of each call it. */
import { type AnyFmt, type ConfigOf, decode, deposit, type HardwareOf, inputRanges, ones, Prot, type RegsOf } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'

const PROTS = Array.from({ length: 64 }, (_, prot) => prot).filter((prot) => (prot & (Prot.READ | Prot.WRITE)) !== 0)

/** How a format's laws are told from another's. */
export interface Laws<F extends AnyFmt> {
  readonly fmt: F
  /** The registers as hardware holds them; undefined where it has no code for the configuration. */
  hardware(regs: RegsOf<F>, config: ConfigOf<F>): HardwareOf<F> | undefined
  /** What a leaf says of a mapping that was made with `prot`. */
  kept(prot: Prot): Prot
}

export function checkLaws<F extends AnyFmt>({ fmt, hardware, kept }: Laws<F>): void {
  describe.each(fmt.configs.map(({ name, config }) => ({ name, config: config as ConfigOf<F> })))('$name', ({ config }) => {
    const agreed = fmt.configure(config)
    const geometry = fmt.geometry(fmt.params(agreed))
    const kinds = geometry.nodes.flatMap((node) => node.kinds.map((kind) => ({ at: `level ${node.level} ${kind.name}`, node, kind })))

    test.each(kinds)('$at: what is encoded is decoded; a leaf for every prot', ({ node, kind }) => {
      const address = ones(geometry.oas - 1) & ~BigInt(2 ** node.shift - 1)
      if (kind.type === 'table') {
        const next = ones(geometry.oas - 1) & ~ones(20)
        const raw = fmt.encodeTable(agreed, node, kind) | kind.set | deposit(next, kind.address)
        expect(decode(geometry, node, raw)).toMatchObject({ type: 'table', next, reserved: 0n, child: { level: node.level + 1 } })
      }
      if (kind.type !== 'leaf') return
      for (const prot of PROTS) {
        const raw = (fmt.encodeLeaf(agreed, node, kind, prot) ?? 0n) | kind.set | deposit(address, kind.address)
        expect(decode(geometry, node, raw)).toMatchObject({ type: 'leaf', kind, paddr: address, reserved: 0n, size: { slots: 1 } })
        expect(fmt.prot(raw, kind, fmt.context(agreed))).toBe(kept(prot))
      }
    })

    test('tables lie below 2^oas', () => {
      expect(geometry.tablesBelow).toBe(1n << BigInt(agreed.oas))
    })

    test('rootsFromRegs leads back to the root, the tree and what decoding needs', () => {
      const root = ones(geometry.oas - 1) & ~ones(21)
      const registers = hardware(fmt.regs(agreed, [root], geometry.top) as RegsOf<F>, agreed as ConfigOf<F>)
      if (registers === undefined) return
      const [found, ...more] = fmt.rootsFromRegs(registers)
      expect(more).toEqual([])
      expect(found).toMatchObject({ roots: [root], context: fmt.context(agreed) })
      const there = fmt.geometry(found?.params)
      expect({ ...there, oas: 0, tablesBelow: 0n, spaceBits: 0 }).toEqual({ ...geometry, oas: 0, tablesBelow: 0n, spaceBits: 0 })
      expect(inputRanges(there)).toEqual([{ first: found?.first, last: found?.last }])
    })
  })
}
