/** QEMU's x86 machine `q35` with an IOMMU and the edu device behind it; the CPU is parked. */
import { hex, IoPgtableError } from '@io-pgtable/core'
import { Machine, type QtestClient } from '../machine/index.ts'
import { EDU_ID } from './edu.ts'

/** Slot of the edu device; its BAR is in the hole below 4 GiB. */
const EDU_SLOT = 5
export const EDU_DEVICE: number = EDU_SLOT << 3
export const EDU_BAR = 0xe000_0000n
/** Writes of devices to these addresses are interrupts, which are not translated. */
export const INTERRUPTS = { first: 0xfee0_0000n, last: 0xfeef_ffffn } as const

/** 64 KiB of `hlt`, and at the reset vector `cli; hlt; jmp .-3`. */
function parkedBios(): Uint8Array {
  const bios = new Uint8Array(0x1_0000).fill(0xf4)
  bios.set([0xfa, 0xf4, 0xeb, 0xfd], 0xfff0)
  return bios
}

/** @param iommu QEMU's option; @param machine more options of the machine */
export async function startQ35(iommu: string, memoryGib: bigint, machine = ''): Promise<Machine> {
  const memory = `${memoryGib}G`
  const started = await Machine.start({
    target: 'x86_64',
    files: { bios: parkedBios() },
    args: (file) => [
      ...['-object', `memory-backend-memfd,id=ram,size=${memory},reserve=off`, '-m', memory, '-cpu', 'max'],
      ...['-M', `q35,memory-backend=ram${machine}`, '-bios', file('bios'), '-device', iommu],
      ...['-device', `edu,addr=${EDU_SLOT}.0,dma_mask=0xffffffffffffffff`],
    ],
  })
  const { qtest } = started
  const id = await readConfig(qtest, EDU_DEVICE, 0)
  if (id !== EDU_ID) throw new IoPgtableError('ENODEV', 'edu', `no edu device, but ${hex(id)}`, { value: id })
  writeConfig(qtest, EDU_DEVICE, 0x10, EDU_BAR)
  writeConfig(qtest, EDU_DEVICE, 4, 6n)
  return started
}

/** PCI configuration space by ports (PCI Local Bus Specification 3.0, 3.2.2.3.2). */
function select(qtest: QtestClient, device: number, register: number): void {
  void qtest.outl(0xcf8, 0x8000_0000 + (device << 8) + register)
}
function readConfig(qtest: QtestClient, device: number, register: number): Promise<bigint> {
  select(qtest, device, register)
  return qtest.inl(0xcfc)
}
function writeConfig(qtest: QtestClient, device: number, register: number, value: bigint): void {
  select(qtest, device, register)
  void qtest.outl(0xcfc, value)
}
