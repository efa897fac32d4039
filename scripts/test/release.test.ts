// What a release does beyond changesets: it takes along what bundles other packages, and says where the project is.
import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { changedBy, placed, releasedWith, unplaced } from '../release.mjs'
import { ROOT } from '../workspace.mjs'

const PACKAGES = [
  { name: '@io-pgtable/core', bundles: [] },
  { name: '@io-pgtable/cli', bundles: ['@io-pgtable/core', '@io-pgtable/sv32'] },
  { name: '@io-pgtable/demo', private: true, bundles: ['@io-pgtable/core'] },
]
const named = (changing: string[]) => releasedWith(changing, PACKAGES).map(({ name }) => name)

describe('what is released with others', () => {
  it('is what bundles one that changes', () => {
    expect(named(['@io-pgtable/sv32'])).toEqual(['@io-pgtable/cli'])
    expect(named(['@io-pgtable/core', '@io-pgtable/gpuvm'])).toEqual(['@io-pgtable/cli'])
  })
  it('is nothing where none of them changes, or a changeset names it already', () => {
    expect(named(['@io-pgtable/gpuvm'])).toEqual([])
    expect(named(['@io-pgtable/core', '@io-pgtable/cli'])).toEqual([])
  })
  it('is told by the heads of changesets alone', () => {
    const text = "---\n'@io-pgtable/sv32': patch\n\"@io-pgtable/core\": minor\n---\n\n'@io-pgtable/gpuvm': not this one\n"
    expect(changedBy([text, text])).toEqual(['@io-pgtable/sv32', '@io-pgtable/core'])
    expect(changedBy(['---\n---\n'])).toEqual([])
  })
})

describe('where the project is', () => {
  const root = { repository: 'https://example.org/io-pgtable.git', homepage: 'https://example.org', bugs: 'https://example.org/issues' }
  it('comes from one place, with the folder of each package', () => {
    expect(placed({ name: 'a' }, 'packages/a', root)).toEqual({
      name: 'a',
      repository: { type: 'git', url: root.repository, directory: 'packages/a' },
      homepage: root.homepage,
      bugs: root.bugs,
    })
  })
  it('must be said before anything is published', () => {
    expect(unplaced(root)).toEqual([])
    expect(unplaced({ ...root, bugs: '' })).toEqual(['bugs'])
    const { status, stderr } = spawnSync(process.execPath, [`${ROOT}scripts/release.mjs`, 'publish'], { encoding: 'utf8' })
    expect([status, stderr]).toEqual([1, expect.stringContaining('has no repository, no homepage, no bugs: nothing is published')])
  })
})
