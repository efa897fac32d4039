/** What the short descriptors of ARMv7 should make of each access. */
import { type ArmV7sContext, armV7s, leafAccess } from '@io-pgtable/arm-v7s'
import { type Geometry, Prot, SZ_16M } from '@io-pgtable/core'
import { AT_PRECISION, addressFlips, DATA, STAGE1_A32 } from './lpae.ts'
import { isUser, isWrite } from './question.ts'
import { type Flip, fieldBits, type Rules, type Scramble } from './rules.ts'

/** Without memory types, which PAR does not tell. */
export const SHORT_RULES: Rules = {
  accesses: DATA,
  grants: STAGE1_A32.grants,
  below: AT_PRECISION,
  fault: (kind, level) => `${kind} L${level}`,
}

/** As a CPU reads them: supersections have 40 address bits. */
const CPU_GEOMETRY: Geometry = armV7s.geometry({ ias: 32, oas: 40, mtk: false, mtkTables: false })
const EXTENDED_BASE = 0x00f0_01e0n
const FIELDS = ['NS', 'nG', 'S', 'AP[2]', 'TEX', 'AP[1:0]', 'C', 'B', 'XN', 'IMPLEMENTATION DEFINED', 'PXN', 'Domain']

/** Leaves that anybody might have written, against the format's own reading of them, with any access permissions. */
export function shortScramble(context: ArmV7sContext): Scramble {
  return {
    count: 500,
    geometry: CPU_GEOMETRY,
    mask: (leaf) => fieldBits(leaf, FIELDS) | (leaf.size.pgsize === SZ_16M ? EXTENDED_BASE : 0n),
    judge: (leaf, access) => {
      const { privileged, unprivileged, flagFault } = leafAccess(leaf.raw, leaf.kind, context)
      if (flagFault) return { fault: `access flag L${leaf.node.level}` }
      const granted = isUser(access) ? unprivileged : privileged
      const refused = granted === 'none' || (isWrite(access) && granted === 'read')
      return refused ? { fault: `permission L${leaf.node.level}` } : {}
    },
  }
}

/** A small page's type, address and, where they are checked, permissions. */
export function shortFlips(checked: boolean): readonly Flip[] {
  return [
    { what: 'type', mask: 1n << 1n },
    ...addressFlips(0xffff_f000n),
    ...(checked
      ? [
          { what: 'AP[0], the access flag', mask: 1n << 4n },
          { what: 'AP[1]', mask: 1n << 5n },
          { what: 'AP[2]', mask: 1n << 9n },
        ]
      : []),
    { what: 'type of the table', mask: 1n, entry: 'table' },
    { what: 'type of the table, section', mask: 3n, entry: 'table' },
  ]
}

/** Seen by running what may be run. */
export const XN_FLIP: Flip = {
  what: 'XN',
  mask: 1n,
  accesses: ['priv run'],
  shows: ({ prot }) => (prot & Prot.NOEXEC) === 0,
}
