import { preset } from '../../../scripts/tsup-preset.ts'

export default preset()
