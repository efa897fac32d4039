/**
 * NVIDIA's GMMU, versions 1 to 3: Fermi to Blackwell. Read only: an entry of the directory above the pages leads to two tables for the same
 * addresses, and what stands in the one follows what is in the other (README).
 */
import {
  type AccessFault,
  type Agreed,
  type ArchFault,
  configError,
  type Geometry,
  type IoPageTableFmt,
  type LeafKind,
  Prot,
  pgsizeBitmap,
  protOfRights,
  readOnly,
  SZ_2M,
  SZ_4K,
  SZ_64K,
} from '@io-pgtable/core'
import { narrow, pageAddress } from '@io-pgtable/gpu-common'
import { APERTURES, granted, memoryType } from './kinds.ts'
import { nvidiaLeaf } from './leaf.ts'
import { ADDRESS_BITS, instanceBlock, regs, rootsFromRegs } from './registers.ts'
import type { NvidiaGmmuConfig, NvidiaGmmuHardware, NvidiaGmmuParams, NvidiaGmmuRegs } from './types.ts'
import { geometryV1 } from './v1.ts'
import { geometryV2 } from './v2.ts'
import { geometryV3 } from './v3.ts'

export { type NvidiaLeaf, nvidiaLeaf } from './leaf.ts'
export type { Aperture, NvidiaGmmuConfig, NvidiaGmmuHardware, NvidiaGmmuParams, NvidiaGmmuRegs, NvidiaGmmuVersion } from './types.ts'

const BIG_128K = 2 * SZ_64K
/** Beside the big pages. */
const SIZES = { 1: [SZ_4K], 2: [SZ_4K, SZ_2M, 2 ** 29], 3: [SZ_4K, SZ_2M, 2 ** 29, 2 ** 38] } as const

function configure(request: NvidiaGmmuConfig): Agreed<NvidiaGmmuConfig> {
  const { version = 2, bigPage = SZ_64K, tables = 'vidmem', instance = 0n } = request
  if (version !== 1 && version !== 2 && version !== 3) throw configError('nvidia-gmmu', 'version', String(version), '1, 2 or 3 expected')
  if (bigPage !== SZ_64K && (bigPage !== BIG_128K || version === 3))
    throw configError('nvidia-gmmu', 'bigPage', bigPage, `65536${version === 3 ? '' : ' or 131072'} expected`)
  if (!['vidmem', 'sysmem-coherent', 'sysmem-noncoherent'].includes(tables))
    throw configError('nvidia-gmmu', 'tables', tables, 'vidmem, sysmem-coherent or sysmem-noncoherent expected')
  const [ias, oas] = ADDRESS_BITS[version]
  const reach = { sizes: pgsizeBitmap(...SIZES[version], bigPage), ias: { least: ias, most: ias }, oas: { least: oas, most: oas } }
  const agreed = narrow('nvidia-gmmu', request, [], reach)
  return { ...agreed, version, bigPage, tables, instance: pageAddress('nvidia-gmmu', 'instance', instance, oas) }
}

function geometry(params: NvidiaGmmuParams): Geometry {
  return params.version === 1 ? geometryV1(params) : params.version === 2 ? geometryV2(params) : geometryV3(params)
}

/** No entry says who executes. */
function prot(raw: bigint, kind: LeafKind): Prot {
  const { aperture, isPrivileged, isReadable, isWritable, isVolatile } = nvidiaLeaf(raw, kind)
  const memory = memoryType(isVolatile, APERTURES.indexOf(aperture))
  return protOfRights(granted(isPrivileged, isReadable, isWritable), memory) & ~Prot.NOEXEC
}

/** NV_PFAULT_FAULT_TYPE, where what is known of an access leaves one. A user's write may fail by either bit. */
function fault({ type, level, access, privileged }: AccessFault): ArchFault {
  if (type === 'translation') {
    if (level === undefined) return { name: 'VA_LIMIT_VIOLATION', codes: { FAULT_TYPE: 3 } }
    return level === 0 ? { name: 'PTE', codes: { FAULT_TYPE: 2 } } : { name: 'PDE', codes: { FAULT_TYPE: 0 } }
  }
  if (type !== 'permission') return { name: `no fault type is known for ${type}`, codes: {} }
  if (!privileged && access === 'write') return { name: 'RO_VIOLATION or PRIV_VIOLATION', codes: {} }
  if (!privileged) return { name: 'PRIV_VIOLATION', codes: { FAULT_TYPE: 5 } }
  return access === 'write' ? { name: 'RO_VIOLATION', codes: { FAULT_TYPE: 6 } } : { name: 'WO_VIOLATION', codes: { FAULT_TYPE: 7 } }
}

const V2 = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, SZ_2M), ias: 49, oas: 47 }
const V1 = { version: 1, pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, BIG_128K), ias: 40, oas: 40 } as const

/** NVIDIA GMMU, Fermi to Blackwell. */
export const nvidiaGmmu: IoPageTableFmt<NvidiaGmmuConfig, NvidiaGmmuRegs, NvidiaGmmuParams, undefined, NvidiaGmmuHardware> = readOnly<
  NvidiaGmmuConfig,
  NvidiaGmmuRegs,
  NvidiaGmmuParams,
  undefined,
  NvidiaGmmuHardware
>({
  FORMAT: 'nvidia-gmmu',
  title: 'NVIDIA GMMU, Fermi to Blackwell',
  manual: 'NVIDIA open GPU documentation: dev_mmu, dev_ram, Pascal MMU format changes',
  configure,
  params: ({ version, bigPage, ias, oas }) => ({ version, bigShift: Math.log2(bigPage), ias, oas }),
  geometry,
  prot,
  context: () => undefined,
  parties: () => ['user', 'privileged'],
  use: () => 'device',
  fault,
  regs: (config, [root = 0n]) => regs(config, root),
  rootsFromRegs,
  hardware: ({ version, bigPage, instance }) => ({ instanceBlock: instance, version: BigInt(version), bigPage: BigInt(bigPage) }),
  rootMemory: ({ instance }, given) => [instanceBlock(instance, given)],
  configs: [
    { name: 'Pascal to Ada', config: V2 },
    {
      name: 'Ampere, 512M pages, big pages of 128K',
      config: { ...V2, pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M, 2 ** 29), bigPage: BIG_128K },
    },
    {
      name: 'Hopper, Blackwell',
      config: {
        version: 3,
        pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_64K, SZ_2M, 2 ** 29, 2 ** 38),
        ias: 57,
        oas: 52,
        tables: 'sysmem-coherent',
        instance: 0x1234_5000n,
      },
    },
    { name: 'Fermi to Maxwell, big pages of 64K', config: V1 },
    { name: 'Fermi to Maxwell, big pages of 128K', config: { ...V1, bigPage: BIG_128K } },
  ],
})
