/**
 * What the formats of Arm's long descriptors (LPAE, VMSAv8-64, VMSAv8-32) share. Arm ARM for A-profile, DDI 0487 (issue K), chapter D8, and
 * for AArch32 G5; DDI 0406C, B3.6, for ARMv7. A format takes from here the nodes of its levels, the coding of its attributes and the codes
 * of its registers, and adds what is its own.
 */
export { type Lpa2Config, narrow32, narrow64 } from './config.ts'
export { AARCH32_HYP, AARCH32_STAGE1, AARCH64_SINGLE, AARCH64_STAGE1, aarch32Stage2, aarch64Stage2, LEAF_AF } from './fields.ts'
export {
  firstLevel,
  granuleOf,
  type LpaeDescriptors,
  type LpaeShape,
  levelShift,
  lpaeGeometry,
} from './geometry.ts'
export {
  type ArmLpaeTcr,
  type ArmLpaeVtcr,
  badRegister,
  codeOf,
  OUTPUT_SIZES,
  packWalk,
  rootOf,
  TG0,
  TG1,
  ttbrOf,
  walkFields,
} from './registers.ts'
export {
  armFault,
  fetchNeedsRead,
  mairType,
  type Stage1Regime,
  type Stage2Regime,
  sctlrOf,
  stage1Denies,
  stage1RegimeOf,
} from './rights.ts'
export {
  encodeStage1,
  encodeStage1Table,
  LPAE_POLICY,
  MAIR,
  type MairContext,
  ownRegime,
  protStage1,
  type Stage1Config,
  type Stage1Quirk,
  SW_SYNC,
  stage1Policy,
} from './stage1.ts'
export {
  encodeStage2,
  protStage2,
  type Stage2Context,
  type Stage2Quirk,
  stage2Policy,
  stage2Start,
  stage2Tables,
  vtcrFields,
} from './stage2.ts'
