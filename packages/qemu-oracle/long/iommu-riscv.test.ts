import { RISCV, RiscvIommu } from '../src/iommu/index.ts'
import { describeIommu } from './iommu-body.ts'

describeIommu('riscv64', 'RISC-V IOMMU', () => RiscvIommu.start(), RISCV)
