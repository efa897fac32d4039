/** What no oracle here checks, by format: facts about formats and models, not about runs. */

/** Of any format: why its walks by QEMU prove what they prove, and no more. */
export const METHOD = `Three kinds of evidence come from outside of this project:

- **Golden vectors**: calls, results, table bytes and TLB events, recorded from the kernel's own page-table code. They say what software
  writes, not what hardware reads.
- **QEMU's IOMMU models and CPU MMUs**: walkers that are not ours read tables that our engine built. What the pool's \`sync\` hook reported
  is uploaded, and nothing else: the rest is poisoned. An IOMMU model moves bytes by DMA. A CPU runs a guest program of a few dozen
  instructions, which translates (\`AT\`, \`ATS1C..\`, \`ATS12..\`), or loads, stores and runs at the addresses with both privileges; where
  there is no RAM, the monitor of x86-64 and RISC-V translates (\`gva2gpa\`). Of each mapping that a guest reaches, first and last byte, one
  between them, and what lies beside it are asked; addresses at both ends of the windows and outside of them are asked, too.
- **Real dumps**: memory of running kernels, whose tables are decoded and compared with what the kernel or the CPU said of them.

*Translations* and *faults* count answers that were what they had to be: an address and, where the model tells it, the memory type; or the
kind of fault and, where it is told, its level. *Wrong* counts descriptors that were made wrong on purpose, one bit each (type, address,
attribute): the walker's answer, right before, had to become another one. The other answers of CPU MMUs include those about leaves with random attribute bits, which
our decoder had to read as the CPU does. *Flushes* counts changes after which our TLB callbacks left nothing stale. All runs are seeded.`

