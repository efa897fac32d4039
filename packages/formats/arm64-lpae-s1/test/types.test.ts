/** What the types of the format promise; checked by the compiler, together with the other tests' types. */
import { type AnyFmt, type ConfigOf, type ContextOf, type HardwareOf, IoPageTable, type ParamsOf, type RegsOf } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, expectTypeOf, test } from 'vitest'
import {
  type ArmLpaeS1Config,
  type ArmLpaeS1Context,
  type ArmLpaeS1Hardware,
  type ArmLpaeS1Params,
  type ArmLpaeS1Quirk,
  type ArmLpaeS1Regs,
  type ArmLpaeTcr,
  arm64LpaeS1,
} from '../src/index.ts'

type Fmt = typeof arm64LpaeS1
const REQUEST = { pgsizeBitmap: 0x1000n, ias: 48, oas: 48 }

test('registers, configuration, parameters and context are typed by the format', () => {
  expectTypeOf<RegsOf<Fmt>>().toEqualTypeOf<ArmLpaeS1Regs>()
  expectTypeOf<RegsOf<Fmt>['ttbr']>().toEqualTypeOf<bigint>()
  expectTypeOf<RegsOf<Fmt>['tcr']>().toEqualTypeOf<ArmLpaeTcr>()
  expectTypeOf<ConfigOf<Fmt>>().toEqualTypeOf<ArmLpaeS1Config>()
  expectTypeOf<NonNullable<ArmLpaeS1Config['quirks']>[number]>().toEqualTypeOf<ArmLpaeS1Quirk>()
  expectTypeOf<ArmLpaeS1Quirk>().toEqualTypeOf<'ARM_NS' | 'ARM_TTBR1' | 'ARM_OUTER_WBWA' | 'ARM_HD' | 'NO_WARN'>()
  expectTypeOf<HardwareOf<Fmt>>().toEqualTypeOf<ArmLpaeS1Hardware>()
  expectTypeOf<ParamsOf<Fmt>>().toEqualTypeOf<ArmLpaeS1Params>()
  expectTypeOf<ContextOf<Fmt>>().toEqualTypeOf<ArmLpaeS1Context>()
  expectTypeOf(arm64LpaeS1).toExtend<AnyFmt>()
})

test("a table's registers and configuration have those types", () => {
  const table = IoPageTable.createRaw(arm64LpaeS1, { ...REQUEST, allocator: new PtPool({ base: 0n, size: 4096 }), quirks: ['ARM_HD'] })
  expectTypeOf(table).toEqualTypeOf<IoPageTable<Fmt>>()
  expectTypeOf(table.regs.mair).toEqualTypeOf<bigint>()
  expectTypeOf(table.regs.tcr.tsz).toEqualTypeOf<number>()
  expectTypeOf(table.config.quirks).toEqualTypeOf<readonly ArmLpaeS1Quirk[]>()
  expectTypeOf(table.config.lpa2).toEqualTypeOf<boolean>()
  expectTypeOf(table.context.mair).toEqualTypeOf<bigint>()
  expect(table.regs.tcr.tsz).toBe(16)
})

test('what is wrong is a type error, and refused', () => {
  const allocator = new PtPool({ base: 0n, size: 4096 })
  // @ts-expect-error a quirk of the short-descriptor format
  expect(() => IoPageTable.createRaw(arm64LpaeS1, { ...REQUEST, allocator, quirks: ['NO_PERMS'] })).toThrow(/NO_PERMS/)
  // @ts-expect-error the bitmap is a bigint
  expect(() => IoPageTable.createRaw(arm64LpaeS1, { ...REQUEST, allocator, pgsizeBitmap: 0x1000 })).toThrow(/pgsizeBitmap/)
  // @ts-expect-error nothing without an allocator
  expect(() => IoPageTable.createRaw(arm64LpaeS1, REQUEST)).toThrow(/allocator/)
  // @ts-expect-error registers of others
  expect(arm64LpaeS1.regs(arm64LpaeS1.configure(REQUEST), [0n], 'L0').nmrr).toBeUndefined()
})
