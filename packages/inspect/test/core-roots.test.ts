/** Roots that a core says by itself: notes of QEMU, VMCOREINFO; and cores that say impossible things. */
import { describe, expect, test } from 'vitest'
import { elfNotes } from '../src/image/notes.ts'
import { openImage } from '../src/image/open.ts'
import { bytesSource } from '../src/image/source.ts'
import { type CoreRoot, coreRoots } from '../src/roots/core-roots.ts'
import { type CoreNote, elfCore, qemuNote, vmcoreinfo } from './support/core.ts'

const PG = 0x8000_0001n

async function rootsIn(machine: number, ...notes: readonly CoreNote[]): Promise<readonly CoreRoot[]> {
  return coreRoots(await elfNotes(bytesSource(elfCore({ machine, notes }))))
}

describe('QEMU’s notes of x86 CPUs', () => {
  const other: CoreNote = { name: 'CORE', type: 1, bytes: new Uint8Array(336) }

  test.each([
    ['x86-64', 62, 0x20n],
    ['x86-64', 62, 0x1020n],
    ['x86-pae', 3, 0x20n],
    ['x86-32', 3, 0x10n],
  ] as const)('%s, machine %i, CR4 %s', async (role, machine, cr4) => {
    const [root, ...more] = await rootsIn(machine, other, qemuNote(PG, 0x10_6003n, cr4))
    expect(root).toEqual({ role, registers: { cr3: 0x10_6003n, cr4 }, from: "CPU 0, QEMU's note" })
    expect(more).toEqual([])
  })

  test('each root once, by the CPU that has it first; a CPU without paging has none', async () => {
    const roots = await rootsIn(
      62,
      qemuNote(1n, 0n, 0n),
      qemuNote(PG, 0x1000n, 0x20n),
      qemuNote(PG, 0x1000n, 0x20n),
      qemuNote(PG, 0x2000n, 0x20n),
    )
    expect(roots.map(({ from, registers }) => [from, registers.cr3])).toEqual([
      ["CPU 1, QEMU's note", 0x1000n],
      ["CPU 3, QEMU's note", 0x2000n],
    ])
  })

  test('notes of other machines, versions and lengths tell nothing', async () => {
    expect(await rootsIn(183, qemuNote(PG, 0x1000n, 0x20n))).toEqual([])
    const newer = qemuNote(PG, 0x1000n, 0x20n)
    newer.bytes[0] = 2
    expect(await rootsIn(62, newer)).toEqual([])
    expect(await rootsIn(62, { name: 'QEMU', type: 0, bytes: new Uint8Array(100) })).toEqual([])
    expect(await rootsIn(62)).toEqual([])
  })
})

