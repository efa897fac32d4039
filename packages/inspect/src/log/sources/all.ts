/** All grammars. */
import type { Source } from '../source.ts'
import { GPU_SOURCES } from './gpu.ts'
import { IOMMU_SOURCES } from './iommu.ts'
import { OOPS } from './oops.ts'
import { SOC_SOURCES } from './soc.ts'
import { WALK_SOURCES } from './walks.ts'
import { X86_OOPS } from './x86.ts'

export const SOURCES: readonly Source[] = [OOPS, X86_OOPS, ...IOMMU_SOURCES, ...GPU_SOURCES, ...SOC_SOURCES, ...WALK_SOURCES]
