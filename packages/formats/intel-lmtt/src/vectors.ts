/** How golden vectors that were recorded from Linux's driver xe speak of this format. */
import {
  type DriverVectorBinding,
  deposit,
  hex,
  type JsonValue,
  nodeOf,
  SZ_2M,
  type VectorBinding,
  type VectorMembers,
} from '@io-pgtable/core'
import { FUNCTION_SHIFT, type IntelLmttConfig, intelLmtt } from './index.ts'

function request({ levels, oas }: VectorMembers): IntelLmttConfig {
  return { levels: levels === 2 ? 2 : 3, oas: Number(oas), ias: FUNCTION_SHIFT + 6, pgsizeBitmap: BigInt(SZ_2M) }
}

/** The files give the function beside the offset; an entry of the root has none. */
function inputAddress(vf: JsonValue | undefined, offset: JsonValue | undefined): bigint {
  return (BigInt(Number(vf)) << BigInt(FUNCTION_SHIFT)) | BigInt(String(offset ?? 0))
}

/** An entry as the declaration has it. */
function fact(row: VectorMembers): bigint {
  const levels = row['levels of the format'] === 2 ? 2 : 3
  const { nodes } = intelLmtt.geometry(intelLmtt.params(intelLmtt.configure(request({ levels, oas: levels === 2 ? 35 : 48 }))))
  const kind = nodeOf({ nodes } as never, String(row.node)).kinds.find(({ type }) => type === 'leaf' || type === 'table')
  return kind?.type === 'leaf' || kind?.type === 'table' ? kind.set | deposit(BigInt(String(row.address)), kind.address) : 0n
}

const binding: DriverVectorBinding<typeof intelLmtt> = {
  family: 'driver',
  format: 'intel-lmtt',
  fmt: intelLmtt,
  config: request,
  registers: ({ regs, roots: [root = 0n] }) => ({ lmemCfgEnable: hex(regs.lmemCfg - root / 65536n), dirPtrUnit: 65536 }),
  level: ({ id }) => id,
  tableAddressMask: () => 0n,
  tableMemory: () => 0x1_0000_0000n,
  iova: ({ vf, iova }) => inputAddress(vf, iova),
  row: ([vf, offset, ...rest]) => [hex(inputAddress(vf, offset)), ...rest],
  facts: { rows: fact },
}

export const vectorBindings: readonly VectorBinding[] = [binding]
