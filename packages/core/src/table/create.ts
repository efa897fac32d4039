/** How a table begins, whichever way it is made, and how it ends. */
import { type Compiled, compileFormat } from '../compile/compile.ts'
import { type Device, Devres } from '../device/device.ts'
import { LifetimeWatch } from '../device/lifetime.ts'
import { IoPgtableError } from '../errors.ts'
import { agreedConfig } from '../format/config.ts'
import type { AnyFmt } from '../format/format.ts'
import type { FormatConfig } from '../format/policy.ts'
import type { OnePage } from '../hot/one-page.ts'
import { attachPool, freshState, openShared, type TableToken } from '../memory/share.ts'
import { DEAD, LIVE, makeRoot, STATE_STATUS, STATE_WORDS } from '../memory/table-memory.ts'
import { dead } from '../request/errors.ts'
import { RANGE_LOCK_WORDS, RangeLock } from '../request/range-lock.ts'
import type { Hooks, Request } from '../request/request.ts'
import { NOOP_FLUSH_OPS } from '../tlb/flush.ts'
import { flushEverything, freeTree, unlinkOwn } from '../tree/prune.ts'
import { rootView } from '../tree/root-view.ts'
import { Tree } from '../tree/tree.ts'
import { type AttachOptions, checkHooks, TABLE_OPTIONS, type TableOptions } from './table-options.ts'

/** What a table is made of. */
export interface Parts {
  readonly tree: Tree
  readonly hooks: Hooks
  readonly fast: FastPaths
  readonly lifetime: LifetimeWatch | undefined
}

/**
 * The constants of the fast path for one page a call: for translations, for changes, and for an unmap without a gather. Undefined where it is not:
 * changes in memory that is synced, unmaps of which somebody is to be told.
 */
export interface FastPaths {
  readonly translate: OnePage | undefined
  readonly change: OnePage | undefined
  readonly quiet: OnePage | undefined
}

/** @throws `EINVAL` for a format that only reads */
export function requireWrites(op: string, { FORMAT, writes }: AnyFmt): void {
  if (writes === false) throw new IoPgtableError('EINVAL', op, `${FORMAT} only reads tables: one of a format that writes expected`)
}

/** See `IoPageTable.createRaw`. `make` makes the table of its parts. */
export function createTable<T extends object>(format: AnyFmt, request: TableOptions & FormatConfig, make: (parts: Parts) => T): T {
  checkHooks('createRaw', request)
  const { allocator, tlb, onWarn, onRoot, debug, name, ...wanted } = request
  if (!(allocator?.words instanceof Int32Array)) throw new IoPgtableError('EINVAL', 'createRaw', 'allocator: a PtPool expected')
  requireWrites('createRaw', format)
  const compiled = compileFormat(format, agreedConfig(format, wanted, TABLE_OPTIONS))
  const owner = allocator.owner(name ?? format.FORMAT)
  const state = newState(allocator, debug)
  const root = makeRoot(allocator, compiled, state, owner)
  try {
    const parts = partsOf(new Tree(allocator, compiled, state, owner, tlb ?? NOOP_FLUSH_OPS), { onWarn, onRoot, debug })
    if (!debug?.lifetime) return make(parts)
    const lifetime = new LifetimeWatch({ name: name ?? format.FORMAT, state }, debug.lifetime)
    const table = make({ ...parts, lifetime })
    lifetime.watch(table)
    return table
  } catch (error) {
    allocator.free(root)
    throw error
  }
}

/** See `IoPageTable.create`. The device may be unbound while its table is made, by a hook of the pool: the table is then nobody's. */
export function createBound<T extends Disposable>(device: Device, make: () => T): Devres<T> {
  device.requireBound('create')
  const table = make()
  try {
    return new Devres(device, table)
  } catch (error) {
    table[Symbol.dispose]()
    throw error
  }
}

/** See `IoPageTable.attach`. */
export function attachTable(format: AnyFmt, token: TableToken, options: AttachOptions): Parts {
  checkHooks('attach', options)
  const { config, debug, state, owner } = openShared(format, token)
  if (state[STATE_STATUS] !== LIVE) throw dead('attach', format.FORMAT)
  const pool = attachPool(token, options)
  const tree = new Tree(pool, compileFormat(format, config), state, owner, options.tlb ?? NOOP_FLUSH_OPS)
  return partsOf(tree, { onWarn: options.onWarn, onRoot: options.onRoot, debug })
}

/** A table's own state, with room for the range lock in the debug mode that has it. */
export function newState({ shared }: { readonly shared: boolean }, debug: TableOptions['debug']): Int32Array {
  return freshState(shared, STATE_WORDS + (debug?.rangeLock ? RANGE_LOCK_WORDS : 0))
}

/** What was made of a format whose registers could be made. One that cannot make them is found out with its first table. */
const described = new WeakSet<Compiled>()

/** The hooks that a caller gave. */
interface Asked {
  readonly onWarn: TableOptions['onWarn'] | undefined
  readonly onRoot: TableOptions['onRoot'] | undefined
  readonly debug: TableOptions['debug'] | undefined
}

/** The parts of a table with this tree. */
export function partsOf(tree: Tree, { onWarn, onRoot, debug: asked }: Asked): Parts {
  if (!described.has(tree.compiled)) {
    rootView(tree)
    described.add(tree.compiled)
  }
  const { lifetime: _, ...debug } = asked ?? {}
  const lock = debug.rangeLock ? new RangeLock(tree.state, STATE_WORDS) : undefined
  const fast = fastPaths(tree, lock)
  const heard = tree.compiled.config.quirks.includes('NO_WARN') ? undefined : onWarn
  return {
    tree,
    fast,
    hooks: { onWarn: heard, onRoot, debug, single: debug.oneTablePerCall ?? false, lock, one: fast.change },
    lifetime: undefined,
  }
}

function fastPaths({ compiled, pool, tlb }: Tree, lock: RangeLock | undefined): FastPaths {
  const { flushOrder, addPagesWithoutGather } = compiled.policy
  const translate = lock === undefined ? compiled.onePage : undefined
  const change = pool.sync === undefined ? translate : undefined
  const unheard = !addPagesWithoutGather || tlb === NOOP_FLUSH_OPS || tlb.addPages === undefined
  return { translate, change, quiet: flushOrder !== 'range' && unheard ? change : undefined }
}

/** See `IoPageTable.share`. */
export function shareTable(own: Request): TableToken {
  const t = own.live('share')
  const { format, config } = t.compiled
  return { format: format.FORMAT, config, debug: own.hooks.debug, pool: t.pool.token(), state: t.state, owner: t.owner }
}

/** See `IoPageTable.free`. */
export function freeTable(own: Request): void {
  const { t } = own.openChange('free')
  // One whose lock is lost takes nothing back: the table lives on until it is recovered.
  if (t.pool.shared) t.pool.stats()
  unlinkOwn(t)
  flushEverything(t)
  if (Atomics.compareExchange(t.state, STATE_STATUS, LIVE, DEAD) !== LIVE) throw dead('free', t.compiled.format.FORMAT)
  // Ends the fast path, which looks at the generation only.
  t.pool.bumpGeneration()
  freeTree(t)
}

/** Whether a table is not freed. */
export function isLive({ t }: Request): boolean {
  return Atomics.load(t.state, STATE_STATUS) === LIVE
}
