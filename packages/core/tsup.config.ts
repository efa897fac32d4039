import { preset } from '../../scripts/tsup-preset.ts'

// each entry whole: V8 folds the constants of the loops within a module only
export default preset({ splitting: false })
