/** The check of one configuration, with walkers that are made up: a wrong one must not pass. */
import { arm64LpaeS1 } from '@io-pgtable/arm64-lpae-s1'
import { Prot, pgsizeBitmap, SZ_2M, SZ_4K } from '@io-pgtable/core'
import { expect, it } from 'vitest'
import type { Answer } from '../src/cpu/question.ts'
import type { Ask, Rules } from '../src/cpu/rules.ts'
import { Subject } from '../src/cpu/subject.ts'
import type { QtestClient } from '../src/machine/index.ts'

const done = async (): Promise<string> => ''
const NOWHERE = { fill: done, write: done, writeq: done, settle: done } as unknown as QtestClient
const RULES: Rules = {
  accesses: ['priv read', 'priv write'],
  below: 0xfffn,
  grants: (prot, access) => access === 'priv read' || prot > Prot.READ,
}

function subject(): Subject<typeof arm64LpaeS1> {
  const config = { pgsizeBitmap: pgsizeBitmap(SZ_4K, SZ_2M), ias: 39, oas: 40 }
  const made = new Subject(NOWHERE, { base: 0x4000_0000n, size: 8 * SZ_2M }, arm64LpaeS1, config, RULES)
  made.draw({ count: 100, prots: [Prot.READ, Prot.READ | Prot.WRITE] })
  return made
}

/** A walker that is right about the model, and never looks at the tables. */
function modelWalker({ model }: Subject<typeof arm64LpaeS1>): Ask {
  return async (questions) =>
    questions.map(({ iova, access }): Answer => {
      const mapping = model.find(iova)
      if (mapping === undefined || !RULES.grants(mapping.prot, access)) return { fault: 'any' }
      return { paddr: (mapping.paddr + iova - mapping.iova) & ~0xfffn }
    })
}

it('counts what a right walker answers', async () => {
  const made = subject()
  await made.check(made.spots(50), modelWalker(made))
  const { mappings, translations, faults, wrong } = made.counts
  expect({ mappings, wrong }).toEqual({ mappings: 100, wrong: 0 })
  expect(translations).toBeGreaterThan(300)
  expect(faults).toBeGreaterThan(300)
})

it('refuses a walker that gives one address wrong', async () => {
  const made = subject()
  const right = modelWalker(made)
  const off: Ask = async (questions) =>
    (await right(questions)).map((answer, i) => (i === 0 && answer.paddr !== undefined ? { paddr: answer.paddr ^ 0x1000n } : answer))
  await expect(made.check(made.spots(0), off)).rejects.toThrow(/^1 answers differ \(seed 0x[0-9a-f]+\):\npriv read at 0x0: /)
})

it('refuses a flip that the walker does not see, and one where it was wrong before', async () => {
  const made = subject()
  const flips = [{ what: 'valid', mask: 1n }]
  await expect(made.catchFlips(flips, modelWalker(made))).rejects.toThrow('the walker does not see it')
  await expect(made.catchFlips(flips, async (questions) => questions.map(() => ({ fault: 'any' })))).rejects.toThrow('answers differ')
  expect(made.counts.wrong).toBe(0)
})

it('refuses scrambled leaves that the walker reads as they were', async () => {
  const made = subject()
  const judge = (): Pick<Answer, 'fault'> => ({ fault: 'any' })
  await expect(made.scramble({ count: 20, mask: () => 1n << 10n, judge }, modelWalker(made))).rejects.toThrow('answers differ')
})
