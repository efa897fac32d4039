// The long tests, `long/**/*.test.ts` of a package or app: what takes more than the few seconds that `npm test` has for it.
import { configOf } from './vitest.config.ts'

export default configOf('long', { testTimeout: 600_000 })
