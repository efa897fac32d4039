/** Fault status registers of ARMv7: Arm Architecture Reference Manual DDI 0406C, B3.13 and B4.1.51 (DFSR), B4.1.96 (IFSR). */
import { type FaultType, type Field, field, splitField } from '@io-pgtable/core'
import { longStatus, type Status } from './arm64.ts'
import { bit, checkedWord, type FaultReport, fieldsOf, small } from './report.ts'

const MANUAL = 'Arm Architecture Reference Manual DDI 0406C, B3.13.3, DFSR and IFSR'

const at = (name: string, level?: number, type?: FaultType): Status => ({
  name,
  ...(level !== undefined && { level }),
  ...(type !== undefined && { type }),
})

/** FS[4:0] of short descriptors (table B3-23). A section is of level 1, a page of level 2. */
const SHORT: Readonly<Record<number, Status>> = {
  1: at('alignment fault', undefined, 'misaligned'),
  2: at('debug event'),
  3: at('access flag fault, section', 1, 'access-flag'),
  4: at('fault of an instruction cache maintenance'),
  5: at('translation fault, section', 1, 'translation'),
  6: at('access flag fault, page', 2, 'access-flag'),
  7: at('translation fault, page', 2, 'translation'),
  8: at('synchronous external abort, not on a walk'),
  9: at('domain fault, section', 1, 'domain'),
  11: at('domain fault, page', 2, 'domain'),
  12: at('synchronous external abort on a walk, level 1', 1, 'walk-abort'),
  13: at('permission fault, section', 1, 'permission'),
  14: at('synchronous external abort on a walk, level 2', 2, 'walk-abort'),
  15: at('permission fault, page', 2, 'permission'),
  16: at('TLB conflict abort'),
  20: at('lockdown: implementation defined'),
  22: at('asynchronous external abort'),
  24: at('asynchronous parity error'),
  25: at('synchronous parity error, not on a walk'),
  26: at('coprocessor abort: implementation defined'),
  28: at('synchronous parity error on a walk, level 1', 1, 'walk-abort'),
  30: at('synchronous parity error on a walk, level 2', 2, 'walk-abort'),
}

const SECTION = { section: 'B4.1.51' }
const COMMON: readonly Field[] = [
  field('LPAE', 9, 9, 'the table format', { ...SECTION, values: { 0: 'short descriptors', 1: 'long descriptors' } }),
  field('WnR', 11, 11, 'write, of DFSR', { ...SECTION, values: { 0: 'read', 1: 'write' } }),
  field('ExT', 12, 12, 'external abort type', SECTION),
  field('CM', 13, 13, 'cache maintenance, of DFSR', SECTION),
  field('LNX_PF', 31, 31, 'no bit of the hardware: Linux marks a prefetch abort with it', {}),
]
const SHORT_FIELDS: readonly Field[] = [
  splitField(
    'FS',
    [
      [10, 10, 4],
      [3, 0, 0],
    ],
    'fault status',
    { ...SECTION, values: Object.fromEntries(Object.entries(SHORT).map(([code, { name }]) => [code, name])) },
  ),
  field('Domain', 7, 4, 'the domain, of DFSR', SECTION),
  ...COMMON,
]
const LONG_FIELDS: readonly Field[] = [
  field('STATUS', 5, 0, 'fault status', {
    ...SECTION,
    values: Object.fromEntries(Array.from({ length: 64 }, (_, code) => [code, longStatus(code).name])),
  }),
  ...COMMON,
]

/** Decodes DFSR or IFSR, and FAR where it is known. Bit 31, as Linux prints it, tells a prefetch abort. @throws `EINVAL` */
export function decodeArmv7Fault([fsr = 0n, far]: readonly bigint[]): FaultReport {
  const raw = checkedWord('fault armv7', fsr, 32)
  const isLong = bit(raw, 9)
  const code = isLong ? small(raw, 5, 0) : small(raw, 3, 0) + 16 * small(raw, 10, 10)
  const { name, type, level } = isLong ? longStatus(code) : (SHORT[code] ?? at(`reserved status 0x${code.toString(16)}`))
  const isPrefetch = bit(raw, 31)
  const access = isPrefetch ? 'execute' : bit(raw, 11) ? 'write' : 'read'
  const ofTables = type !== undefined && type !== 'misaligned'
  return {
    kind: 'armv7',
    manual: MANUAL,
    name,
    explanation: [
      name,
      ...(bit(raw, 13) ? ['by a cache maintenance instruction, which counts as a write'] : []),
      ...(type === 'domain' || (type === 'permission' && !isLong) ? [`domain ${small(raw, 7, 4)}`] : []),
      ...(isPrefetch || bit(raw, 11) ? [] : ['a read, if this is DFSR; of IFSR, an instruction fetch']),
    ].join('; '),
    facts: isLong ? {} : { domain: small(raw, 7, 4) },
    access: { ...(far !== undefined && { iova: far }), type: access },
    fault: { ...(type !== undefined && { type }), ...(level !== undefined && { level }), ...(ofTables && { stage: 1 as const }) },
    ...(ofTables && { codes: isLong ? { FSC: code } : { FS: code } }),
    ...fieldsOf(raw, isLong ? LONG_FIELDS : SHORT_FIELDS),
  }
}
