// The examples in the documentation: the fences of a text that begin with ```ts.
import { readFileSync } from 'node:fs'
import { ROOT } from './workspace.mjs'

/**
 * @typedef {object} Fence
 * @property {number} line where it opens
 * @property {string} words what follows the language on that line
 * @property {string} code at the same line numbers as in the text, so that a message about it names the place
 */

/** @param {string} text relative to the root @returns {Fence[]} */
export function fences(text) {
  const lines = readFileSync(ROOT + text, 'utf8').split('\n')
  const found = []
  for (let at = 0; at < lines.length; at++) {
    const opening = /^```ts\b(.*)$/.exec(lines[at] ?? '')
    if (!opening) continue
    const end = lines.indexOf('```', at)
    if (end < 0) throw new Error(`${text}:${at + 1}: a fence that nothing closes`)
    found.push({ line: at + 1, words: opening[1] ?? '', code: '\n'.repeat(at + 1) + lines.slice(at + 1, end).join('\n') })
    at = end
  }
  return found
}
