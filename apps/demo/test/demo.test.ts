import { MemoryImage } from '@io-pgtable/inspect'
import { describe, expect, test } from 'vitest'
import { runDemo } from '../src/demo.ts'
import { openDump } from '../src/dumps.ts'
import { readArmv7 } from '../src/kernel-armv7.ts'
import { readSmmu } from '../src/kernel-smmu.ts'
import { renderDemo } from '../src/render.ts'
import type { SmmuReport } from '../src/report.ts'
import { toJson } from '../src/report.ts'
import { colorsFor } from '../src/text.ts'
import { DUMPS, errorOf, flip, placeOf, spoilt } from './support.ts'

const report = runDemo(DUMPS)

describe('the whole demo', () => {
  test('passes, with the counts that the dumps have', () => {
    expect(report.ok).toBe(true)
    expect(report.smmuv3.entries).toEqual({
      total: 256,
      abort: 251,
      bypass: 0,
      'stage 1': 5,
      'stage 2': 0,
      'stages 1 and 2': 0,
      invalid: 0,
    })
    expect(report.totals).toEqual({
      streams: 5 + 9,
      leaves: 3108,
      identical: 3108,
      mappings: 3108 + 5347 + 5088 + 307 + 8533 + 13_663,
      differences: 0,
      findings: 0,
      leakedBytes: 0,
      checks: 44,
      passed: 44,
    })
  })

  test('every stream has its leaves', () => {
    expect(report.smmuv3.streams.map(({ sid, leaves, ranges }) => [sid, leaves, ranges.length])).toEqual([
      [8, 322, 261],
      [16, 259, 259],
      [24, 3, 3],
      [32, 1753, 16],
      [40, 771, 173],
    ])
    for (const { facts, mappings, rebuilt } of report.smmuv3.streams) {
      for (const { differing, differences } of [facts, mappings, rebuilt, rebuilt.registers])
        expect([differing, differences]).toEqual([0, []])
    }
  })

  test('ranges cover the leaves exactly', () => {
    for (const { ranges, leaves } of [...report.smmuv3.streams, ...report.armv7.roots, ...report.vtd.streams]) {
      expect(ranges.reduce((sum, { pgcount }) => sum + pgcount, 0)).toBe(leaves)
      for (const { first, last, pgsize, pgcount } of ranges) expect(last - first + 1n).toBe(BigInt(pgsize) * BigInt(pgcount))
    }
  })

  test('JSON says the same', () => {
    const json = JSON.parse(toJson(report))
    expect(json.totals).toEqual(report.totals)
    expect(json.smmuv3.streams[0]).toMatchObject({ sid: 8, ttb: '0x48154000', leaves: 322 })
    expect(json.aarch64.roots.map(({ leaves }: { leaves: number }) => leaves)).toEqual([307, 8533])
    expect(json.vtd.streams[1]).toMatchObject({ sid: 8, root: '0x560f000', leaves: 321 })
    expect(json.driver[0].spanningUnmap.events[0]).toEqual({ call: 'flushWalk', iova: '0x0', size: 2 ** 21, granule: 4096 })
  })

  test('the text is plain without colours, and fits', () => {
    const text = renderDemo(report, { colors: colorsFor(false), ranges: Number.POSITIVE_INFINITY })
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what is looked for
    expect(text).not.toMatch(/\x1b|undefined|NaN|\[object/)
    expect(text.split('\n').filter((line) => line.length > 110)).toEqual([])
    expect(text).toContain('3,108 of 3,108 descriptors bit-identical')
    expect(text).toContain('0xff5c0000–0xff5fffff')
    expect(text).toContain('0xffff80000b000000–…0bf5ffff')
    expect(text).toContain('Stream 250: 1 range')
    expect(text).not.toContain('--all')
  })
})

/** Stream 24 alone, which is quickly read: the other entries of the stream table are made invalid. */
function stream24(): typeof DUMPS.smmuv3 {
  const file = JSON.parse(DUMPS.smmuv3.expected)
  const others = [8n, 16n, 32n, 40n].map((sid) => 0x7ac6_0000n + 64n * sid)
  const small = spoilt(DUMPS.smmuv3, (image) => others.forEach((ste) => void flip(image, ste, 1n)))
  return { ...small, expected: JSON.stringify({ ...file, streams: file.streams.filter(({ sid }: { sid: number }) => sid === 24) }) }
}

const SMALL = stream24()
/** The leaf of stream 24 at IOVA 0xffffc000. */
const LEAF = 0x4807_e000n + 0x1fcn * 8n

function spoiltLeaf(bits: bigint): { smmu: SmmuReport; stream: SmmuReport['streams'][number] | undefined } {
  const smmu = readSmmu(spoilt(SMALL, (image) => flip(image, LEAF, bits)))
  return { smmu, stream: smmu.streams[0] }
}

test('the small image is sound', () => {
  expect(spoiltLeaf(0n).smmu.checks.filter(({ ok }) => !ok)).toEqual([])
})

describe('one bit of one leaf', () => {
  test('any bit is a difference', () => {
    for (let bit = 0n; bit < 64n; bit++) {
      const { smmu, stream } = spoiltLeaf(1n << bit)
      expect(stream?.mappings.differing, `bit ${bit}`).toBeGreaterThan(0)
      expect(
        smmu.checks.some(({ ok }) => !ok),
        `bit ${bit}`,
      ).toBe(true)
    }
  })

  test('the difference is named, and the whole report fails', () => {
    const { stream } = spoiltLeaf(1n << 7n)
    expect(stream?.mappings).toMatchObject({ expected: 3, identical: 2, differing: 1 })
    expect(stream?.mappings.differences).toEqual([
      { where: '0xffffc000', column: 'descriptor', expected: '0x4807bf47', got: '0x4807bfc7' },
      { where: '0xffffc000', column: 'ap', expected: '1', got: '3' },
    ])
    const failed = runDemo({ ...DUMPS, smmuv3: spoilt(DUMPS.smmuv3, (image) => flip(image, LEAF, 1n << 7n)) })
    expect([failed.ok, failed.totals.differences, failed.totals.passed]).toEqual([false, 1, 43])
    const text = renderDemo(failed, { colors: colorsFor(false), ranges: 1 })
    expect(text).toMatch(/✘ +stream 24 mappings, 0xffffc000 +ap: expected 1 +got 3/)
  })

  test('what prot cannot express is not rebuilt, and the report says so', () => {
    for (const [bit, name] of [
      [52n, 'Contiguous'],
      [55n, 'Software'],
      [10n, 'AF'],
    ] as const) {
      const { stream } = spoiltLeaf(1n << bit)
      expect(stream?.rebuilt.identical, name).toBeLessThan(3)
      expect(stream?.rebuilt.differences.length, name).toBeGreaterThan(0)
    }
  })

  test('a domain, too, counts', () => {
    const memory = spoilt(DUMPS.armv7, (image) => flip(image, 0x41ca_0000n, 1n << 6n))
    const { roots, checks } = readArmv7(memory)
    expect(roots[0]?.mappings.differences[0]).toMatchObject({ where: '0x10000', column: 'domain', expected: '1', got: '3' })
    expect(checks.map(({ ok }) => ok)).toEqual([true, false, true, true])
  })
})

describe('memory that is not there', () => {
  test('a table in unknown memory is a finding', () => {
    const smmu = readSmmu(spoilt(SMALL, (image) => flip(image, 0x4815_c000n, 1n << 40n)))
    expect(smmu.findings).toMatchObject([{ message: '4096 bytes of a table lie in unknown memory', value: 0x100_4808_0000n }])
    expect(smmu.findings[0]?.place).toMatch(/^stream 24, 0x/)
    expect(smmu.checks.find(({ name }) => name.startsWith('nothing unknown'))?.ok).toBe(false)
  })

  test('a table that points to itself ends', () => {
    const root = 0x4815_c000n
    const smmu = readSmmu(
      spoilt(SMALL, (image) => {
        const view = new DataView(image.file.buffer, placeOf(image, root))
        for (let i = 0; i < 512; i++) view.setBigUint64(i * 8, root | 3n, true)
      }),
    )
    expect(smmu.findings.some(({ message }) => message.startsWith('ended: more descriptors'))).toBe(true)
  })

  test('a context descriptor with reserved codes is a finding', () => {
    const smmu = readSmmu(spoilt(SMALL, (image) => flip(image, 0x4814_b000n, 3n << 6n)))
    expect(smmu.findings[0]).toMatchObject({ place: 'stream 24' })
    expect(smmu.findings[0]?.message).toMatch(/EINVAL.*TG0/)
    expect(smmu.streams).toEqual([])
  })

  test('switched off tables are a finding', () => {
    const smmu = readSmmu(spoilt(SMALL, (image) => flip(image, 0x4814_b000n, 1n << 14n)))
    expect(smmu.findings[0]?.message).toBe('neither TTB0 nor TTB1 is walked (CD.EPD0, CD.EPD1)')
  })

  test('what this demo does not read is a finding: substreams, stage 2', () => {
    // STE of stream 24: S1CDMax, and Config 5 becomes 6
    const changed = (bits: bigint) => readSmmu(spoilt(SMALL, (image) => flip(image, 0x7ac6_0600n, bits)))
    const substreams = changed(1n << 59n)
    expect(substreams.findings).toMatchObject([{ place: 'stream 24', message: 'a table of context descriptors is not read by this demo' }])
    expect([substreams.streams, substreams.entries['stage 1']]).toEqual([[], 1])
    const stage2 = changed(3n << 1n)
    expect(stage2.findings).toMatchObject([{ place: 'stream 24', message: 'no format is given for arm32-stage2' }])
    expect([stage2.streams, stage2.entries['stage 2']]).toEqual([[], 1])
  })

  test('a second root, and an invalid descriptor, are findings', () => {
    // TTB1 becomes walked, with TG1 4 KiB and 48 bits
    const second = readSmmu(spoilt(SMALL, (image) => flip(image, 0x4814_b000n, (1n << 30n) | (2n << 22n) | (16n << 16n))))
    expect(second.findings.map(({ message }) => message)).toEqual(['TTB1 is in use and not read by this demo'])
    const invalid = readSmmu(spoilt(SMALL, (image) => flip(image, LEAF, 2n)))
    expect(invalid.findings).toMatchObject([{ place: 'stream 24, 0xffffc000', message: 'an invalid descriptor' }])
  })

  test('a stream that is missing fails, and one too many', () => {
    const expected = JSON.parse(DUMPS.smmuv3.expected)
    const fewer = { ...DUMPS.smmuv3, expected: JSON.stringify({ ...expected, streams: expected.streams.slice(1) }) }
    expect(readSmmu(fewer).checks.filter(({ ok }) => !ok).length).toBeGreaterThan(1)
    const gone = readSmmu(spoilt(DUMPS.smmuv3, (image) => flip(image, 0x7ac6_0600n, 1n)))
    expect(gone.checks[0]).toMatchObject({ ok: false, detail: '4 of 5' })
  })
})

describe('a bad file', () => {
  test('truncated memory is EBADMSG', async () => {
    let cut = new Uint8Array()
    spoilt(DUMPS.smmuv3, ({ file }) => {
      cut = file.slice(0, 100_000)
    })
    await expect(openDump('cut', cut, DUMPS.smmuv3.expected)).rejects.toMatchObject({ code: 'EBADMSG' })
  })

  test('another image has no streams', () => {
    const smmu = readSmmu({ ...DUMPS.smmuv3, image: new MemoryImage([]) })
    expect(smmu.streams).toEqual([])
    expect(smmu.checks.filter(({ ok }) => ok).map(({ name }) => name)).toEqual(['bytes leaked'])
    expect(DUMPS.smmuv3.image.known).toBeGreaterThan(0n)
  })

  test.each([
    ['no JSON', '{'],
    ['a list', '[]'],
    ['no registers', '{"what":"","kernel":""}'],
    ['a register that is none', JSON.stringify({ ...JSON.parse(DUMPS.smmuv3.expected), smmu: { STRTAB_BASE: '12' } })],
    ['other columns', JSON.stringify({ ...JSON.parse(DUMPS.smmuv3.expected), mappingColumns: ['iova'] })],
  ])('expected.json with %s is EBADMSG', (_name, expected) => {
    expect(errorOf(() => readSmmu({ ...DUMPS.smmuv3, expected })).code).toBe('EBADMSG')
  })

  test('registers that no SMMU accepts are EINVAL', () => {
    const file = JSON.parse(DUMPS.smmuv3.expected)
    const expected = JSON.stringify({ ...file, smmu: { ...file.smmu, STRTAB_BASE_CFG: '0x20210' } })
    expect(errorOf(() => readSmmu({ ...DUMPS.smmuv3, expected })).code).toBe('EINVAL')
  })
})
