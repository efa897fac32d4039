/** Entries and registers put together by hand from the README's tables. */
import { AccessRules, decode, type Geometry, IoPageTable, memoryOf, nodeOf, Prot, SZ_1M, SZ_4K, walkAddress } from '@io-pgtable/core'
import { PtPool } from '@io-pgtable/pt-allocator'
import { expect, test } from 'vitest'
import { nvidiaGmmu, nvidiaLeaf } from '../src/index.ts'

function words(paddr: bigint, values: Readonly<Record<number, bigint>>, count = 512) {
  const bytes = new BigUint64Array(count)
  for (const [index, value] of Object.entries(values)) bytes[Number(index)] = value
  return { paddr, bytes: new Uint8Array(bytes.buffer) }
}

function geometryOf(version: 1 | 2 | 3): Geometry {
  const [, bigShift] = [version, 16]
  const [ias, oas] = ({ 1: [40, 40], 2: [49, 47], 3: [57, 52] } as const)[version]
  return nvidiaGmmu.geometry({ version, bigShift, ias, oas })
}

function leafOf(version: 1 | 2 | 3, node: string, raw: bigint) {
  const entry = decode(geometryOf(version), nodeOf(geometryOf(version), node), raw)
  if (entry.type !== 'leaf') throw new Error(`a leaf expected: ${entry.type}`)
  return { ...nvidiaLeaf(raw, entry.kind), paddr: entry.paddr, prot: nvidiaGmmu.prot(raw, entry.kind, undefined) }
}

test('version 2: the tables of one 2M range hold pages of 64K and 4K, found by the instance block', () => {
  const read = memoryOf([
    words(0x1200n, { 0: 0x1_0000_0c00n, 1: (1n << 49n) - 1n }),
    words(0x1_0000_0000n, { 0: 0x1000_0102n }),
    words(0x1_0000_1000n, { 0: 0x1000_0202n }),
    words(0x1_0000_2000n, { 1: 0x1000_0302n }),
    words(0x1_0000_3000n, { 0: 0x400_0001n, 2: 0x1000_0402n, 3: 0x1000_0502n, 4: 8n }),
    words(0x1_0000_4000n, { 0: 0x500_0001n, 1: 0x500_1001n, 2: 0x20n, 4: 0x28n }, 32),
    words(0x1_0000_5000n, { 48: 0x600_010dn }),
  ])
  const [root] = nvidiaGmmu.rootsFromRegs({ instanceBlock: 0x1000n }, read)
  if (root === undefined) throw new Error('no root')
  expect(root).toMatchObject({ name: 'vidmem', params: { version: 2, bigShift: 16 }, roots: [0x1_0000_0000n], last: 0x1_ffff_ffff_ffffn })
  const geometry = nvidiaGmmu.geometry(root.params)
  const rules = new AccessRules(nvidiaGmmu, geometry, undefined)
  const paddr = (iova: bigint) => rules.translate(root.roots, read, iova)
  expect(paddr(0x2000_1234n).paddr).toBe(0x4000_1234n)
  expect(paddr(0x2021_0008n).paddr).toBe(0x5001_0008n)
  expect(paddr(0x2023_0ff0n).paddr).toBe(0x6000_1ff0n)
  expect(paddr(0x2022_0000n).fault).toMatchObject({ type: 'translation', level: 0, reason: expect.stringContaining('no small pages') })
  expect(paddr(0x2023_1000n).fault).toMatchObject({ type: 'translation', level: 0 })
  expect(paddr(0x2024_0000n)).toMatchObject({ sparse: true, fault: undefined })
  expect(paddr(0x2040_0000n)).toMatchObject({ sparse: true, fault: undefined })
  expect(paddr(0x2060_0000n).fault).toMatchObject({ type: 'translation', level: 1 })
  expect(walkAddress(geometry, root.roots, read, 0x2023_0000n).map(({ node }) => node.id)).toEqual([
    'PD3',
    'PD2',
    'PD1',
    'PD0 small',
    'PTS',
  ])
})

test('version 1: one directory entry of 8 bytes has both tables, and SIZE may shorten them', () => {
  const read = memoryOf([
    words(0x100_0000n, { 8: 0x1022_1000_1020_1n, 9: 0x1022_1000_1020_5n, 10: 0x8_0000_0000n }, 16384),
    words(0x102_0000n, { 0: 0x40_0001n, 1: 0x40_0101n, 3: 2n, 4: 0x1_0000_0000n, 600: 0x50_0001n }, 1024),
    words(0x102_2000n, { 32: 0xfe0_0000_0061n, 33: 0xfe0_0000_0071n, 48: 0x61n }, 16384),
  ])
  const [root] = nvidiaGmmu.rootsFromRegs({ pageDirBase: 0x100_0000n, bigPage: 0x1_0000n })
  if (root === undefined) throw new Error('no root')
  const rules = new AccessRules(nvidiaGmmu, nvidiaGmmu.geometry(root.params), undefined)
  const at = (iova: bigint) => rules.translate(root.roots, read, iova)
  expect(at(0x2001_0010n).paddr).toBe(0x4001_0010n)
  expect(at(0x2002_1000n).paddr).toBe(0x7000n)
  expect(at(0x2003_0000n).fault?.type).toBe('translation') // closed: the small page below is not looked for
  expect(at(0x2004_0000n).sparse).toBe(true)
  expect(at(0x2258_0000n).paddr).toBe(0x5000_0000n) // entry 600: in the full table
  expect(at(0x2400_0000n).paddr).toBe(0x4000_0000n)
  expect(at(0x2658_0000n).fault?.type).toBe('translation') // beyond the half table
  expect(at(0x2800_0000n).sparse).toBe(true)
})

