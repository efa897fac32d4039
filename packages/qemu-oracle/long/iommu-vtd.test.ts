import { VTD_FIRST, VTD_LEGACY, VTD_SECOND, Vtd } from '../src/iommu/index.ts'
import { describeIommu } from './iommu-body.ts'

describeIommu('x86_64', 'VT-d, legacy mode', () => Vtd.start('legacy', 39), [VTD_LEGACY[39]])
describeIommu('x86_64', 'VT-d, legacy mode', () => Vtd.start('legacy', 48), [VTD_LEGACY[48]])
describeIommu('x86_64', 'VT-d, scalable mode', () => Vtd.start('scalable, second stage', 48), [VTD_SECOND])
describeIommu('x86_64', 'VT-d, scalable mode', () => Vtd.start('scalable, first stage', 48), VTD_FIRST)
