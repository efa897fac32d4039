/** Logs of every source, in the words of the drivers, with values of our own; what each says. */

export interface Sample {
  readonly name: string
  readonly text: string
  readonly kind: string
  readonly record?: object
  readonly access: readonly [iova: string | null, type: string | null, privileged: boolean | null]
  readonly fault: readonly [type: string | null, level: number | null, stage: number | null]
  /** The walk by the entries of the log: where it ends, or the address it leads to. */
  readonly walk?: { readonly level: number; readonly entries: number } | string
}

export const SAMPLES: readonly Sample[] = [
  {
    name: 'arm64, kernel address, nothing mapped',
    kind: 'arm64',
    text: `Unable to handle kernel paging request at virtual address ffff800054627000
Mem abort info:
  ESR = 0x0000000096000047
  EC = 0x25: DABT (current EL), IL = 32 bits
  SET = 0, FnV = 0
  EA = 0, S1PTW = 0
  FSC = 0x07: level 3 translation fault
Data abort info:
  ISV = 0, ISS = 0x00000047, ISS2 = 0x00000000
  CM = 0, WnR = 1, TnD = 0, TagAccess = 0
swapper pgtable: 4k pages, 48-bit VAs, pgdp=0000000080954000
[ffff800054627000] pgd=00002020fffff003, p4d=00002020fffff003, pud=00002020020eb003, pmd=00000020a0dfc003, pte=0000000000000000
Internal error: Oops: 0000000096000047 [#1] SMP
---[ end trace 0000000000000000 ]---`,
    access: ['0xffff800054627000', 'write', true],
    fault: ['translation', 3, 1],
    walk: { level: 3, entries: 4 },
  },
  {
    name: 'arm64, 64K pages: levels printed twice',
    kind: 'arm64',
    text: `Unable to handle kernel paging request at virtual address ffff000007c00000
Mem abort info:
  ESR = 0x0000000096000007
  FSC = 0x07: level 3 translation fault
swapper pgtable: 64k pages, 48-bit VAs, pgdp=00002024f0d80000
[ffff000007c00000] pgd=1800205ffffd0003, p4d=1800205ffffd0003, pud=1800205ffffd0003, pmd=1800205ffffc0003, pte=0068000007c00f06
Internal error: Oops: 0000000096000007 [#1] SMP`,
    access: ['0xffff000007c00000', 'read', true],
    fault: ['translation', 3, 1],
    walk: { level: 3, entries: 3 },
  },
  {
    name: 'arm64, 16K pages',
    kind: 'arm64',
    text: `Unable to handle kernel paging request at virtual address ffff80009033c000
  ESR = 0x96000007
swapper pgtable: 16k pages, 48-bit VAs, pgdp=0000000dc5c44000
[ffff80009033c000] pgd=1000000dce9a0003, p4d=1000000dce9a0003, pud=1000000dce99c003, pmd=10000008105c8003, pte=0000000000000000`,
    access: ['0xffff80009033c000', 'read', true],
    fault: ['translation', 3, 1],
    walk: { level: 3, entries: 4 },
  },
  {
    name: 'arm64, a read-only page',
    kind: 'arm64',
    text: `Unable to handle kernel write to read-only memory at virtual address ffff0000f5c3fff8
Mem abort info:
  ESR = 0x000000009600004f
  EC = 0x25: DABT (current EL), IL = 32 bits
  FSC = 0x0f: level 3 permission fault
  CM = 0, WnR = 1
swapper pgtable: 4k pages, 48-bit VAs, pgdp=0000000081498000
[ffff0000f5c3fff8] pgd=000000017f1f8003, p4d=000000017f1f8003, pud=000000017ec06003, pmd=000000017ea57003, pte=006000017553f793
Internal error: Oops: 000000009600004f [#1] PREEMPT SMP`,
    access: ['0xffff0000f5c3fff8', 'write', true],
    fault: ['permission', 3, 1],
    walk: '0x17553fff8',
  },
  {
    name: 'arm64, a user process, LPA2',
    kind: 'arm64',
    text: `Unable to handle kernel NULL pointer dereference at virtual address 0000000000000010
  ESR = 0x0000000096000004
user pgtable: 4k pages, 52-bit VAs, pgdp=0000000044a50000
[0000000000000010] pgd=0000000045000403, p4d=0000000000000000`,
    access: ['0x10', 'read', true],
    fault: ['translation', 0, 1],
    walk: { level: 0, entries: 2 },
  },
  {
    name: 'ARMv7, short descriptors',
    kind: 'armv7',
    text: `8<--- cut here ---
Unable to handle kernel NULL pointer dereference at virtual address 00000020 when write
pgd = 3e2d4b51
[00000020] *pgd=2bcc8835, *pte=00000000, *ppte=00000000
Internal error: Oops: 817 [#1] PREEMPT SMP ARM
Flags: nzCv  IRQs on  FIQs on  Mode SVC_32  ISA ARM  Segment none
Control: 10c5387d  Table: 2bcb006a  DAC: 00000051
---[ end trace 5b1d2c3e4f5a6b7c ]---`,
    record: { domain: 1 },
    access: ['0x20', 'write', null],
    fault: ['translation', 2, 1],
    walk: { level: 2, entries: 2 },
  },
  {
    name: 'ARMv7, long descriptors',
    kind: 'armv7',
    text: `Unable to handle kernel paging request at virtual address bef2f97c
[bef2f97c] *pgd=8e27d003, *pmd=fa2e9003, *pte=00000000
Internal error: Oops: a07 [#1] SMP ARM
Control: 30c5387d  Table: 8c7c1e00  DAC: fffffffd`,
    access: ['0xbef2f97c', 'write', null],
    fault: ['translation', 3, 1],
    walk: { level: 3, entries: 3 },
  },
  {
    name: 'RISC-V',
    kind: 'riscv-cpu',
    text: `Unable to handle kernel paging request at virtual address ff2000000a40b040
Current kworker/0:1 pgtable: 4K pagesize, 57-bit VAs, pgdp=0x0000000081c2d000
[ff2000000a40b040] pgd=000000002043f401, p4d=000000002043f001, pud=000000002043ec01, pmd=0000000024f2d001, pte=0000000000000000
Oops [#1]
epc : ffffffff80a1b2c4 ra : ffffffff80a1b2a8 sp : ff20000000013c90
status: 0000000200000120 badaddr: ff2000000a40b040 cause: 000000000000000f
---[ end trace 0000000000000000 ]---`,
    record: { cause: 15 },
    access: ['0xff2000000a40b040', 'write', null],
    fault: ['translation', null, 1],
    walk: { level: 0, entries: 5 },
  },
  {
    name: 'x86, a write to a page that is read-only at the top',
    kind: 'x86',
    text: `BUG: unable to handle page fault for address: ffff9d6c14e52000
#PF: supervisor write access in kernel mode
#PF: error_code(0x0003) - permissions violation
PGD 3d4e01067 P4D 3d4e01067 PUD 3d4e02067 PMD 3d4e03063 PTE 80000003d4e52161
Oops: 0003 [#1] PREEMPT SMP PTI
RIP: 0010:0xffffffffc0a01234
CR2: ffff9d6c14e52000 CR3: 00000003d2e0a003 CR4: 00000000003606e0
---[ end trace 0000000000000000 ]---`,
    record: { present: true, write: true },
    access: ['0xffff9d6c14e52000', 'write', true],
    fault: ['permission', null, 1],
    walk: '0x3d4e52000',
  },
  {
    name: 'x86, five levels, nothing there',
    kind: 'x86',
    text: `BUG: kernel NULL pointer dereference, address: 0000000000000008
#PF: supervisor read access in kernel mode
#PF: error_code(0x0000) - not-present page
PGD 104e01067 P4D 0
Oops: Oops: 0000 [#1] SMP NOPTI
CR2: 0000000000000008 CR3: 0000000104e00000 CR4: 0000000000771ef0`,
    access: ['0x8', 'read', true],
    fault: ['translation', null, 1],
    walk: { level: 4, entries: 2 },
  },
  {
    name: 'SMMUv3',
    kind: 'smmuv3',
    text: `arm-smmu-v3 9050000.smmuv3: event 0x10 received:
arm-smmu-v3 9050000.smmuv3: 	0x0000000800000010
arm-smmu-v3 9050000.smmuv3: 	0x0000008000000000
arm-smmu-v3 9050000.smmuv3: 	0x0000000008090040
arm-smmu-v3 9050000.smmuv3: 	0x0000000000000000`,
    record: { name: 'F_TRANSLATION', sid: 8 },
    access: ['0x8090040', 'write', false],
    fault: ['translation', null, 2],
  },
  {
    name: 'SMMUv2',
    kind: 'smmuv2',
    text: 'arm-smmu 15000000.iommu: Unhandled context fault: fsr=0x402, iova=0xfeed0000, fsynr=0x21, cbfrsynra=0x1400, cb=3',
    record: { sid: 0x1400 },
    access: ['0xfeed0000', 'read', true],
    fault: ['translation', 1, null],
  },
  {
    name: 'DMAR, as new kernels print it',
    kind: 'vtd',
    text: `DMAR: DRHD: handling fault status reg 2
DMAR: [DMA Write NO_PASID] Request device [00:02.0] fault addr 0xc0000000 [fault reason 0x05] PTE Write access is not set`,
    record: { reason: 5, device: '00:02.0' },
    access: ['0xc0000000', 'write', null],
    fault: ['permission', null, 2],
  },
  {
    name: 'DMAR, as old kernels print it',
    kind: 'vtd',
    text: `DMAR: DRHD: handling fault status reg 3
DMAR: [DMA Read] Request device [03:00.0] PASID ffffffff fault addr 7c5d8000
DMAR: [fault reason 12] non-zero reserved fields in PTE`,
    record: { reason: 12, device: '03:00.0' },
    access: ['0x7c5d8000', 'read', null],
    fault: ['reserved', null, 2],
  },
  {
    name: 'DMAR, an interrupt',
    kind: 'vtd',
    text: 'DMAR: [INTR-REMAP] Request device [f0:1f.0] fault index 0x8000 [fault reason 0x26] Blocked an interrupt request due to source-id verification failure',
    record: { reason: 0x26, index: 0x8000 },
    access: [null, null, null],
    fault: [null, null, null],
  },
  {
    name: 'AMD-Vi, device in the record',
    kind: 'amdvi',
    text: 'AMD-Vi: Event logged [IO_PAGE_FAULT device=00:02.0 domain=0x0009 address=0xffff2420 flags=0x0020]',
    record: { domain: 9, device: '00:02.0' },
    access: ['0xffff2420', 'write', null],
    fault: ['translation', null, null],
  },
  {
    name: 'AMD-Vi, device in front of the line',
    kind: 'amdvi',
    text: 'nvme 0000:2b:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000a address=0x200001000 flags=0x0050]',
    record: { domain: 10, device: '2b:00.0' },
    access: ['0x200001000', 'read', null],
    fault: ['permission', null, null],
  },
  {
    name: 'AMD-Vi, a bad device table entry',
    kind: 'amdvi',
    text: 'AMD-Vi: Event logged [ILLEGAL_DEV_TABLE_ENTRY device=0000:00:10.0 pasid=0x00000 address=0xfffffffdf8000000 flags=0x0a00]',
    record: { name: 'ILLEGAL_DEV_TABLE_ENTRY', device: '00:10.0' },
    access: ['0xfffffffdf8000000', 'read', null],
    fault: ['bad-config', null, null],
  },
  {
    name: 'RISC-V IOMMU',
    kind: 'riscv-iommu',
    text: 'riscv,iommu 3010000.iommu: Fault 15 devid: 0x10 iotval: 40001000 iotval2: 0',
    record: { cause: 15, device: '00:02.0' },
    access: ['0x40001000', 'write', null],
    fault: ['translation', null, 1],
  },
  {
    name: 'Mali',
    kind: 'mali',
    text: `panfrost fde60000.gpu: Unhandled Page fault in AS1 at VA 0x000000000C3BE100
Reason: TODO
raw fault status: 0x360002C3
decoded fault status: SLAVE FAULT
exception type 0xC3: TRANSLATION_FAULT_3
access type 0x2: READ
source id 0x3600`
      .replace('0x360002C3', '0x360002c3')
      .replace('000C3BE100', '000c3be100'),
    record: { source: 0x3600, as: 1 },
    access: ['0xc3be100', 'read', null],
    fault: ['translation', 3, 1],
  },
  {
    name: 'DART of the T8110',
    kind: 'dart',
    text: 'apple-dart 231304000.iommu: translation fault: status:0x900c0008 stream:0 code:0x8 (NO PTE FOR IOVA) at 0x9f9c0000',
    record: { layout: 't8110', stream: 0 },
    access: ['0x9f9c0000', null, null],
    fault: ['translation', null, 1],
  },
  {
    name: 'DART of the T8020',
    kind: 'dart',
    text: 'apple-dart 382f00000.iommu: translation fault: status:0x82000004 stream:2 code:0x4 (NO PTE FOR IOVA) at 0xfffc000',
    record: { layout: 't8020', stream: 2 },
    access: ['0xfffc000', null, null],
    fault: ['translation', null, 1],
  },
  {
    name: 'amdgpu',
    kind: 'amdgpu',
    text: `amdgpu 0000:08:00.0: amdgpu: [gfxhub0] no-retry page fault (src_id:0 ring:24 vmid:3 pasid:32777, for process test pid 2424 thread test:cs0 pid 2425)
amdgpu 0000:08:00.0: amdgpu:   in page starting at address 0x0000ae8570611000 from IH client 0x1b (UTCL2)
amdgpu 0000:08:00.0: amdgpu: VM_L2_PROTECTION_FAULT_STATUS:0x00301031
amdgpu 0000:08:00.0: amdgpu: 	 Faulty UTCL2 client ID: TCP (0x8)
amdgpu 0000:08:00.0: amdgpu: 	 MORE_FAULTS: 0x1
amdgpu 0000:08:00.0: amdgpu: 	 WALKER_ERROR: 0x0
amdgpu 0000:08:00.0: amdgpu: 	 PERMISSION_FAULTS: 0x3
amdgpu 0000:08:00.0: amdgpu: 	 MAPPING_ERROR: 0x0
amdgpu 0000:08:00.0: amdgpu: 	 RW: 0x0`,
    record: { vmid: 3, clientName: 'TCP' },
    access: ['0xae8570611000', 'read', null],
    fault: ['translation', null, 1],
  },
  {
    name: 'amdgpu, GFX8',
    kind: 'amdgpu',
    text: `amdgpu 0000:01:00.0: GPU fault detected: 147 0x00088802
amdgpu 0000:01:00.0:   VM_CONTEXT1_PROTECTION_FAULT_ADDR   0x00102F40
amdgpu 0000:01:00.0:   VM_CONTEXT1_PROTECTION_FAULT_STATUS 0x08088002`.replace('00102F40', '00102f40'),
    record: { vmid: 4, client: 136 },
    access: ['0x102f40000', 'read', null],
    fault: [null, null, 1],
  },
  {
    name: 'NVIDIA, Xid 31',
    kind: 'nvidia',
    text: 'NVRM: Xid (PCI:0000:01:00): 31, pid=1234, name=test, Ch 00000010, intr 00000000. MMU Fault: ENGINE GRAPHICS GPCCLIENT_T1_0 faulted @ 0x0_0abe0000. Fault is of type FAULT_PTE ACCESS_TYPE_VIRT_READ',
    record: { level: 'PTE' },
    access: ['0xabe0000', 'read', null],
    fault: ['translation', null, 1],
  },
  {
    name: 'nouveau',
    kind: 'nvidia',
    text: 'nouveau 0000:01:00.0: fifo: fault 01 [WRITE] at 0000000000501000 engine 00 [GR] client 0d [GPC0/PROP_0] reason 00 [PDE] on channel 2 [00ff8f1000 test[812]]',
    record: { level: 'PDE' },
    access: ['0x501000', 'write', null],
    fault: ['translation', null, 1],
  },
  {
    name: 'LoongArch',
    kind: 'loongarch',
    text: `CPU 1 Unable to handle kernel paging request at virtual address 0000000000000010, era == 9000000000a01234, ra == 9000000000a01230
Oops[#1]:
  ESTAT: 00020000 [PIS] (IS= ECode=2 EsubCode=0)
  BADV: 0000000000000010`,
    record: { name: 'PIS', code: 2 },
    access: ['0x10', 'write', null],
    fault: ['translation', null, 1],
  },
  {
    name: 'Exynos',
    kind: 'exynos',
    text: `exynos-sysmmu 14850000.sysmmu: 14830000.codec: [READ] PAGE FAULT occurred at 0x6715b3e0
exynos-sysmmu 14850000.sysmmu: Page table base: 0x44a14000
exynos-sysmmu 14850000.sysmmu: 	Lv1 entry: 0x4205001`,
    record: { lv1: '0x4205001', base: '0x44a14000' },
    access: ['0x6715b3e0', 'read', null],
    fault: ['translation', null, 1],
  },
  {
    name: 'Rockchip',
    kind: 'rockchip',
    text: `rk_iommu ff930300.iommu: Page fault at 0x00000000ff400000 of type read
rk_iommu ff930300.iommu: iova = 0x00000000ff400000: dte_index: 0x3fd pte_index: 0x0 page_offset: 0x0
rk_iommu ff930300.iommu: mmu_dte_addr: 0x000000006b1c8000 dte@0x000000006b1c8ff4: 0x6b1c9001 valid: 1 pte@0x000000006b1c9000: 0x000000 valid: 0 page@0x0000000000000000 flags: 0x0`,
    record: { dte: '0x6b1c9001' },
    access: ['0xff400000', 'read', null],
    fault: ['translation', 2, 1],
  },
  {
    name: 'Allwinner',
    kind: 'sun50i',
    text: 'sun50i-iommu 30f0000.iommu: Page fault for 0x00000000ff000000 (master 1, dir wr)',
    record: { master: '0x1' },
    access: ['0xff000000', 'write', null],
    fault: ['translation', null, 1],
  },
  {
    name: 'MediaTek',
    kind: 'mediatek',
    text: 'mtk-iommu 10205000.iommu: fault type=0x5 iova=0x1fd000000 pa=0x0 master=0x4(larb=0 port=4) layer=1 read',
    access: ['0x1fd000000', 'read', null],
    fault: ['translation', null, 1],
  },
  {
    name: 'Tegra',
    kind: 'tegra',
    text: 'tegra-mc 70019000.memory-controller: display0a: read @0x00000000fe000000: Page fault (SMMU translation error [--S])',
    record: { client: 'display0a', rights: '--S' },
    access: ['0xfe000000', 'read', null],
    fault: ['permission', null, 1],
  },
  {
    name: 'i915',
    kind: 'i915',
    text: `i915 0000:00:02.0: [drm] Unexpected fault
	Addr: 0x0000ffff_fee01000
	Address space: PPGTT
	Engine ID: 0
	Source ID: 0
	Type: 0`,
    record: { space: 'PPGTT' },
    access: ['0xfffffee01000', null, null],
    fault: [null, null, 1],
  },
  {
    name: 'xe',
    kind: 'xe',
    text: `xe 0000:03:00.0: [drm:pf_queue_work_func [xe]]
	ASID: 12
	VFID: 0
	PDATA: 0x0d92
	Faulted Address: 0x0000000001a00000
	FaultType: 0
	AccessType: 1
	FaultLevel: 1
	EngineClass: 3 ccs
	EngineInstance: 0`,
    record: { name: 'NOT_PRESENT' },
    access: ['0x1a00000', 'write', null],
    fault: ['translation', 1, 1],
  },
  {
    name: 'Xen on Arm, its own tables',
    kind: 'xen',
    text: `(XEN) Walking Hypervisor VA 0xa00003ce000 on CPU0 via TTBR 0x000000004352d000
(XEN) 0TH[0x014] = 0x4352cf7f
(XEN) 1ST[0x000] = 0x4352bf7f
(XEN) 2ND[0x001] = 0x40000043527f7f
(XEN) 3RD[0x1ce] = 0x400000433cef7f`,
    access: ['0xa00003ce000', null, null],
    fault: [null, null, null],
    walk: '0x433ce000',
  },
  {
    name: 'the entries that VT-d reads',
    kind: 'vtd',
    text: `DMAR: Dump dmar0 table entries for IOVA 0xffebd000
DMAR: root entry: 0x0000000127f42001
DMAR: context entry: hi 0x0000000000001502, low 0x000000012d8ab001
DMAR: pte level: 4, pte value: 0x000000012d8ac003
DMAR: pte level: 3, pte value: 0x000000012d8ad003
DMAR: pte level: 2, pte value: 0x000000012d8ae003
DMAR: pte level: 1, pte value: 0x0000000000000000`,
    record: { domain: 0x15, aw: 2, ssptptr: '0x12d8ab000' },
    access: ['0xffebd000', null, null],
    fault: [null, null, null],
    walk: { level: 1, entries: 4 },
  },
  {
    name: 'an EPT violation of Xen',
    kind: 'ept',
    text: '(XEN) d1v0 EPT violation 0x182 (-w-/---) gpa 0x00000040000000 mfn 0xffffffffffffffff type 5',
    record: { rights: '---' },
    access: ['0x40000000', 'write', null],
    fault: ['translation', null, 2],
  },
  {
    name: 'x86 of 32 bits',
    kind: 'x86',
    text: `BUG: unable to handle page fault for address: 801544f4
#PF: supervisor write access in kernel mode
#PF: error_code(0x0003) - permissions violation
*pde = 0003b163 *pte = 00154121
Oops: 0003 [#1] SMP
CR0: 80050033 CR2: 801544f4 CR3: 0003a000 CR4: 00000690`,
    access: ['0x801544f4', 'write', true],
    fault: ['permission', null, 1],
    walk: '0x1544f4',
  },
]
