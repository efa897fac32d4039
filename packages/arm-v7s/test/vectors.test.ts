/** Every golden vector of the format, file by file: operations, single descriptors, configurations. */
import { describeOutcome, runVectorFile } from '@io-pgtable/conformance'
import { expect, test } from 'vitest'
import { vectorBindings } from '../src/vectors.ts'
import { filesOf, readJson } from './files.ts'

const FOLDERS = ['arm-v7s', 'arm-v7s-mtk', 'arm-v7s-mtk-ttbr', 'arm-v7s-no-perms', 'arm-v7s-ns', 'hand', 'facts', 'config']
const FILES = FOLDERS.flatMap((folder) => filesOf(folder).map((name) => `${folder}/${name}`))

test.each(FILES)('%s', (file) => {
  const outcome = runVectorFile(readJson(`vectors/${file}`), vectorBindings)
  expect(describeOutcome(outcome, file)).toBe('')
})
