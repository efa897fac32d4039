/** Faults of the teaching format. */
import { ALWAYS, type AnyFmt, type Kind, type LeafKind, type Policy, Prot, when } from '@io-pgtable/core'
import { toy } from '../../src/toy.ts'
import { changed, type Mutant, rekinded, renoded, reshaped, without } from './mutant.ts'

const W = 1n << 2n
const D = 1n << 6n
const format = (fault: string, law: Mutant['law'], mutant: AnyFmt): Mutant => ({
  fault: `toy: ${fault}`,
  of: 'format',
  law,
  options: { format: mutant },
})
const encode: AnyFmt['encodeLeaf'] = toy.encodeLeaf as AnyFmt['encodeLeaf']
const dirtyPolicy = (dirty: NonNullable<Policy['dirty']>): AnyFmt =>
  changed(toy, { policy: (c) => ({ ...(toy as AnyFmt).policy(c), dirty }) }, 'dirty tracking')
/** The toy with a configuration that asks for more than there is. */
const greedy = { name: 'asks for more', config: { pgsizeBitmap: 0x1000n, ias: 40, oas: 40 } }

export const TOY_FORMAT_MUTANTS: readonly Mutant[] = [
  format('there are no configurations', 'format/declaration', changed(toy, { configs: [] })),
  format('FORMAT is a title', 'format/declaration', changed(toy, { FORMAT: 'Toy V1' })),
  format('no raw registers hold the table', 'format/declaration', without(toy, 'hardware')),
  format(
    'two levels have one number',
    'format/geometry',
    renoded(toy, 'L2', (node) => ({ ...node, level: 1 })),
  ),
  format(
    'configure drops quirks',
    'format/configuration',
    changed(toy, { configure: (c) => ({ ...(toy as AnyFmt).configure(c), quirks: [] }) }, 'dirty tracking'),
  ),
  format(
    'configure does not narrow the bitmap',
    'format/configuration',
    changed(toy, { configure: (c) => ({ ...(toy as AnyFmt).configure({ ...c, pgsizeBitmap: 0x1000n }), pgsizeBitmap: c.pgsizeBitmap }) }),
  ),
  format(
    'the index of the page table begins one bit too high',
    'format/geometry',
    renoded(toy, 'L2', (node) => ({ ...node, shift: 13 })),
  ),
  format(
    'the directory has an index bit too few',
    'format/geometry',
    renoded(toy, 'L1', (node) => ({ ...node, bits: 7 })),
  ),
  format(
    'tables are half as large as their entries need',
    'format/geometry',
    renoded(toy, 'L2', (node) => ({ ...node, tableBytes: 512 })),
  ),
  format(
    'configure does not limit ias',
    'format/geometry',
    changed(toy, { configure: (c) => ({ ...(toy as AnyFmt).configure(c), ias: c.ias }), configs: [greedy] }),
  ),
  format(
    'a large page is 8 descriptors',
    'format/configuration',
    rekinded(toy, 'large page', () => ({ sizes: [{ pgsize: 0x8000, slots: 8 }] })),
  ),
  format(
    'oas grows beyond what was asked for',
    'format/configuration',
    changed(toy, {
      configure: (c) => ({ ...(toy as AnyFmt).configure(c), oas: 32 }),
      configs: [{ name: '30 bits out', config: { pgsizeBitmap: 0x1000n, ias: 28, oas: 30 } }],
    }),
  ),
  format(
    'C stands where W does',
    'format/fields',
    rekinded(toy, 'page', (kind) => ({ fields: kind.fields.map((f) => (f.name === 'C' ? { ...f, pieces: [[2, 2, 0]] } : f)) })),
  ),
  format(
    'the address of a page has one piece too long',
    'format/fields',
    rekinded(toy, 'page', () => ({ address: [[31, 6, 12]] })),
  ),
  format(
    'an empty entry is not written as an empty one',
    'format/kinds',
    renoded(toy, 'L2', (node) => ({ ...node, empty: 1n })),
  ),
  format(
    'the match of empty entries looks at one bit of two',
    'format/kinds',
    rekinded(toy, 'empty', () => ({ match: when(2n, 0n) })),
  ),
  format(
    'entries point to multiples of 4 KiB, tables lie at those of 1 KiB',
    'format/geometry',
    rekinded(toy, 'table', () => ({ address: [[31, 12, 12]] })),
  ),
  format(
    'a bit of its address alone tells a table from a section',
    'format/kinds',
    rekinded(toy, 'section', () => ({ match: when(1n << 12n, 1n << 12n) })),
  ),
  format(
    'the last kind does not match everything',
    'format/kinds',
    rekinded(toy, 'reserved', () => ({ match: when(0xf0n, 0n) })),
  ),
  format(
    'empty by the order of the kinds alone',
    'format/kinds',
    renoded(toy, 'L2', (node) => ({
      ...node,
      kinds: [...node.kinds.filter((k: Kind) => k.type === 'leaf'), { type: 'empty', name: 'empty', match: ALWAYS, fields: [] }],
    })),
  ),
  format(
    'the address of a page lacks bit 20',
    'format/addresses',
    rekinded(toy, 'page', () => ({
      address: [
        [31, 21, 21],
        [19, 12, 12],
      ],
    })),
  ),
  format(
    'the address of a page says nothing of where its bits belong',
    'format/addresses',
    rekinded(toy, 'page', () => ({ address: [[31, 12, 0]] })),
  ),
  format(
    'there are more output address bits than descriptors carry',
    'format/addresses',
    changed(toy, {
      configure: (c) => ({ ...(toy as AnyFmt).configure(c), oas: c.oas }),
      configs: [{ name: '36 bits out', config: { pgsizeBitmap: 0x1000n, ias: 28, oas: 36 } }],
    }),
  ),
  format(
    'the address of a table lacks its highest bit',
    'format/addresses',
    rekinded(toy, 'table', () => ({ address: [[30, 10, 10]] })),
  ),
  format(
    'tables may lie where no descriptor can point to',
    'format/addresses',
    reshaped(toy, (g) => ({ ...g, tablesBelow: 1n << 36n })),
  ),
  format(
    'a section is shifted by one',
    'format/addresses',
    rekinded(toy, 'section', () => ({ address: [[31, 20, 21]] })),
  ),
  format(
    'W inverted',
    'format/attributes',
    changed(toy, {
      encodeLeaf: (c, node, kind, prot) => {
        const raw = encode(c, node, kind, prot)
        return raw === undefined ? undefined : raw ^ W
      },
    }),
  ),
  format(
    'W always',
    'format/attributes',
    changed(toy, {
      encodeLeaf: (c, node, kind, prot) => encode(c, node, kind, prot | Prot.WRITE),
    }),
  ),
  format(
    'an attribute stands in the address',
    'format/attributes',
    changed(toy, { encodeLeaf: (c, node, kind, prot) => (encode(c, node, kind, prot) ?? 0n) | (prot & Prot.CACHE ? 1n << 31n : 0n) }),
  ),
  format(
    'a size that an earlier one hides',
    'format/kinds',
    rekinded(toy, 'page', (kind) => ({
      sizes: [...(kind as LeafKind).sizes, { pgsize: 0x4000, slots: 4, match: when(1n << 7n, 1n << 7n) }],
    })),
  ),
  format(
    'a page of one bit combination has no kind, far above the low byte',
    'format/kinds',
    renoded(toy, 'L2', (node) => ({
      ...node,
      kinds: node.kinds
        .map((kind) => (kind.name === 'reserved' ? { ...kind, match: when(3n, 3n) } : kind))
        .map((kind) => (kind.name === 'page' ? { ...kind, match: when(0x8000_1003n, 1n) } : kind)),
    })),
  ),
  format(
    'device memory is always executable',
    'format/attributes',
    changed(toy, { encodeLeaf: (c, node, kind, prot) => encode(c, node, kind, prot & Prot.MMIO ? prot & ~Prot.NOEXEC : prot) }),
  ),
  format(
    'prot() takes X for C',
    'format/attributes',
    changed(toy, {
      prot: (raw: bigint, kind: LeafKind) =>
        toy.prot(raw, kind, undefined) ^ (((raw >> 3n) ^ (raw >> 4n)) & 1n ? Prot.CACHE | Prot.NOEXEC : 0),
    }),
  ),
  format(
    'a reserved bit is set',
    'format/attributes',
    changed(toy, { encodeLeaf: (c, node, kind, prot) => (encode(c, node, kind, prot) ?? 0n) | (1n << 9n) }),
  ),
  format(
    'prot() of a leaf that was written to is none',
    'format/decoding',
    changed(toy, { prot: (raw: bigint, kind: LeafKind) => toy.prot(raw, kind, undefined) | (raw & D ? 64 : 0) }),
  ),
  format(
    'BASE lacks the lowest bit of the address',
    'format/registers',
    changed(toy, { regs: (_c, [root = 0n]) => ({ base: (root & ~0x7ffn) | 1n }) }),
  ),
  format(
    'who reads BASE finds the root one table further',
    'format/registers',
    changed(toy, {
      rootsFromRegs: (h: unknown) => toy.rootsFromRegs(h as never).map((r) => ({ ...r, roots: r.roots.map((root) => root + 0x400n) })),
    }),
  ),
  format(
    'who reads BASE masks bit 31 away',
    'format/registers',
    changed(toy, {
      rootsFromRegs: (h: unknown) =>
        toy.rootsFromRegs(h as never).map((r) => ({ ...r, roots: r.roots.map((root) => root & 0x7fff_ffffn) })),
    }),
  ),
  format(
    'who reads BASE leaves low bits in',
    'format/registers',
    changed(toy, {
      rootsFromRegs: (h: unknown) =>
        toy.rootsFromRegs(h as never).map((r) => ({ ...r, roots: [(h as { base: bigint }).base & 0xffff_fe00n] })),
    }),
  ),
  format('cleaning clears W, not D', 'table/dirty', dirtyPolicy({ dirty: when(D, D), clear: W, set: 0n })),
  format('dirty looks at C', 'table/dirty', dirtyPolicy({ dirty: when(D | 8n, D), clear: D, set: 8n })),
]
