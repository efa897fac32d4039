// esbuild prints top-level `const` and `class` as `var` when it bundles; V8 then no longer knows that they never change, and hot loops over
// module constants take a fifth longer (docs/PERFORMANCE.md). This gives them back, and fails where one of them is assigned to.
import { transform } from 'esbuild'

/** @param {string} code bundled by esbuild @returns {Promise<string>} */
export async function keepConst(code) {
  const kept = code.replace(/^var (?=[\w$]+ = )/gm, 'const ')
  const { warnings } = await transform(kept, { loader: 'js', logLevel: 'silent', logOverride: { 'assign-to-constant': 'warning' } })
  const assigned = warnings.filter((warning) => warning.id === 'assign-to-constant')
  if (assigned.length > 0) throw new Error(`assigned, but printed as a constant: ${assigned.map((warning) => warning.text).join('; ')}`)
  return kept
}
