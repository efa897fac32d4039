/** TCR, TTBR and the way back, for every granule, half and size of addresses. */
import { IoPgtableError, pgsizeBitmap, SZ_4K, SZ_16K, SZ_64K } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { type ArmLpaeS1Config, type ArmLpaeS1Hardware, arm64LpaeS1 } from '../src/index.ts'

const bits = (value: bigint, hi: number, lo: number): number => Number((value >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n))

/** Codes of DDI 0487 D24.2: TG0, TG1, IPS. */
const TG: Record<number, readonly [number, number]> = { [SZ_4K]: [0, 2], [SZ_16K]: [2, 1], [SZ_64K]: [1, 3] }
const IPS: Record<number, number> = { 32: 0, 36: 1, 40: 2, 42: 3, 44: 4, 48: 5, 52: 6 }

const CASES = [SZ_4K, SZ_16K, SZ_64K].flatMap((granule) =>
  [25, 32, 36, 39, 42, 48, 52].flatMap((ias) => [32, 40, 48, 52].map((oas) => ({ granule, ias, oas }))),
)

test.each(CASES)('granule $granule, ias $ias, oas $oas: fields, the packed value, and back', ({ granule, ias, oas }) => {
  for (const ttbr1 of [false, true])
    for (const coherentWalk of [false, true])
      for (const outer of coherentWalk ? [false] : [false, true]) {
        const quirks: ArmLpaeS1Config['quirks'] = [
          ...(ttbr1 ? (['ARM_TTBR1'] as const) : []),
          ...(outer ? (['ARM_OUTER_WBWA'] as const) : []),
        ]
        const config = arm64LpaeS1.configure({ pgsizeBitmap: pgsizeBitmap(granule), ias, oas, quirks, coherentWalk })
        const geometry = arm64LpaeS1.geometry(arm64LpaeS1.params(config))
        const root = config.oas === 52 ? 0xa_1234_5678_0000n : 0x1234_0000n
        const { ttbr, tcr, tcrValue, mair } = arm64LpaeS1.regs(config, [root], geometry.top)
        const most = granule === SZ_64K ? 52 : 48
        const orgn = coherentWalk || outer ? 1 : 0
        const irgn = coherentWalk ? 1 : 0
        const sh = coherentWalk ? 3 : 2
        expect(tcr).toEqual({
          ips: IPS[Math.min(oas, most)],
          tg: TG[granule]?.[ttbr1 ? 1 : 0],
          sh,
          orgn,
          irgn,
          tsz: 64 - Math.min(ias, most),
        })
        const at = ttbr1 ? 16 : 0
        // TnSZ 5:0, EPDn 7, IRGNn 9:8, ORGNn 11:10, SHn 13:12, TGn 15:14, 16 higher for half 1; IPS 34:32
        expect([bits(tcrValue, at + 5, at), bits(tcrValue, at + 9, at + 8), bits(tcrValue, at + 11, at + 10)]).toEqual([
          tcr.tsz,
          irgn,
          orgn,
        ])
        expect([bits(tcrValue, at + 13, at + 12), bits(tcrValue, at + 15, at + 14), bits(tcrValue, 34, 32)]).toEqual([sh, tcr.tg, tcr.ips])
        expect([bits(tcrValue, 7, 7), bits(tcrValue, 23, 23)]).toEqual(ttbr1 ? [1, 0] : [0, 1])
        expect(bits(tcrValue, 63, 35)).toBe(0)
        expect(ttbr).toBe((root & 0xffff_ffff_ffffn) | ((root >> 48n) << 2n))
        const registers: ArmLpaeS1Hardware = { ...(ttbr1 ? { ttbr1: ttbr } : { ttbr0: ttbr }), tcr: tcrValue, mair }
        expect(arm64LpaeS1.rootsFromRegs(registers)).toEqual([
          {
            name: ttbr1 ? 'ttbr1' : 'ttbr0',
            params: { granule, ias: Math.min(ias, most), oas: Math.min(oas, most), lpa2: false, ttbr1 },
            roots: [root],
            first: ttbr1 ? 2n ** 64n - 2n ** BigInt(config.ias) : 0n,
            last: ttbr1 ? 2n ** 64n - 1n : 2n ** BigInt(config.ias) - 1n,
            context: { ...arm64LpaeS1.context(config), mair },
          },
        ])
      }
})

test('a half whose walks are disabled, or whose TTBR is not given, has no root, whatever its fields are', () => {
  const EPD0 = 1n << 7n
  const EPD1 = 1n << 23n
  const good = 16n | (16n << 16n) | (2n << 30n) | (5n << 32n)
  const names = (registers: Partial<ArmLpaeS1Hardware>): string[] =>
    arm64LpaeS1.rootsFromRegs({ tcr: good, mair: 0xffn, ...registers }).map(({ name }) => name)
  expect(names({ ttbr0: 0n, ttbr1: 0n })).toEqual(['ttbr0', 'ttbr1'])
  expect(names({ ttbr0: 0n, ttbr1: 0n, tcr: good | EPD0 })).toEqual(['ttbr1'])
  expect(names({ ttbr0: 0n, ttbr1: 0n, tcr: good | EPD1 })).toEqual(['ttbr0'])
  expect(names({ ttbr0: 0n, ttbr1: 0n, tcr: good | EPD0 | EPD1 })).toEqual([])
  expect(names({ ttbr1: 0n })).toEqual(['ttbr1'])
  expect(names({})).toEqual([])
  // TG1 0 and T1SZ 0 are reserved, but nobody walks there
  expect(names({ ttbr0: 0n, ttbr1: 0n, tcr: 16n | (5n << 32n) | EPD1 })).toEqual(['ttbr0'])
})

test('codes that no hardware accepts are EINVAL, with the register and its value', () => {
  const cases: [string, Partial<ArmLpaeS1Hardware>][] = [
    ['TCR.TG0', { ttbr0: 0n, tcr: 16n | (3n << 14n) }],
    ['TCR.TG1', { ttbr1: 0n, tcr: 16n << 16n }],
    ['TCR.IPS', { ttbr0: 0n, tcr: 16n | (7n << 32n) }],
    ['TCR.T0SZ', { ttbr0: 0n, tcr: 0n }],
    ['TCR.T0SZ', { ttbr0: 0n, tcr: 49n }],
    ['TCR.T0SZ', { ttbr0: 0n, tcr: 48n | (1n << 14n) }],
    ['TCR.T1SZ', { ttbr1: 0n, tcr: (63n << 16n) | (2n << 30n) }],
  ]
  for (const [name, registers] of cases) {
    const hardware = { tcr: 0n, mair: 0n, ...registers }
    try {
      arm64LpaeS1.rootsFromRegs(hardware)
      expect.unreachable(name)
    } catch (error) {
      if (!(error instanceof IoPgtableError)) throw error
      expect([error.code, error.op, error.value]).toEqual(['EINVAL', 'rootsFromRegs', hardware.tcr])
      expect(error.message).toContain(name)
    }
  }
})