describe('VMCOREINFO', () => {
  test.each([
    [
      'x86-64, moved by KASLR',
      62,
      'SYMBOL(swapper_pg_dir)=ffffffffa2c0a000\nNUMBER(phys_base)=-536870912\nNUMBER(pgtable_l5_enabled)=0\n',
      { cr3: 0x2c0_a000n, cr4: 0x20n },
    ],
    [
      'x86-64, five levels',
      62,
      'SYMBOL(init_top_pgt)=ffffffff82c0a000\nNUMBER(phys_base)=0\nNUMBER(pgtable_l5_enabled)=1',
      { cr3: 0x2c0_a000n, cr4: 0x1020n },
    ],
    [
      'arm64, 4K and 48 bits',
      183,
      'OSRELEASE=6.1.0\nPAGESIZE=4096\nSYMBOL(swapper_pg_dir)=ffff8000815aa000\nNUMBER(kimage_voffset)=0xffff800040000000\nNUMBER(TCR_EL1_T1SZ)=0x10',
      { ttbr1: 0x415a_a000n, tcr: 0x5_8010_0080n, mair: 0x4_0044_ffffn },
    ],
    [
      'arm64, 16K and 52 bits',
      183,
      'PAGESIZE=16384\nSYMBOL(swapper_pg_dir)=ffff8000815aa000\nNUMBER(kimage_voffset)=0xffff800040000000\nNUMBER(TCR_EL1_T1SZ)=0xc',
      { ttbr1: 0x415a_a000n, tcr: 0x800_0006_400c_0080n, mair: 0x4_0044_ffffn },
    ],
    [
      'RISC-V, 48 bits',
      243,
      'SYMBOL(swapper_pg_dir)=ffffffff8142e000\nNUMBER(VA_BITS)=48\nNUMBER(va_kernel_pa_offset)=0xfffffffefee00000',
      { satp: 0x9000_0000_0008_262en },
    ],
  ] as const)('%s', async (_, machine, text, registers) => {
    const [root] = await rootsIn(machine, vmcoreinfo(text))
    expect(root?.registers).toEqual(registers)
    expect(root?.from).toMatch(/the kernel, VMCOREINFO/)
  })

  test.each([
    ['a part is missing', 62, 'SYMBOL(swapper_pg_dir)=ffffffff82c0a000'],
    [
      'a number is none',
      183,
      'PAGESIZE=4096\nSYMBOL(swapper_pg_dir)=ffff8000815aa000\nNUMBER(kimage_voffset)=many\nNUMBER(TCR_EL1_T1SZ)=0x10',
    ],
    [
      'a page size that no granule has',
      183,
      'PAGESIZE=8192\nSYMBOL(swapper_pg_dir)=ffff8000815aa000\nNUMBER(kimage_voffset)=0x0\nNUMBER(TCR_EL1_T1SZ)=0x10',
    ],
    ['another machine', 22, 'SYMBOL(swapper_pg_dir)=ffffffff82c0a000\nNUMBER(phys_base)=0'],
  ])('%s: no root', async (_, machine, text) => {
    expect(await rootsIn(machine, vmcoreinfo(text))).toEqual([])
  })
})

describe('cores', () => {
  test('of both byte orders are read alike', async () => {
    for (const little of [true, false]) {
      const memory = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
      const bytes = elfCore({
        machine: 22,
        notes: [{ name: 'LINUX', type: 0x304, bytes: Uint8Array.of(9) }],
        paddr: 0x8000n,
        memory,
        little,
      })
      const { machine, notes, ...rest } = await elfNotes(bytesSource(bytes))
      expect({ machine, ...rest }).toEqual({ machine: 22, is64: true, little })
      expect(notes).toEqual([{ name: 'LINUX', type: 0x304, bytes: Uint8Array.of(9) }])
      const image = await openImage(bytesSource(bytes))
      expect(await image.loading(() => image.read(0x8002n, 4))).toEqual(Uint8Array.of(3, 4, 5, 6))
    }
  })

  test('whose notes are too long, or end beyond the file, are refused', async () => {
    const change = (edit: (view: DataView) => void): Promise<unknown> => {
      const bytes = elfCore({ machine: 62, notes: [qemuNote(PG, 0x1000n, 0x20n)], memory: new Uint8Array(64) })
      edit(new DataView(bytes.buffer))
      return elfNotes(bytesSource(bytes))
    }
    await expect(change((view) => view.setBigUint64(64 + 32, 1n << 40n, true))).rejects.toThrow(/EBADMSG.*bytes of notes/)
    await expect(change((view) => view.setBigUint64(64 + 32, 4096n, true))).rejects.toThrow(/EBADMSG.*end beyond the file/)
    await expect(change((view) => view.setUint32(64 + 112 + 4, 0xffff_fff0, true))).rejects.toThrow(/EBADMSG.*a note of 5 and/)
    await expect(change((view) => view.setUint32(64 + 112, 0xffff_fff0, true))).rejects.toThrow(/EBADMSG.*a note of/)
    await expect(change((view) => view.setUint8(5, 3))).rejects.toThrow(/EI_DATA is 3/)
  })
})
