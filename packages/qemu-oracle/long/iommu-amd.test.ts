import { AMD, AmdVi } from '../src/iommu/index.ts'
import { describeIommu } from './iommu-body.ts'

describeIommu('x86_64', 'AMD-Vi', () => AmdVi.start(), AMD)