test('leaves: apertures, peers, kinds, rights', () => {
  expect(leafOf(2, 'PTS', 0x600_0003_3d77_78c3n)).toMatchObject({
    aperture: 'peer',
    peer: 1,
    kind: 6,
    isWritable: false,
    hasAtomics: false,
    paddr: 0x13_d777_8000n,
  })
  expect(leafOf(2, 'PTS', 0x600_010dn)).toMatchObject({
    aperture: 'sysmem-coherent',
    isVolatile: true,
    paddr: 0x6000_1000n,
    prot: Prot.READ | Prot.WRITE,
  })
  expect(leafOf(2, 'PD0', 0x4000_0021n).prot).toBe(Prot.READ | Prot.WRITE | Prot.PRIV | Prot.CACHE)
  expect(leafOf(3, 'PTS', 0x4008_1699_fd1d_060bn)).toMatchObject({ aperture: 'peer', peer: 2, kind: 6, isVolatile: true })
  expect(leafOf(3, 'PTS', 0x6000_10bdn)).toMatchObject({
    aperture: 'sysmem-coherent',
    isPrivileged: true,
    isWritable: false,
    paddr: 0x6000_1000n,
  })
  expect(leafOf(1, 'PTS', 0xfe5_0ccb_c007n)).toMatchObject({
    aperture: 'sysmem-coherent',
    kind: 0xfe,
    isPrivileged: true,
    isVolatile: true,
    isWritable: false,
  })
  expect(leafOf(1, 'PTS', (1n << 62n) | 1n)).toMatchObject({ isReadable: false, prot: Prot.WRITE | Prot.CACHE })
})

test('a privileged page faults for a user, and the fault has its number', () => {
  const geometry = geometryOf(2)
  const rules = new AccessRules(nvidiaGmmu, geometry, undefined)
  const entry = decode(geometry, nodeOf(geometry, 'PTS'), 0x121n)
  const verdict = rules.path([entry])
  const refused = { type: 'permission', level: 0, reason: '' } as const
  expect(verdict.path).toBe(0b011_000)
  expect(nvidiaGmmu.fault?.({ ...refused, access: 'read', privileged: false }, undefined)).toEqual({
    name: 'PRIV_VIOLATION',
    codes: { FAULT_TYPE: 5 },
  })
  expect(nvidiaGmmu.fault?.({ ...refused, access: 'write', privileged: true }, undefined)).toEqual({
    name: 'RO_VIOLATION',
    codes: { FAULT_TYPE: 6 },
  })
  expect(nvidiaGmmu.fault?.({ type: 'translation', level: 1, reason: '', access: 'read', privileged: false }, undefined).name).toBe('PDE')
})

test('registers that lead to no root, and what is not made, are refused', () => {
  expect(() => nvidiaGmmu.rootsFromRegs({ pageDirBase: 0x1001n })).toThrow(/target 1; 0, 2 or 3 expected/)
  expect(() => nvidiaGmmu.rootsFromRegs({ instanceBlock: 0x1000n })).toThrow(/memory is needed/)
  expect(() => nvidiaGmmu.rootsFromRegs({})).toThrow(/instanceBlock or pageDirBase expected/)
  expect(() => nvidiaGmmu.rootsFromRegs({ pageDirBase: 0x1000n, version: 4n })).toThrow(/0x4: 1, 2 or 3 expected/)
  expect(nvidiaGmmu.rootsFromRegs({ pageDirBase: 0x1c00n, addressLimit: (1n << 57n) - 1n })[0]?.params.version).toBe(3)
  expect(() => nvidiaGmmu.configure({ version: 3, bigPage: 2 * 65536, pgsizeBitmap: 4096n, ias: 57, oas: 52 })).toThrow(/bigPage/)
  const allocator = new PtPool({ base: 0n, size: SZ_1M })
  expect(() => IoPageTable.createRaw(nvidiaGmmu, { allocator, pgsizeBitmap: BigInt(SZ_4K), ias: 49, oas: 47 })).toThrow(/only reads tables/)
})
