/** The law of adopting: a table that was there is read and changed as one of our own, and its memory stays its owner's. */
import { type AnyFmt, type FormatConfig, hex, type IoPageTable, type LevelNode, Prot, walkTables } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { type Case, leastPaddr, type Size, shareIn } from './case.ts'
import { operationOf } from './generate.ts'
import { editOf } from './generate-edits.ts'
import { Fault, type Law, same } from './law.ts'
import type { Model } from './model.ts'
import type { GatherMode, Operation } from './operation.ts'
import { sequences } from './random.ts'
import { newPool, Session } from './session.ts'
import { plainProt, syncBefore } from './table-laws.ts'

export const adopting: Law = {
  name: 'table/adopt',
  says: 'a table found by its registers, or its roots, translates as before, changes as its model does, and leaves its own memory to its owner',
  check(c) {
    for (const gather of shareIn(c, ['own', 'none', 'later'] as const)) takenDown(c, gather)
    const length = c.effort === 'full' ? { sequences: 20, operations: 80 } : { sequences: 2, operations: 50 }
    sequences(c, 'table/adopt', length, (draws, log) => {
      const { pool, builder } = builderOf(c)
      try {
        for (const draw of draws.filter((_, i) => i % 2 === 0)) {
          const op = operationOf(builder.model, draw)
          syncBefore(builder, op)
          builder.apply(op)
        }
        builder.syncGather()
      } finally {
        log.push(...builder.log)
      }
      const then = draws.filter((_, i) => i % 2 === 1)
      // A root that grew is that of another configuration.
      if (builder.model.top === c.top)
        goOn(
          builder,
          pool,
          then.map((draw) => (model: Model) => editOf(model, draw)),
          log,
        )
    })
    return undefined
  },
}

/** Tables that were there leave the tree, and one of ours comes to be below those that stay. */
function takenDown(c: Case, gather: GatherMode): void {
  const { pool, builder } = builderOf(c)
  const size = c.sizes[0] as Size
  const prot = plainProt(c, size)
  const last = (1n << BigInt(c.geometry.ias)) - 1n
  const far = last + 1n - BigInt(size.pgsize)
  const page = { size, count: 1 } as const
  const log: string[] = []
  builder.apply({ op: 'map', offset: 0n, paddr: leastPaddr(c), prot, ...page })
  const calls: Operation[] = [
    { op: 'protect', offset: 0n, bytes: size.pgsize, prot: Prot.READ | Prot.WRITE, cut: false, gather },
    { op: 'unmap', offset: 0n, ...page, gather },
    { op: 'trim', offset: 0n, last, gather },
    { op: 'sync' },
    ...(c.top === 0 ? [{ op: 'map', offset: far, paddr: leastPaddr(c), prot, ...page } as const] : []),
  ]
  try {
    goOn(
      builder,
      pool,
      calls.map((op) => () => op),
      log,
    )
  } catch (error) {
    throw new Fault(
      `${error instanceof Error ? error.message : error}\n  after the calls\n${log.map((call) => `    table.${call}`).join('\n')}`,
    )
  }
}

/** A pool, and somebody else who has tables in a piece of its memory: it is one block, so that nobody else gets it. */
function builderOf(c: Case): { pool: PtPool; builder: Session } {
  const { base, size, words } = newPool(c, {})
  const memory = new Uint8Array(words.buffer, 0, size)
  const pool = new PtPool({ base, memory, size })
  const part = 2 ** Math.floor(Math.log2(size / 4))
  const block = pool.alloc(part)
  const guest = new PtPool({ base: pool.physOf(block), memory: memory.subarray(block, block + part), size: part })
  return { pool, builder: new Session(c, { pool: guest }) }
}

/** Adopts the builder's table, and makes the calls on both it and the model. */
function goOn(builder: Session, pool: PtPool, calls: readonly ((model: Model) => Operation)[], log: string[]): void {
  const { c, model, table } = builder
  const theirs = tablesOf(table)
  const reserved = pool.stats().live
  const session = new Session(
    c,
    {},
    {
      pool,
      model,
      adopt: (left, onWarn) => {
        log.push('adopt()')
        return c.adoptTable(c.format, { ...whereOf(builder), allocator: pool, onWarn, onForeign: (_, bytes) => left(bytes) })
      },
    },
  )
  same('bytes of an adopted table that nobody changed', session.table.tableBytes, 0)
  session.compare()
  try {
    for (const [i, call] of calls.entries()) {
      const op = call(session.model)
      syncBefore(session, op)
      session.apply(op)
      if (i % 4 === 3) session.compare()
    }
    session.syncGather()
    session.compare()
  } finally {
    log.push(...session.log)
  }
  session.table.free()
  same('bytes of an adopted table that is freed', session.table.tableBytes, 0)
  same('bytes of the pool after it', pool.stats().live, reserved)
  for (const next of tablesOf(table)) {
    if (!theirs.has(next)) throw new Fault(`a table of the owner leads to ${hex(next)}, which is free`)
  }
}

/** The tables that the roots lead to. */
function tablesOf({ geometry, roots, readMemory }: IoPageTable): Set<bigint> {
  const found = new Set<bigint>()
  walkTables(geometry, roots, readMemory, { table: ({ next }) => void found.add(next) })
  return found
}

/** The registers, where they tell the whole tree; else its roots. */
function whereOf({ c, table }: Session): Partial<FormatConfig> & Record<string, unknown> {
  const registers = c.format.hardware?.(c.config, table.regs)
  // Registers that lead by way of memory lead nowhere here: that memory is no piece of the pool's.
  const [found, ...more] = registers === undefined || c.format.rootMemory !== undefined ? [] : foundBy(c.format, registers)
  const geometry = found === undefined || more.length > 0 ? undefined : c.format.geometry(found.params)
  const alike =
    geometry !== undefined && c.top === 0 && geometry.ias === c.geometry.ias && shapeOf(geometry.nodes) === shapeOf(c.geometry.nodes)
  if (!alike) return { ...c.request, roots: table.roots }
  const { ias: _ias, oas: _oas, ...given } = c.request
  return { ...given, registers, root: found?.name }
}

function foundBy(format: AnyFmt, registers: unknown): ReturnType<AnyFmt['rootsFromRegs']> {
  return format.rootsFromRegs(registers)
}

function shapeOf(nodes: readonly LevelNode[]): string {
  return nodes.map(({ shift, bits }) => `${shift} ${bits}`).join()
}
