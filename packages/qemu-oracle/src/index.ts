/** Real QEMU as independent hardware: its IOMMUs, with DMA of a device behind them, walk our tables. */
export * from './iommu/index.ts'
export * from './machine/index.ts'
