// The published types as a user meets them: every package's tarball is unpacked into an empty folder, and two majors of TypeScript compile every
// entry and every example of the READMEs there, with their defaults (no `lib`, no Node types) and with the declarations checked, too.
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fences } from './fences.mjs'
import { attempt, inFolder, installed, pack, published, run } from './tarballs.mjs'
import { ROOT } from './workspace.mjs'

const DEFAULTS = { module: 'nodenext', strict: true, noEmit: true, skipLibCheck: false, noUncheckedSideEffectImports: true }
const COMPILERS = ['typescript-5', 'typescript']
/** What a user sets: `nodenext` alone, which takes the newest target, and the oldest target that the packages are built for. */
const OPTIONS = [{}, { target: 'es2022' }]
/** The one test runner that an example imports; its own declarations are not ours to check. */
const RUNNER = "declare module 'vitest' {\n  export function test(name: string, body: () => void | Promise<void>): void\n}\n"

/** @param {string} user the folder @param {string} name @param {string} tarball */
function unpack(user, name, tarball) {
  const to = join(user, 'node_modules', name)
  mkdirSync(to, { recursive: true })
  run(user, 'tar', '-xzf', tarball, '-C', to, '--strip-components=1')
  return to
}

/** Other people's packages, as the workspace has them. @param {string} user */
function others(user) {
  for (const { folder, manifest } of published) {
    for (const name of Object.keys(manifest.dependencies ?? {}).filter((name) => !name.startsWith('@io-pgtable/'))) {
      const to = join(user, 'node_modules', name)
      mkdirSync(dirname(to), { recursive: true })
      symlinkSync(installed(name, join(ROOT, folder)), to, 'junction')
    }
  }
}

/** One file that imports every entry with types. @param {string[]} folders of the unpacked packages */
function entries(folders) {
  return folders
    .map((folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')))
    .flatMap(({ name, exports }) => Object.entries(exports).flatMap(([entry, target]) => (target.types ? [name + entry.slice(1)] : [])))
    .map((entry) => `import '${entry}'`)
}

/** @param {string} user @returns {Map<string, string>} text by the file made of one of its examples */
function examples(user) {
  const texts = ['README.md', ...published.map(({ folder }) => `${folder}/README.md`)]
  const found = texts.flatMap((text) => fences(text).map(({ code }) => ({ text, code })))
  return new Map(
    found.map(({ text, code }, i) => {
      writeFileSync(join(user, `example-${i}.ts`), `${code}\nexport {}\n`)
      return [`example-${i}.ts`, text]
    }),
  )
}

await inFolder('user-types', async (out) => {
  const user = join(out, 'user')
  const tarballs = pack(join(out, 'tarballs'))
  const folders = [...tarballs].map(([name, tarball]) => unpack(user, name, tarball))
  others(user)
  const files = examples(user)
  writeFileSync(join(user, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }))
  writeFileSync(join(user, 'entries.ts'), entries(folders).join('\n'))
  writeFileSync(join(user, 'runner.d.ts'), RUNNER)

  return COMPILERS.flatMap((compiler) =>
    OPTIONS.flatMap((options) => {
      const compilerOptions = { ...DEFAULTS, ...options }
      writeFileSync(join(user, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
      const { ok, output } = attempt(user, process.execPath, join(installed(compiler, ROOT), 'bin/tsc'), '-p', '.')
      const named = [...files].reduce((text, [file, name]) => text.replaceAll(file, name), output)
      return ok ? [] : [`${compiler}, ${JSON.stringify(compilerOptions)}:\n${named}`]
    }),
  )
})
