/** docs/VERIFICATION.md, from the workspace's files and what the oracles' runs left in reports/oracle. */
import { join } from 'node:path'
import { collect, type FormatPackage, readOutcomes } from './collect.ts'
import { verificationText } from './markdown.ts'

/**
 * The page's text. scripts/verification.mjs calls it.
 * @public
 * @param root the workspace's folder
 * @param packages of the formats, in the order of the text
 */
export function verification(root: string, packages: readonly FormatPackage[]): string {
  return verificationText(collect(root, packages, readOutcomes(join(root, 'reports', 'oracle'))))
}
