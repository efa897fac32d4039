/** What the RISC-V formats share. It is no format by itself. */
export { RISCV_POLICY, type RiscvLeafOptions, riscvLeafBits, riscvProt } from './attributes.ts'
export { agreeRiscv, type RiscvLimits } from './config.ts'
export { type RiscvExtension, type RiscvScheme, riscvNodes } from './descriptors.ts'
export { packAtp, type RiscvAtp, unpackAtp } from './registers.ts'
export {
  enabledExtensions,
  RISCV_REGIMES,
  type RiscvRegime,
  riscvDenies,
  riscvFault,
  riscvGuest,
  riscvRegime,
  riscvSupervisor,
} from './rights.ts'
