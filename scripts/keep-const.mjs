// esbuild prints top-level `const`, `let` and `class` as `var` when it bundles; V8 then no longer knows which of them never change, and hot
// loops over module constants take a fifth longer (docs/PERFORMANCE.md). This makes those that are never assigned constants again.
import { transform } from 'esbuild'

/** @param {string} code bundled by esbuild @returns {Promise<string>} */
export async function keepConst(code) {
  const changing = new Set(await assigned(constants(code, new Set())))
  return constants(code, changing)
}

/** @param {string} code @param {Set<string>} changing names that stay variables */
function constants(code, changing) {
  return code.replace(/^var ([\w$]+)(?= = )/gm, (all, name) => (changing.has(name) ? all : `const ${name}`))
}

/** The constants that the code assigns to, by esbuild's own warning. @param {string} code @returns {Promise<string[]>} */
async function assigned(code) {
  const { warnings } = await transform(code, {
    loader: 'js',
    logLevel: 'silent',
    logLimit: 0,
    logOverride: { 'assign-to-constant': 'warning' },
  })
  return warnings.filter(({ id }) => id === 'assign-to-constant').map(({ text }) => /"([^"]+)"/.exec(text)?.[1] ?? '')
}
