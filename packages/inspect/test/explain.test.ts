import { armV7s } from '@io-pgtable/arm-v7s'
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { type AnyFmt, decode, type LevelNode } from '@io-pgtable/core'
import { riscv64 } from '@io-pgtable/riscv64'
import { x8664 } from '@io-pgtable/x86-64'
import { x86Ept } from '@io-pgtable/x86-ept'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Explanation, explain, summary } from '../src/explain/explain.ts'
import { ruler } from '../src/explain/ruler.ts'

function at(format: AnyFmt, level: number, raw: bigint, config = 0): Explanation {
  const agreed = format.configure(format.configs[config]?.config ?? (format.configs[0] as AnyFmt['configs'][number]).config)
  const geometry = format.geometry(format.params(agreed))
  const node = geometry.nodes.find((each) => each.level === level) as LevelNode
  return explain(format, geometry, node, raw, format.context(agreed))
}

const codes = ({ problems }: Explanation): string[] => problems.map(({ code }) => code)

describe('explain', () => {
  test('a page of a real kernel', () => {
    const explanation = at(arm64LpaeS1, 3, 0x4460_1f47n)
    expect(explanation).toMatchObject({ type: 'leaf', kind: 'page', paddr: 0x4460_1000n, size: 4096, slots: 1, problems: [], reserved: 0n })
    expect(explanation.prot).toEqual(['READ', 'WRITE', 'CACHE'])
    const fields = new Map(explanation.fields.map((field) => [field.name, field]))
    expect(fields.get('AP')).toMatchObject({ bits: ['7:6'], value: 1n, meaning: 'read/write', section: 'D8.4.1' })
    expect(fields.get('output address')).toMatchObject({ bits: ['47:12'], value: 0x4460_1000n })
    expect(summary(explanation)).toBe('page → 0x44601000, 0x1000 bytes')
  })

  test('the ruler shows every bit, and whose it is', () => {
    expect(ruler(at(arm64LpaeS1, 3, 0x4460_1f47n))).toEqual([
      '63   59   55   51   47   43   39   35',
      '0000 0000 0000 0000 0000 0000 0000 0000',
      'abbb bccc cdef gh.. iiii iiii iiii iiii',
      '31   27   23   19   15   11   7    3',
      '0100 0100 0110 0000 0001 1111 0100 0111',
      'iiii iiii iiii iiii iiii jkll mmno oo==',
    ])
  })

  test.each([
    ['a bit below the size of a block', arm64LpaeS1, 2, 0x4000_1741n, ['misaligned-block']],
    ['nT of a block', arm64LpaeS1, 2, 0x4001_0741n, []],
    ['a block at the last level', arm64LpaeS1, 3, 0x4000_0741n, ['illegal-kind']],
    ['bit 4 of a page table descriptor, which every stock kernel sets', armV7s, 1, 0x4000_0011n, []],
    ['bit 9 of it', armV7s, 1, 0x4000_0201n, []],
    ['a superpage whose address is not aligned, a kind of its own', riscv64, 1, 0x2000_04cfn, ['illegal-kind']],
    ['nothing', x8664, 1, 0n, []],
  ] as const)('%s', (_, format, level, raw, expected) => {
    expect(codes(at(format, level, raw))).toEqual(expected)
  })

  test.each([
    [0x4000_0002n, 2, 'illegal-kind', /^misconfiguration: write without read: /],
    [0x4000_0037n, 2, 'misconfigured', /^misconfiguration: bits 6:3 must be zero: set: 5:4 \(0x30\)$/],
    [0x4000_001fn, 1, 'reserved-value', /^misconfiguration: EMT \(bits 5:3\) has the reserved value 3$/],
    [0x4000_0037n, 1, undefined, /^$/],
  ] as const)('EPT: %i at level %i is %s', (raw, level, code, message) => {
    const { problems } = at(x86Ept, level, raw)
    expect(problems.map((problem) => problem.code)).toEqual(code === undefined ? [] : [code])
    expect(problems[0]?.message ?? '').toMatch(message)
  })
  test('a value that a field reserves', () => {
    expect(codes(at(riscv64, 0, 0x6000_0000_2000_00cfn, 3))).toEqual(['reserved-value'])
  })

  test('a table, and the level that it leads to', () => {
    expect(at(x8664, 4, 0x1000_0067n)).toMatchObject({ type: 'table', next: 0x1000_0000n, nextLevel: 3 })
  })

  test('every value explains, and its fields give its bits back', () => {
    const places = [arm64LpaeS1, armV7s, riscv64, x8664].flatMap((format: AnyFmt) => {
      const agreed = format.configure((format.configs[0] as AnyFmt['configs'][number]).config)
      const geometry = format.geometry(format.params(agreed))
      return geometry.nodes.map((node) => ({ format, geometry, node, context: format.context(agreed) }))
    })
    const anyBits = fc.oneof(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), fc.nat({ max: 4095 }).map(BigInt))
    fc.assert(
      fc.property(fc.constantFrom(...places), anyBits, ({ format, geometry, node, context }, bits) => {
        const raw = BigInt.asUintN(node.entryBytes * 8, bits)
        const { fields, type } = explain(format, geometry, node, raw, context)
        expect(type).toBe(decode(geometry, node, raw).type)
        for (const { pieces, value } of fields)
          for (const [hi, lo, low] of pieces)
            expect((value >> BigInt(low)) & ((1n << BigInt(hi - lo + 1)) - 1n)).toBe(
              (raw >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n),
            )
      }),
      { numRuns: 200 },
    )
  })
})
