/**
 * Vivante's GPUs of the GC series, with the driver etnaviv: MMUv1, and MMUv2 (feature bit MMU_VERSION). No public manual describes them.
 * The facts are register names, and entries recorded from Linux's driver (README: sources).
 *
 *   MMUv1   addresses from 2 GiB on · 30:12 index of the page table (524,288 entries of 4 bytes) · entry 31:12 page, always translated
 *   MMUv2   31:22 index of the MTLB · 21:12 of an STLB · MTLB entry 0 present, 31:12 STLB · STLB entry 0 present, 1 exception,
 *           2 writeable, 11:4 address bits 39:32, 31:12 address
 */
import {
  type Agreed,
  configError,
  type FoundRoot,
  type Geometry,
  type IoPageTableFmt,
  IoPgtableError,
  Prot,
  type ReadMemory,
  SZ_4K,
} from '@io-pgtable/core'
import { contextEntry, entryBytes, narrow, PAGE_BY_PAGE, pageAddress, RESTRICTIONS, registerValue } from '@io-pgtable/gpu-common'
import type { EtnavivConfig, EtnavivHardware, EtnavivParams, EtnavivRegs } from './types.ts'
import { geometryV1 } from './v1.ts'
import { geometryV2, WRITEABLE } from './v2.ts'

export type { EtnavivConfig, EtnavivHardware, EtnavivParams, EtnavivQuirk, EtnavivRegs, EtnavivV1Regs, EtnavivV2Regs } from './types.ts'

const REACH = {
  1: { sizes: BigInt(SZ_4K), ias: { least: 31, most: 31 }, oas: { least: 13, most: 32 } },
  2: { sizes: BigInt(SZ_4K), ias: { least: 23, most: 32 }, oas: { least: 13, most: 40 } },
} as const
const ON = 1n
const MODE_1K = 1n

function configure(request: EtnavivConfig): Agreed<EtnavivConfig> {
  const { version = 2, badPage = 0n, pta = 0n, context = 0 } = request
  if (version !== 1 && version !== 2) throw configError('etnaviv', 'version', String(version), '1 or 2 expected')
  if (!Number.isInteger(context) || context < 0 || context > 511) throw configError('etnaviv', 'context', context, '0 to 511 expected')
  const agreed = narrow('etnaviv', request, ['NO_WARN'], REACH[version])
  return {
    ...agreed,
    version,
    badPage: pageAddress('etnaviv', 'badPage', badPage, version === 1 ? 32 : 40),
    pta: pageAddress('etnaviv', 'pta', pta, 40),
    context,
  }
}

function geometry(params: EtnavivParams): Geometry {
  return params.version === 1 ? geometryV1(params) : geometryV2(params)
}

/** Reads cannot be forbidden, of version 1 nor can writes: the driver ignores that. What has no bit at all is refused. */
function encodeLeaf({ version }: EtnavivConfig, prot: Prot): bigint | undefined {
  if (prot & RESTRICTIONS) return undefined
  return version === 2 && prot & Prot.WRITE ? WRITEABLE : 0n
}

function regs({ version, badPage, pta, context }: Agreed<EtnavivConfig>, root: bigint): EtnavivRegs {
  if (version === 1) return { pageTable: root }
  const high = badPage >> 32n
  return {
    configuration: root,
    safeAddress: badPage & 0xffff_ffffn,
    control: ON,
    ptaAddress: pta,
    ptaConfig: BigInt(context),
    safeAddressConfig: high | (high << 16n),
  }
}

function rootsFromRegs(registers: EtnavivHardware, read?: ReadMemory): readonly FoundRoot<EtnavivParams, undefined>[] {
  const { pageTable, badPage = 0n, configuration, control = ON, ptaAddress = 0n, ptaConfig = 0n } = registers
  if (pageTable !== undefined) {
    const params = { version: 1, ias: 31, oas: 32, badPage: registerValue('badPage', badPage, 32) & 0xffff_f000n } as const
    const root = registerValue('page table', pageTable, 32) & 0xffff_f000n
    return [{ name: 'pageTable', params, roots: [root], first: 0x8000_0000n, last: 0xffff_ffffn, context: undefined }]
  }
  if ((registerValue('MMUv2_CONTROL', control, 32) & ON) === 0n) return []
  const pta = registerValue('PTA_ADDRESS', ptaAddress, 40) & ~0xfffn
  const entry = pta === 0n ? registerValue('MMUv2_CONFIGURATION', configuration ?? 0n, 32) : ptaEntry(pta, ptaConfig, read)
  if (entry & MODE_1K) throw new IoPgtableError('EINVAL', 'rootsFromRegs', 'MODE 1: pages of 4K, MODE 0, expected', { value: entry })
  const params = { version: 2, ias: 32, oas: 40, badPage: 0n } as const
  return [{ name: 'mtlb', params, roots: [entry & 0xffff_f000n], first: 0n, last: 0xffff_ffffn, context: undefined }]
}

/** The context's entry of the PTA: the MTLB's address, MODE in bit 0. */
function ptaEntry(pta: bigint, ptaConfig: bigint, read?: ReadMemory): bigint {
  const at = pta + registerValue('PTA_CONFIG', ptaConfig, 9) * 8n
  return contextEntry('PTA_ADDRESS', at, read)
}

/** Vivante GC, MMUv1 and MMUv2. */
export const etnaviv: IoPageTableFmt<EtnavivConfig, EtnavivRegs, EtnavivParams, undefined, EtnavivHardware> = {
  FORMAT: 'etnaviv',
  title: 'Vivante GC MMUv1 and MMUv2 (etnaviv)',
  manual: 'none is public: README, sources',
  configure,
  params: ({ version, ias, oas, badPage }) => ({ version, ias, oas, badPage: version === 1 ? badPage : 0n }),
  geometry,
  policy: () => PAGE_BY_PAGE,
  encodeLeaf: (config, _node, _kind, prot) => encodeLeaf(config, prot),
  encodeTable: () => 0n,
  prot: (raw, kind) =>
    kind.fields.some(({ name }) => name === 'Writeable') && (raw & WRITEABLE) === 0n ? Prot.READ : Prot.READ | Prot.WRITE,
  context: () => undefined,
  parties: () => ['all'],
  regs: (config, [root = 0n]) => regs(config, root),
  rootsFromRegs,
  hardware: ({ version, badPage }, given) => (version === 1 ? { ...given, badPage } : given),
  rootMemory: ({ pta, context }, given) => {
    if (pta === 0n || !('configuration' in given)) return []
    return [{ paddr: pta + BigInt(context * 8), bytes: entryBytes(given.configuration) }]
  },
  configs: [
    { name: 'MMUv2', config: { pgsizeBitmap: BigInt(SZ_4K), ias: 32, oas: 40 } },
    {
      name: 'MMUv2, 25 bits, context 3 of a PTA',
      config: { pgsizeBitmap: BigInt(SZ_4K), ias: 25, oas: 32, pta: 0x7000_0000n, context: 3 },
    },
    { name: 'MMUv1', config: { version: 1, pgsizeBitmap: BigInt(SZ_4K), ias: 31, oas: 32, badPage: 0x1234_5000n } },
  ],
}
