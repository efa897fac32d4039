// What the scripts share: the workspace's root folder and its packages, as their package.json files describe them.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('..', import.meta.url))
export const SOURCE = '@io-pgtable/source'

/**
 * @typedef {object} Manifest
 * @property {string} name
 * @property {string} version
 * @property {string} description
 * @property {string[]} [keywords]
 * @property {boolean} [private]
 * @property {{ title: string, format: string, vectors?: string, features?: string, verified?: string }} [ioPgtable] what makes the package a format
 * @property {Record<string, string | Record<string, string>>} [exports] by entry: the file for each condition, or one file
 * @property {Record<string, string>} [scripts]
 * @property {Record<string, string>} [dependencies]
 * @property {Record<string, string>} [devDependencies]
 */

/** @typedef {{ folder: string, manifest: Manifest }} Package `folder` is relative to the root, with forward slashes */

/** Where the packages that are formats are, and what families of them share. */
export const FORMATS = 'packages/formats'

/** The packages below `packages` or `apps`, those of a folder by name. @param {string} group @returns {Package[]} */
export function packagesIn(group) {
  return readdirSync(ROOT + group)
    .sort()
    .map((name) => `${group}/${name}`)
    .flatMap((folder) => {
      if (folder === FORMATS) return packagesIn(folder)
      if (!existsSync(`${ROOT}${folder}/package.json`)) return []
      return [{ folder, manifest: JSON.parse(readFileSync(`${ROOT}${folder}/package.json`, 'utf8')) }]
    })
}
