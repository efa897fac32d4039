/** What the types of the format promise; checked by the compiler, together with the other tests' types. */
import type { AnyFmt, ConfigOf, HardwareOf, RegsOf } from '@io-pgtable/core'
import { expect, expectTypeOf, test } from 'vitest'
import { type ArmV7sConfig, type ArmV7sHardware, type ArmV7sQuirk, type ArmV7sRegs, armV7s } from '../src/index.ts'

test('registers and configuration are typed by the format', () => {
  expectTypeOf<RegsOf<typeof armV7s>>().toEqualTypeOf<ArmV7sRegs>()
  expectTypeOf<RegsOf<typeof armV7s>>().toEqualTypeOf<{
    readonly ttbr: bigint
    readonly tcr: number
    readonly nmrr: number
    readonly prrr: number
  }>()
  expectTypeOf<ConfigOf<typeof armV7s>>().toEqualTypeOf<ArmV7sConfig>()
  expectTypeOf<HardwareOf<typeof armV7s>>().toEqualTypeOf<ArmV7sHardware>()
  expectTypeOf<NonNullable<ArmV7sConfig['quirks']>[number]>().toEqualTypeOf<ArmV7sQuirk>()
  expectTypeOf<ArmV7sQuirk>().toEqualTypeOf<'ARM_NS' | 'NO_PERMS' | 'ARM_MTK_EXT' | 'ARM_MTK_TTBR_EXT'>()
  expectTypeOf(armV7s).toExtend<AnyFmt>()
})

test('a quirk of another format is a type error, and refused', () => {
  // @ts-expect-error ARM_HD belongs to LPAE
  expect(() => armV7s.configure({ pgsizeBitmap: 0x1000n, ias: 32, oas: 32, quirks: ['ARM_HD'] })).toThrow(/ARM_HD/)
  // @ts-expect-error the bitmap is a bigint
  expect(() => armV7s.configure({ pgsizeBitmap: 0x1000, ias: 32, oas: 32 })).toThrow(/pgsizeBitmap/)
})

test('there is no mair', () => {
  const regs = armV7s.regs(armV7s.configure({ pgsizeBitmap: 0x1000n, ias: 32, oas: 32 }), [0n], 'level1')
  // @ts-expect-error LPAE has it
  expect(regs.mair).toBeUndefined()
})
