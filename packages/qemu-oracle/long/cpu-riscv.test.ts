/** RISC-V CPUs of QEMU walk riscv64, riscv64-g (as guests) and sv32. */
import { type AnyFmt, type ConfigOf, type Geometry, type IoPageTable, SZ_4K } from '@io-pgtable/core'
import { type RiscvExtension, riscv64 } from '@io-pgtable/riscv64'
import { riscv64G } from '@io-pgtable/riscv64-g'
import { sv32 } from '@io-pgtable/sv32'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { outsideSpots } from '../src/cpu/outside.ts'
import { READ_AND_MAYBE_MORE } from '../src/cpu/question.ts'
import {
  granted,
  PBMTE,
  POINTER_FLIPS,
  RiscV,
  RV_ALL,
  RV_G_RULES,
  type RvRegisters,
  rvFlips,
  rvRules,
  rvScramble,
} from '../src/cpu/riscv.ts'
import type { Rules } from '../src/cpu/rules.ts'
import { physicalOf, Subject } from '../src/cpu/subject.ts'
import { PLACE_BYTES } from '../src/cpu/tags.ts'
import { record, requirement } from '../src/machine/index.ts'

const PBMT = 'memory types (Svpbmt) do nothing, and PBMT 3, which is reserved, does not fault; PBMT without Svpbmt does'
const NO_RAM = 'where there is no RAM the monitor translates, which tells permissions of reads alone'
const TABLES = 'tables lie below 2^36 (2^34 with Sv32): higher bits of table addresses are zero'
const LOW = 'a CPU takes the upper half of the low addresses for not canonical: they are not asked'
const G_RAM = 'output addresses of the G-stage are those of RAM, 35 bits: the monitor does not translate for a guest'

/** What differs between the formats. */
interface How<F extends AnyFmt> {
  readonly rules: Rules
  registers(table: IoPageTable<F>): RvRegisters
  /** With the extensions that the CPU has, whatever the table uses. */
  geometry(table: IoPageTable<F>): Geometry
  /** What a decoded leaf grants. */
  readonly reads: Rules['grants']
  /** Whether the monitor can be asked. */
  readonly monitor: boolean
  /** The last address that a CPU takes for its own. */
  readonly last: bigint
  readonly limits: readonly string[]
}

async function verify<F extends AnyFmt>(cpu: RiscV, format: F, name: string, config: ConfigOf<F>, how: How<F>): Promise<void> {
  const { qtest, version } = cpu.machine
  const { rules, last } = how
  const { tables, targets } = cpu.memory(config.oas)
  const subject = new Subject(qtest, tables, format, config, rules)
  const { table } = subject
  const anywhere = how.monitor ? subject.draw({ count: 1000, prots: READ_AND_MAYBE_MORE }) : []
  const inRam = subject.draw({
    count: (last < 1n << 38n ? 2 : 1) * (how.monitor ? 1200 : 2200),
    prots: READ_AND_MAYBE_MORE,
    target: targets,
  })
  const registers = how.registers(table)
  const monitor = subject.spotsIn(anywhere, 1n).filter(({ iova }) => iova <= last)
  if (how.monitor) await subject.check(monitor, cpu.monitor(registers), ['priv read', 'user read'])
  const spots = subject.aligned(subject.spots(500, inRam), PLACE_BYTES).filter(({ iova }) => iova <= last)
  cpu.tag(spots.filter(({ mapping }) => mapping !== undefined).map(physicalOf), targets)
  const ask = cpu.access(registers)
  const known = new Set(inRam)
  const inside = spots.filter(({ mapping }) => mapping === undefined || known.has(mapping))
  await subject.check(inside, ask, RV_ALL)
  const outside = subject.aligned(outsideSpots(table.geometry, subject.random, 200, 0), PLACE_BYTES)
  if (table.geometry.ias > 32) await subject.check(outside, ask, RV_ALL)
  const low = inRam.filter(({ iova, size }) => iova <= last && size === SZ_4K)
  const entryBytes = table.geometry.nodes[0]?.entryBytes ?? 8
  const scramble = rvScramble(table, how.geometry(table), how.reads, entryBytes === 8 ? 0xe0n << 56n : 0n)
  const where = { among: low, prepare: (paddrs: readonly bigint[]) => cpu.tag(paddrs, targets) }
  await subject.scramble({ ...scramble, ...where }, ask)
  await subject.catchFlips([...rvFlips(entryBytes, (registers.menvcfg ?? 0n) !== 0n), ...POINTER_FLIPS], ask, where)
  record(subject.outcome({ oracle: 'RISC-V MMU', config: name, qemu: version, limits: how.limits }))
}

const ALL = (1n << 64n) - 1n

function extensionsOf(menvcfg: bigint): readonly RiscvExtension[] {
  return menvcfg === 0n ? ['Svnapot'] : ['Svnapot', 'Svpbmt']
}

const rv64 = requirement('riscv64')
describe.skipIf(rv64.skip)(rv64.title('RV64'), () => {
  let cpu: RiscV
  beforeAll(async () => {
    cpu = await RiscV.start(64)
  })
  afterAll(() => cpu.stop())

  it.each(riscv64.configs)('riscv64, $name', async ({ name, config }) => {
    const menvcfg = config.quirks?.includes('SVPBMT') ? PBMTE : 0n
    const signed = config.quirks?.includes('SIGN_EXTEND') === true
    await verify(cpu, riscv64, name, config, {
      rules: rvRules(config.quirks?.includes('SUPERVISOR') === true),
      registers: ({ regs: { satp } }) => ({ satp, menvcfg }),
      geometry: (table) => riscv64.geometry({ ...riscv64.params(table.config), extensions: extensionsOf(menvcfg) }),
      reads: granted,
      monitor: true,
      last: signed ? ALL : (1n << BigInt(config.ias - 1)) - 1n,
      limits: signed ? [TABLES, PBMT, NO_RAM] : [TABLES, PBMT, NO_RAM, LOW],
    })
  })

  it.each(riscv64G.configs)('riscv64-g, $name', async ({ name, config }) => {
    const menvcfg = config.quirks?.includes('SVPBMT') ? PBMTE : 0n
    await verify(cpu, riscv64G, name, config, {
      rules: RV_G_RULES,
      registers: ({ regs: { hgatp } }) => ({ hgatp, menvcfg }),
      geometry: (table) => riscv64G.geometry({ ...riscv64G.params(table.config), extensions: extensionsOf(menvcfg) }),
      reads: RV_G_RULES.grants,
      monitor: false,
      last: ALL,
      limits: [TABLES, PBMT, G_RAM],
    })
  })
})

const rv32 = requirement('riscv32')
describe.skipIf(rv32.skip)(rv32.title('RV32'), () => {
  let cpu: RiscV
  beforeAll(async () => {
    cpu = await RiscV.start(32)
  })
  afterAll(() => cpu.stop())

  it.each(sv32.configs)('sv32, $name', async ({ name, config }) => {
    await verify(cpu, sv32, name, config, {
      rules: rvRules(config.quirks?.includes('SUPERVISOR') === true),
      registers: ({ regs: { satp } }) => ({ satp }),
      geometry: ({ geometry }) => geometry,
      reads: granted,
      monitor: true,
      last: ALL,
      limits: [TABLES, NO_RAM],
    })
  })
})
