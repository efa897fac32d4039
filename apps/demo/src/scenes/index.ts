/** The scenes, in the order in which they build on one another. */
import type { Scene } from '../stage.ts'
import { buffers } from './buffers.ts'
import { eviction } from './eviction.ts'
import { flushPolicies } from './flush-policies.ts'
import { heapFault } from './heap-fault.ts'
import { kernel } from './kernel.ts'
import { lifetime } from './lifetime.ts'
import { rebuild } from './rebuild.ts'
import { tableMemory } from './table-memory.ts'
import { unmap } from './unmap.ts'
import { vmBind } from './vm-bind.ts'
import { walk } from './walk.ts'

export const SCENES: readonly Scene[] = [
  tableMemory,
  buffers,
  walk,
  unmap,
  flushPolicies,
  vmBind,
  heapFault,
  eviction,
  lifetime,
  kernel,
  rebuild,
]