/** What is written, read or claimed and checked by vectors and by our own tests alone, or by nobody. */
export const UNCHECKED: Readonly<Record<string, readonly string[]>> = {
  'arm-v7s': [
    'The MediaTek extensions (34 and 35 address bits): QEMU has no such walker; vectors alone.',
    'Memory attributes (TEX, C, B, S): QEMU does not tell them for short descriptors. Domains beyond client and manager.',
    'NS: the CPU runs in Non-secure state, where it is ignored.',
  ],
  'arm32-lpae-s1': [
    'NS and NSTable: ignored in Non-secure state. DBM, which only an SMMU reads here. The TCR fields for drivers that pack their own register.',
    'Limits of table descriptors (APTable, XNTable, PXNTable), which we only decode.',
  ],
  'arm32-lpae-s2': [
    'A walk of 40 bits from level 0, which AArch32 registers cannot say and io-pgtable builds for `oas` 32 and 36.',
    'Forced write-back (FEAT_S2FWB), which AArch32 hypervisors do not have. DBM.',
  ],
  'arm64-lpae-s1': [
    'NS and NSTable: ignored in Non-secure state. Limits of table descriptors (APTable, UXNTable, PXNTable), which we only decode.',
    'That a contiguous hint has an effect. That walks are cacheable as TCR says (ORGN, IRGN, SH): no model has such caches.',
  ],
  'arm64-lpae-s2': [
    'XN of EL0 alone and of EL1 alone (FEAT_XNX), beyond what NOEXEC writes. FnXS. Realm and MEC bits.',
    'That a contiguous hint has an effect. Leaves that only others write, beyond what the flipped bits show.',
  ],
  amdv1: ['FC, and dirty tracking by hardware. Permissions of tables, which the model combines and we write as allowed.'],
  vtdss: ['Memory types, SNP and XD, which the model ignores. Tables of 5 levels.'],
  x86_64: [
    'The encryption bit (AMD SME), which QEMU does not have. Memory types (PWT, PCD, PAT), which do nothing in QEMU. Protection keys.',
  ],
  riscv64: ['The effect of memory types (Svpbmt). Shadow stack pages (Zicfiss), which are only decoded.'],
  'riscv64-g': ['The IOMMU model ignores Svnapot, PBMT, A and U, and has no 64K pages: no oracle walks those. No CPU MMU is asked here.'],
  sv32: ['The IOMMU with SXL = 1. Shadow stack pages (Zicfiss), which are only decoded.'],
  'sun50i-iommu': [
    'Recorded from the Linux driver, and an independent walker agrees. No hardware walker. The other masters than the one chosen.',
  ],
  'rockchip-iommu': [
    'Recorded from the Linux driver, and an independent walker agrees. No hardware walker. The effect of cache bits and security.',
  ],
  'exynos-sysmmu': [
    'Recorded from the Linux driver, and an independent walker agrees. No hardware walker. Supersections; cacheability and shareability.',
  ],
  'tegra-smmu': [
    'Recorded from the Linux driver, and an independent walker agrees. No hardware walker. Sections of 4 MiB, by a description alone.',
  ],
  'omap-iommu': [
    'Recorded from the Linux driver, and an independent walker agrees. No hardware walker. The effect of endianness and element sizes.',
  ],
  's390-zpci': [
    'Recorded from the Linux driver, and an independent walker agrees. No hardware walker. Table offset and length; roots of segment tables.',
  ],
  'ppc-tce': [
    'Recorded from the Linux driver, and an independent walker agrees. No hardware walker. What bridges do with bits below the address.',
  ],
  'sprd-iommu': ['Recorded from the Linux driver, and an independent walker agrees. No hardware walker. What bits 31:20 of an entry do.'],
  'mtk-iommu-v1': ['Recorded from the Linux driver, and an independent walker agrees. No hardware walker. The alignment of the table.'],
  'apple-dart': ['What hardware reads: there is no walker in QEMU and no dump; vectors alone.'],
  'apple-dart2': ['What hardware reads: there is no walker in QEMU and no dump; vectors alone.'],
  v3d: ['Recorded from the Linux driver v3d, and an independent walker agrees. No hardware walker. An entry with both size bits; the cap.'],
  'mali-utgard': ['Recorded from the Linux driver lima, and an independent walker agrees. No hardware walker. The effect of cache bits.'],
  'gma500-sgx': ['Recorded from the Linux driver gma500, and an independent walker agrees. No hardware walker.'],
  habana: ['Recorded from the Linux driver habanalabs, and an independent walker agrees. No hardware walker. The tree of device memory.'],
  etnaviv: ['Recorded from the Linux driver etnaviv, and an independent walker agrees. No hardware walker. Exceptions of present entries.'],
  'powervr-rogue': [
    'Recorded from the Linux driver powervr, and an independent walker agrees. No hardware walker. Mixed page sizes, only read.',
  ],
  'intel-ipu': ['Recorded from the Linux drivers ipu3-imgu and intel-ipu6, and an independent walker agrees. No hardware walker.'],
  'qcom-a2xx': ['Recorded from the Linux driver msm, and an independent walker agrees. No hardware walker. Split mode.'],
  'apple-uat': ['Recorded from the Asahi driver and m1n1, and an independent walker agrees. No hardware walker. Rights at GL1.'],
  'amdgpu-vm': [
    'Recorded from the Linux driver amdgpu, and a walker by umr agrees. No hardware walker. It only reads. Leaves that are not aligned.',
  ],
  'intel-ggtt': [
    'Recorded from the Linux drivers i915 and xe, and an independent walker agrees. No hardware walker. Ranges of virtual functions.',
  ],
  'nvidia-gmmu': [
    'Read only. Recorded from Linux nouveau and NVIDIA UVM, and an independent walker agrees. No hardware walker. Shortened tables of version 1.',
  ],
  'intel-lmtt': ['Read only. Recorded from the Linux driver xe, and an independent walker agrees. No hardware walker.'],
  'arm-mali-lpae': ['What a Mali GPU reads: there is no walker in QEMU and no dump; vectors alone.'],
}
