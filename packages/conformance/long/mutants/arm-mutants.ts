/** Faults of the two Arm formats; those that are wrong both ways, consistently, fail by the vectors alone. */
import { readdirSync, readFileSync } from 'node:fs'
import type { AnyFmt, Kind, LeafKind, Piece, Prot, VectorBinding } from '@io-pgtable/core'
import { armV7s } from '../../../formats/arm-v7s/src/index.ts'
import { vectorBindings as v7sBindings } from '../../../formats/arm-v7s/src/vectors.ts'
import { arm64LpaeS1 } from '../../../formats/arm64-lpae-s1/src/index.ts'
import { vectorBindings as lpaeBindings } from '../../../formats/arm64-lpae-s1/src/vectors.ts'
import type { VectorFile } from '../../src/index.ts'
import { changed, type Mutant, rekinded, renoded, reshaped } from './mutant.ts'

/** The vectors of a format that tell most in the shortest time. */
function filesOf(name: string, folder: string): VectorFile[] {
  const url = new URL(`../../../formats/${name}/test-data/vectors/${folder}/`, import.meta.url)
  return readdirSync(url)
    .sort()
    .map((file) => ({ name: `${folder}/${file}`, json: () => JSON.parse(readFileSync(new URL(file, url), 'utf8')) as unknown }))
}

function format(of: AnyFmt, bindings: readonly VectorBinding[], folders: readonly string[]) {
  return (fault: string, law: Mutant['law'], mutant: AnyFmt): Mutant => ({
    fault: `${of.FORMAT}: ${fault}`,
    of: 'format',
    law,
    options: {
      format: mutant,
      bindings: bindings.map((binding) => ({ ...binding, fmt: mutant }) as VectorBinding),
      vectors: law === 'truth/vectors' ? folders.flatMap((folder) => filesOf(of.FORMAT, folder)) : [],
    },
  })
}

const lpae = format(arm64LpaeS1, lpaeBindings, ['facts', 'hand', 'config'])
const v7s = format(armV7s, v7sBindings, ['facts', 'hand'])
const AP_RDONLY = 1n << 7n
const NG = 1n << 11n
const lpaeEncode: AnyFmt['encodeLeaf'] = arm64LpaeS1.encodeLeaf as AnyFmt['encodeLeaf']
const lpaeProt = (raw: bigint, kind: LeafKind, context: unknown): Prot => (arm64LpaeS1 as AnyFmt).prot(raw, kind, context)
const field =
  (name: string, pieces: readonly Piece[]) =>
  (kind: Kind): object => ({ fields: kind.fields.map((f) => (f.name === name ? { ...f, pieces } : f)) })
const without =
  (name: string) =>
  (kind: Kind): object => ({ fields: kind.fields.filter((f) => f.name !== name) })

