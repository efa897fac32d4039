/** x86-64 CPUs of QEMU walk x86-64 with 4 and 5 levels. */
import { inputRanges, Prot, SZ_4K } from '@io-pgtable/core'
import { x8664 } from '@io-pgtable/x86-64'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { X86_DATA, X86_MAILBOX, X86_ROM, X86_USER_CODE } from '../src/cpu/guest-x86.ts'
import { outsideSpots } from '../src/cpu/outside.ts'
import { READ_AND_MAYBE_MORE } from '../src/cpu/question.ts'
import { physicalOf, Subject } from '../src/cpu/subject.ts'
import { PLACE_BYTES } from '../src/cpu/tags.ts'
import { X86, X86_TABLES, X86_TARGETS, x86Flips, x86PointerFlips, x86Rules, x86Scramble } from '../src/cpu/x86.ts'
import { record, requirement } from '../src/machine/index.ts'

const LIMITS = [
  'tables lie below 2^36: higher bits of table addresses are zero',
  'where there is no RAM the monitor translates, whose walker is a simpler one: neither permissions nor reserved bits',
  'memory types (PWT, PCD, PAT) do nothing; SMEP, SMAP and protection keys are off',
  'output addresses have 40 bits: those above fault as reserved, as they must',
]

const qemu = requirement('x86_64')
describe.skipIf(qemu.skip)(qemu.title('x86-64 CPUs'), () => {
  const plain = x8664.configs.filter(({ config }) => (config.encryptionBit ?? 0) === 0)
  describe.each([4, 5] as const)('%i levels', (levels) => {
    let cpu: X86
    beforeAll(async () => {
      cpu = await X86.start(levels)
    })
    afterAll(() => cpu.stop())

    it.each(plain.filter(({ config }) => config.ias > 48 === (levels === 5)))('$name', async ({ name, config }) => {
      const { qtest, version } = cpu.machine
      const rules = x86Rules(config.quirks ?? [])
      const subject = new Subject(qtest, X86_TABLES, x8664, config, rules)
      const { table } = subject
      const self = (at: number, size: number, prot: Prot) => subject.fix({ iova: BigInt(at), paddr: BigInt(at), size, prot })
      self(X86_ROM, SZ_4K, Prot.READ | Prot.PRIV)
      self(X86_DATA.base, X86_DATA.bytes, Prot.READ | Prot.WRITE | Prot.PRIV)
      self(X86_USER_CODE, SZ_4K, Prot.READ)
      self(X86_MAILBOX.base, X86_MAILBOX.bytes, Prot.READ | Prot.WRITE | Prot.PRIV)
      const anywhere = subject.draw({ count: 1000, prots: READ_AND_MAYBE_MORE })
      const inRam = subject.draw({ count: 1200, prots: READ_AND_MAYBE_MORE, target: X86_TARGETS })
      const { cr3 } = table.regs
      await subject.check(subject.spotsIn(anywhere, 1n), cpu.monitor(cr3), ['priv read'])
      const known = new Set(inRam)
      const spots = subject.aligned(subject.spots(500, inRam), PLACE_BYTES)
      const inside = spots.filter(({ mapping }) => mapping === undefined || known.has(mapping))
      cpu.tag(inside.filter(({ mapping }) => mapping !== undefined).map(physicalOf))
      const ask = cpu.access(cr3)
      await subject.check(inside, ask)
      const outside = subject.aligned(outsideSpots(table.geometry, subject.random, 200, 0), PLACE_BYTES)
      const top = inputRanges(table.geometry).length === 1 ? table.geometry.ias : table.geometry.ias - 1
      const canonical = (iova: bigint): boolean => iova < 1n << BigInt(top) || iova >= (1n << 64n) - (1n << BigInt(levels === 5 ? 56 : 47))
      const questions = outside.flatMap(({ iova }) => rules.accesses.map((access) => ({ iova, access })))
      const expected = questions.map(({ iova }) => ({ fault: canonical(iova) ? 'translation' : 'general protection' }))
      await subject.expect(questions, expected, ask)
      const small = inRam.filter(({ size }) => size === SZ_4K)
      const where = { among: small, prepare: (paddrs: readonly bigint[]) => cpu.tag(paddrs) }
      await subject.scramble({ ...x86Scramble(table), ...where }, ask)
      await subject.catchFlips([...x86Flips(config.quirks ?? []), ...x86PointerFlips], ask, where)
      record(subject.outcome({ oracle: 'x86-64 MMU', config: name, qemu: version, limits: LIMITS }))
    })
  })
})
