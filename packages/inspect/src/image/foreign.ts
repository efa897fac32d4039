/** Files that hold memory, but not as it stands: dumps that are compressed or in pages, snapshots, archives. They are named, and refused. */

export interface Foreign {
  readonly name: string
  /** What makes a file of it that can be read. */
  readonly advice?: string
}

/** First bytes, as Latin-1 text. */
const MAGICS: readonly (readonly [magic: string, Foreign])[] = [
  ['KDUMP   ', { name: 'a kdump-compressed dump (KDUMP)', advice: 'makedumpfile -E writes an ELF core' }],
  ['DISKDUMP', { name: 'a diskdump' }],
  ['makedumpfile\0', { name: "makedumpfile's flattened format", advice: 'makedumpfile -R puts it together' }],
  ['PAGEDU64', { name: 'a Windows crash dump of 64 bits (PAGEDU64)' }],
  ['PAGEDUMP', { name: 'a Windows crash dump of 32 bits (PAGEDUMP)' }],
  ['MDMP', { name: 'a Windows minidump' }],
  ['AVML', { name: 'an AVML dump, version 2: compressed', advice: 'avml-convert writes LiME' }],
  ['QEVM', { name: "QEMU's migration stream", advice: 'dump-guest-memory writes an ELF core' }],
  ['LibvirtQemudSave', { name: 'a saved machine of libvirt', advice: 'virsh dump --memory-only writes an ELF core' }],
  ['\xd2\xbe\xd2\xbe', { name: 'a VMware snapshot (vmss, vmsn)', advice: 'the memory is in the .vmem file' }],
  ['\xd1\xba\xd1\xba', { name: 'a VMware snapshot (vmss, vmsn)', advice: 'the memory is in the .vmem file' }],
  ['QFI\xfb', { name: 'a qcow2 disk' }],
  ['KDMV', { name: 'a VMDK disk' }],
  ['\x1f\x8b\x08', { name: 'a gzip file', advice: 'unpack it first' }],
  ['\xfd7zXZ\0', { name: 'an xz file', advice: 'unpack it first' }],
  ['\x28\xb5\x2f\xfd', { name: 'a zstd file', advice: 'unpack it first' }],
  ['\x04\x22\x4d\x18', { name: 'an lz4 file', advice: 'unpack it first' }],
  ['BZh', { name: 'a bzip2 file', advice: 'unpack it first' }],
  ['PK\x03\x04', { name: 'a zip file', advice: 'unpack it first' }],
]

/** Bytes of the longest magic. */
export const LONGEST_MAGIC: number = Math.max(...MAGICS.map(([magic]) => magic.length))

/** What a file is that begins so; undefined for none of those that are known. */
export function foreignOf(bytes: Uint8Array): Foreign | undefined {
  return MAGICS.find(([magic]) => [...magic].every((char, i) => bytes[i] === char.charCodeAt(0)))?.[1]
}