export const ARM_MUTANTS: readonly Mutant[] = [
  lpae('AP inverted', 'format/attributes', changed(arm64LpaeS1, { encodeLeaf: (...args) => (lpaeEncode(...args) ?? 0n) ^ AP_RDONLY })),
  lpae(
    'AP inverted both ways',
    'format/rights',
    changed(arm64LpaeS1, {
      encodeLeaf: (...args) => (lpaeEncode(...args) ?? 0n) ^ AP_RDONLY,
      prot: (raw, kind, context) => lpaeProt(raw ^ AP_RDONLY, kind, context),
    }),
  ),
  lpae('nG is never set', 'truth/vectors', changed(arm64LpaeS1, { encodeLeaf: (...args) => (lpaeEncode(...args) ?? 0n) & ~NG })),
  lpae('tables of non-secure masters lack NSTable', 'truth/vectors', changed(arm64LpaeS1, { encodeTable: () => 0n }, '4K, non-secure')),
  lpae(
    'PA[51:48] is not in the descriptor of a page',
    'format/addresses',
    rekinded(arm64LpaeS1, 'page', () => ({ address: [[47, 16, 16]] }), '64K, 52 bits'),
  ),
  lpae(
    'PA[51:48] stands one bit too low',
    'format/fields',
    rekinded(
      arm64LpaeS1,
      'page',
      () => ({
        address: [
          [47, 16, 16],
          [14, 11, 48],
        ],
      }),
      '64K, 52 bits',
    ),
  ),
  lpae(
    'the start level is one too high',
    'format/geometry',
    reshaped(
      arm64LpaeS1,
      (g) => ({
        ...g,
        nodes: [
          {
            ...g.nodes[0]!,
            id: 'extra',
            shift: 39,
            bits: 1,
            kinds: g.nodes[0]!.kinds.flatMap((k) => (k.type === 'leaf' ? [] : [k.type === 'table' ? { ...k, child: g.top } : k])),
          },
          ...g.nodes,
        ],
        top: 'extra',
      }),
      '4K, 39 bits, 3 levels',
    ),
  ),
  lpae(
    'TTBR1 translates the bottom of the addresses',
    'format/registers',
    reshaped(arm64LpaeS1, (g) => ({ ...g, window: 'low' }), '4K, TTBR1'),
  ),
  lpae('MAIR is another one than the decoder takes', 'format/attributes', changed(arm64LpaeS1, { context: () => ({ mair: 0x0444fff4n }) })),
  lpae(
    'dirty forgets that DBM must be set',
    'table/dirty',
    changed(
      arm64LpaeS1,
      {
        policy: (c) => ({
          ...(arm64LpaeS1 as AnyFmt).policy(c),
          dirty: { dirty: { mask: AP_RDONLY, value: 0n }, clear: AP_RDONLY, set: 0n },
        }),
      },
      '4K, dirty tracking',
    ),
  ),
  lpae(
    'blocks of level 2 do not step',
    'format/geometry',
    renoded(arm64LpaeS1, 'L2', (node) => ({
      ...node,
      kinds: node.kinds.map((k) => (k.type === 'leaf' ? { ...k, sizes: [{ pgsize: 2 ** 21, slots: 2 }] } : k)),
    })),
  ),
  v7s('XN of a large page is bit 0', 'table/cut', rekinded(armV7s, 'Large page', field('XN', [[0, 0, 0]]))),
  v7s('a supersection has no AP[2]', 'format/rights', rekinded(armV7s, 'Supersection', without('AP[2]'))),
  v7s(
    'AP[2] inverted in small pages',
    'format/attributes',
    changed(armV7s, {
      encodeLeaf: (c, node, kind, prot) =>
        ((armV7s as AnyFmt).encodeLeaf(c, node, kind, prot) ?? 0n) ^ (kind.name === 'Small page' ? 1n << 9n : 0n),
    }),
  ),
  v7s(
    'PA[33] and PA[34] stand in the same bit',
    'format/fields',
    rekinded(
      armV7s,
      'Small page',
      () => ({
        address: [
          [31, 12, 12],
          [9, 9, 32],
          [4, 4, 33],
          [4, 4, 34],
        ],
      }),
      'mtk',
    ),
  ),
  v7s(
    'PA[32] and PA[33] are exchanged',
    'truth/vectors',
    rekinded(
      armV7s,
      'Small page',
      () => ({
        address: [
          [31, 12, 12],
          [9, 9, 33],
          [4, 4, 32],
          [5, 5, 34],
        ],
      }),
      'mtk',
    ),
  ),
  v7s('the root is aligned to its 64 bytes alone', 'format/registers', {
    ...renoded(armV7s, 'level1', ({ align: _, ...node }) => node),
    configs: [{ name: '24 bits', config: { pgsizeBitmap: 0x1000n, ias: 24, oas: 32 } }],
  }),
  v7s(
    'second-level tables are 4 KiB',
    'truth/vectors',
    renoded(armV7s, 'level2', (node) => ({ ...node, tableBytes: 4096 })),
  ),
  v7s(
    'TTBR lacks the address bits above 2^32',
    'format/registers',
    changed(armV7s, { regs: (c, [root = 0n]) => (armV7s as AnyFmt).regs(c, [root & 0xffff_ff80n], 'level1') }, 'mtk-ttbr'),
  ),
]
