/** The declaration by itself: its laws, every field of the manual, VTCR both ways. */
import { decode, fieldValues, type LevelNode, Prot } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { checkLaws } from '../../arm-lpae/test/laws.ts'
import { type Arm32LpaeS2Config, arm32LpaeS2 } from '../src/index.ts'

checkLaws({
  fmt: arm32LpaeS2,
  hardware: ({ vttbr, vtcrValue }, { quirks = [] }) =>
    vtcrValue === undefined ? undefined : { vttbr, vtcr: vtcrValue, fwb: quirks.includes('ARM_S2FWB') },
  kept: (prot) => (prot & Prot.MMIO ? prot & ~Prot.CACHE : prot) & ~Prot.PRIV,
})

const BASE: Arm32LpaeS2Config = { pgsizeBitmap: 0x4020_1000n, ias: 40, oas: 40 }
const geometry = arm32LpaeS2.geometry({ ias: 40, oas: 40, startLevel: 1, fwb: false })

function at(level: number, raw: bigint): ReturnType<typeof decode> {
  return decode(geometry, geometry.nodes.find((node) => node.level === level) as LevelNode, raw)
}

test('a page has all fields of B3.6.2', () => {
  const each: readonly (readonly [string, bigint, bigint])[] = [
    ['MemAttr', 2n, 15n],
    ['HAP', 6n, 3n],
    ['SH', 8n, 3n],
    ['AF', 10n, 1n],
    ['DBM', 51n, 1n],
    ['Contiguous', 52n, 1n],
    ['XN', 53n, 3n],
    ['Software', 55n, 15n],
    ['Ignored', 59n, 31n],
  ]
  const none = Object.fromEntries(each.map(([name]) => [name, 0n]))
  for (const [name, bit, value] of each) {
    const raw = 3n | (value << bit)
    expect(fieldValues(at(3, raw).kind, raw)).toEqual({ ...none, [name]: value })
  }
})

test('no nG, no hierarchical attributes, no address bits above 39', () => {
  expect(at(3, 3n | (1n << 11n) | (1n << 40n))).toMatchObject({ reserved: (1n << 11n) | (1n << 40n) })
  expect(at(1, 0xab_cdef_0003n | (1n << 63n))).toMatchObject({ type: 'table', next: 0xab_cdef_0000n, reserved: 1n << 63n })
})

test.each([
  [BASE, { ps: 2, tg: 0, sh: 3, orgn: 1, irgn: 1, sl: 1, tsz: 24 }, 0x8000_3558n],
  [{ ...BASE, ias: 32 }, { ps: 2, tg: 0, sh: 3, orgn: 1, irgn: 1, sl: 1, tsz: 32 }, 0x8000_3540n],
  [{ ...BASE, ias: 25, coherentWalk: false }, { ps: 2, tg: 0, sh: 2, orgn: 0, irgn: 0, sl: 0, tsz: 39 }, 0x8000_2007n],
  [{ ...BASE, ias: 33 }, { ps: 2, tg: 0, sh: 3, orgn: 1, irgn: 1, sl: 1, tsz: 31 }, 0x8000_355fn],
  [{ ...BASE, oas: 36 }, { ps: 1, tg: 0, sh: 3, orgn: 1, irgn: 1, sl: 2, tsz: 24 }, undefined],
  [{ ...BASE, ias: 24 }, { ps: 2, tg: 0, sh: 3, orgn: 1, irgn: 1, sl: 0, tsz: 40 }, undefined],
])('%o: VTCR as Linux has it, and with a signed T0SZ as AArch32 has it', (config, vtcr, vtcrValue) => {
  const agreed = arm32LpaeS2.configure(config)
  expect(arm32LpaeS2.regs(agreed, [0x80_0000_0000n], 'L1')).toEqual({ vttbr: 0x80_0000_0000n, vtcr, vtcrValue })
})

describe('rootsFromRegs', () => {
  const found = (vtcr: bigint, vttbr = 0x0055_0012_4808_30ffn) => arm32LpaeS2.rootsFromRegs({ vttbr, vtcr })[0]
  test('VMID is not of the address; a concatenated root is aligned to all of it', () => {
    expect(found(0x8000_3558n)).toEqual({
      name: 'vttbr',
      params: { ias: 40, oas: 40, startLevel: 1, fwb: false },
      roots: [0x12_4808_2000n],
      first: 0n,
      last: (1n << 40n) - 1n,
      context: { fwb: false, xnx: false },
    })
    // 34 bits from level 2: 16 tables; 32 bits from level 1: four entries
    expect(found(0x8000_351en)).toMatchObject({ params: { ias: 34, startLevel: 2 }, roots: [0x12_4808_0000n] })
    expect(found(0x8000_3540n)).toMatchObject({ params: { ias: 32, startLevel: 1 }, roots: [0x12_4808_30e0n] })
  })
  test.each([
    // S without the sign of T0SZ; SL0 2; level 2 for 35 bits; level 1 for 30
    ['VTCR.S', 0x8000_3548n],
    ['VTCR.SL0', 0x8000_3580n],
    ['VTCR.SL0', 0x8000_351dn],
    ['VTCR.SL0', 0x8000_3542n],
  ])('%s is refused', (name, vtcr) => {
    expect(() => found(vtcr)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining(name) }))
  })
})

test.each([
  [{ ...BASE, ias: 41 }, /ias 41.*16 to 40/],
  [{ ...BASE, oas: 44 }, /oas 44.*at most 40/],
])('%o is refused and the limit named', (config, message) => {
  expect(() => arm32LpaeS2.configure(config)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) }))
})
