import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { Prot } from '@io-pgtable/core'
import { describe, expect, test } from 'vitest'
import { hindsight } from '../src/fault/hindsight.ts'
import { decodeRiscvFault } from '../src/fault/riscv.ts'
import { decodeSmmuv3Event } from '../src/fault/smmuv3.ts'
import { decodeVtdFault } from '../src/fault/vtd.ts'
import { translate } from '../src/leaves/translate.ts'
import { Subject } from './subject.ts'

describe('SMMUv3 events (IHI 0070, 7.3)', () => {
  test('F_TRANSLATION, as four doublewords and as eight words', () => {
    // StreamID 8, SubstreamID 3, read, privileged, class IN, stage 1
    const words = [0x0000_0008_0000_3810n, 0x0000_020a_0000_0000n, 0xffff_ebba_0123n, 0n]
    const halves = words.flatMap((word) => [word & 0xffff_ffffn, word >> 32n])
    const record = decodeSmmuv3Event(words)
    expect(record).toMatchObject({ name: 'F_TRANSLATION', code: 0x10, sid: 8, pasid: 3, iova: 0xffff_ebba_0123n, stage: 1, stalled: false })
    expect(record.access).toEqual({ write: false, execute: false, privileged: true })
    expect(record.reserved).toBe(0n)
    expect(decodeSmmuv3Event(halves)).toEqual(record)
  })

  test('F_PERMISSION of stage 2, stalled, a write', () => {
    const record = decodeSmmuv3Event([0x0000_0018_0000_0013n, 0x0000_0280_8000_0042n, 0x1000n, 0x000f_8000_1000n])
    expect(record).toMatchObject({ name: 'F_PERMISSION', sid: 0x18, stage: 2, stalled: true, ipa: 0xf_8000_1000n })
    expect(record.access).toMatchObject({ write: true })
    expect(record).not.toHaveProperty('pasid')
  })

  test.each([
    [0x02n, 'C_BAD_STREAMID', false, false],
    [0x03n, 'F_STE_FETCH', false, true],
    [0x09n, 'F_CD_FETCH', false, true],
    [0x0bn, 'F_WALK_EABT', true, true],
    [0x24n, 'E_PAGE_REQUEST', true, false],
  ])('event %s: %s', (code, name, hasInput, hasFetch) => {
    const record = decodeSmmuv3Event([code, 0n, 0x5000n, 0x0008_0000_0040n])
    expect([record.name, record.iova, record.fetch]).toEqual([name, hasInput ? 0x5000n : undefined, hasFetch ? 0x8_0000_0040n : undefined])
  })

  test('wrong words', () => {
    expect(() => decodeSmmuv3Event([1n, 2n])).toThrow(/EINVAL: fault smmuv3: 2 words: 4 of 64 bits or 8 of 32 expected/)
    expect(() => decodeSmmuv3Event([1n << 64n, 0n, 0n, 0n])).toThrow(/a word of 64 bits expected/)
  })
})

describe('VT-d fault records (11.4.14)', () => {
  test('a write without permission', () => {
    const record = decodeVtdFault([0xffeb_c000n, 0x8000_0005_0000_0008n])
    expect(record).toMatchObject({
      code: 5,
      meaning: 'a write without permission',
      sid: 8,
      iova: 0xffeb_c000n,
      granule: 4096,
      access: { write: true },
    })
  })

  test('a read with a PASID', () => {
    const record = decodeVtdFault([0x1000n, 0xc000_1271_e000_0010n])
    expect(record).toMatchObject({ code: 0x71, meaning: 'scalable mode: the first-stage tables', sid: 0x10, pasid: 0x12 })
    expect(record.access).toEqual({ write: false, execute: true, privileged: true })
  })

  test('an interrupt has no address', () => {
    const record = decodeVtdFault([0x0005_0000_0000_0000n, 0x8000_0022_0000_0010n])
    expect(record).not.toHaveProperty('iova')
    expect(record.meaning).toMatch(/interrupt remapping entry is not present/)
  })

  test('an empty register says so', () => {
    expect(decodeVtdFault([0n, 0n]).meaning).toMatch(/F is 0/)
  })
})

describe('RISC-V fault records', () => {
  test('a read page fault of a process', () => {
    const record = decodeRiscvFault([0x0000_2a0b_0000_500dn, 0n, 0x4000_1000n, 0n])
    expect(record).toMatchObject({ code: 13, meaning: 'read page fault', sid: 0x2a, pasid: 5, iova: 0x4000_1000n })
    expect(record.access).toEqual({ write: false, execute: false, privileged: true })
  })

  test('a guest page fault has a guest address', () => {
    const record = decodeRiscvFault([0x0000_010c_0000_0017n, 0n, 0x1234n, 0x8000_2003n])
    expect(record).toMatchObject({ code: 23, stage: 2, ipa: 0x8000_2000n, access: { write: true } })
  })

  test('a directory fault without a transaction has no address', () => {
    expect(decodeRiscvFault([0x0000_0100_0000_0102n, 0n, 0x1234n, 0n])).not.toHaveProperty('iova')
  })
})

describe('hindsight', () => {
  const subject = new Subject(arm64LpaeS1, { pgsizeBitmap: 0x1000n, ias: 39, oas: 40 }).map(
    0x1000n,
    0x8000_0000n,
    0x1000,
    Prot.READ | Prot.NOEXEC,
  )
  const say = (iova: bigint, access: object): string => hindsight(subject.tables(), translate(subject.tables(), iova), access)

  test.each([
    [0x1000n, { write: true }, /the leaf grants READ NOEXEC.*: no writes/],
    [0x1000n, { write: false, execute: true }, /no execution/],
    [0x1000n, { write: false }, /allow this access now/],
    [0x9000n, { write: false }, /the walk ends at level 3/],
  ])('%s %s', (iova, access, words) => {
    expect(say(iova, access)).toMatch(words)
  })
})
