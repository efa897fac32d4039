/** Exception codes of LoongArch's ESTAT that are of translation: LoongArch Reference Manual, volume 1, table 20. */
import type { AccessKind, FaultType } from '@io-pgtable/core'

interface Code {
  readonly name: string
  readonly meaning: string
  readonly access?: AccessKind
  readonly type?: FaultType
}

export const LOONGARCH_CODES: Readonly<Record<number, Code>> = {
  1: { name: 'PIL', meaning: 'a load from a page that is not valid', access: 'read', type: 'translation' },
  2: { name: 'PIS', meaning: 'a store to a page that is not valid', access: 'write', type: 'translation' },
  3: { name: 'PIF', meaning: 'a fetch from a page that is not valid', access: 'execute', type: 'translation' },
  4: { name: 'PME', meaning: 'a store to a page that is not dirty', access: 'write', type: 'access-flag' },
  5: { name: 'PNR', meaning: 'a load from a page that is not readable', access: 'read', type: 'permission' },
  6: { name: 'PNX', meaning: 'a fetch from a page that is not executable', access: 'execute', type: 'permission' },
  7: { name: 'PPI', meaning: 'the page is of another privilege level', type: 'permission' },
  8: { name: 'ADEF', meaning: 'a fetch from an address that is not valid', access: 'execute' },
}
