/** Finding QEMU and talking to it, with a stand-in for it. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import type * as MachineModule from '../src/machine/index.ts'
import { ends, fakeQemu } from './helpers.ts'

const cleanups: (() => void)[] = []

/** The module, afresh: it remembers what is installed. */
async function withQemu(version: string | undefined, required = ''): Promise<typeof MachineModule> {
  const fake = fakeQemu(version)
  vi.stubEnv('PATH', fake.path)
  vi.stubEnv('REQUIRE_QEMU', required)
  vi.resetModules()
  cleanups.push(fake.remove)
  return import('../src/machine/index.ts')
}

afterEach(() => {
  vi.unstubAllEnvs()
  for (const cleanup of cleanups.splice(0)) cleanup()
})

const target = 'riscv64'
const args = () => []

describe('a QEMU', () => {
  it('that is there', async () => {
    const { installed, requirement } = await withQemu('10.1.0')
    expect(installed(target)).toEqual({ binary: 'qemu-system-riscv64', version: '10.1.0' })
    expect(requirement(target).skip).toBe(false)
    expect(requirement(target).title('all of it')).toBe('all of it')
  })

  it.each([
    [undefined, 'qemu-system-riscv64 is not on the PATH'],
    ['9.2.4', 'qemu-system-riscv64 is version 9.2.4'],
  ])('that is missing or too old (%s) says what to do', async (version, message) => {
    const { installed, requirement, Machine } = await withQemu(version)
    const whole = `ENODEV: qemu: ${message}: QEMU 10.0 or later is needed; scripts/install-qemu.sh installs it on Debian`
    expect(() => installed(target)).toThrow(whole)
    await expect(Machine.start({ target, args })).rejects.toThrow(whole)
    expect(requirement(target).skip).toBe(true)
    expect(requirement(target).title('all of it')).toBe(`all of it (skipped: ${whole})`)
  })

  it('that is missing though REQUIRE_QEMU=1 is a failure', async () => {
    const { requirement } = await withQemu(undefined, '1')
    expect(() => requirement(target)).toThrow('ENODEV: qemu: qemu-system-riscv64 is not on the PATH')
  })
})

describe('a machine', () => {
  it('answers, refuses, and ends', async () => {
    const { Machine } = await withQemu('10.0.2')
    const machine = await Machine.start({ target, args })
    expect(await machine.qtest.readq(0n)).toBe(42n)
    await expect(machine.qtest.request('fail')).rejects.toMatchObject({ code: 'EFAULT', message: expect.stringContaining('FAIL unknown') })
    // whoever does not wait for an answer learns of it here, once
    await expect(machine.qtest.settle()).rejects.toThrow('FAIL unknown command for fail')
    await machine.qtest.settle()
    expect(() => machine.monitor).toThrow('EINVAL: machine: started without { monitor: true }')
    await machine.stop()
    expect(await ends(machine.pid)).toBe(true)
    await expect(machine.qtest.readq(0n)).rejects.toMatchObject({ code: 'ENODEV' })
    await machine.stop()
  })

  it('answers thousands of requests in order', async () => {
    const { Machine } = await withQemu('10.0.2')
    const machine = await Machine.start({ target, args })
    const answers = await Promise.allSettled(Array.from({ length: 6000 }, (_, i) => machine.qtest.request(i % 7 === 3 ? 'fail' : 'read')))
    expect(answers.every(({ status }, i) => (status === 'rejected') === (i % 7 === 3))).toBe(true)
    await machine.stop()
  })

  it('that exits by itself fails what waits', async () => {
    const { Machine } = await withQemu('10.0.2')
    const machine = await Machine.start({ target, args })
    await expect(machine.qtest.request('quit')).rejects.toThrow('ENODEV: qemu: QEMU exited with 3')
    await machine.stop()
  })

  it('that hangs is killed', async () => {
    const { Machine } = await withQemu('10.0.2')
    const machine = await Machine.start({ target, args, stallMs: 100 })
    await expect(machine.qtest.request('hang')).rejects.toThrow('ENODEV: qemu: QEMU gave no answer to hang for 0.1 s')
    expect(await ends(machine.pid)).toBe(true)
  })

  it('does not outlive its time', async () => {
    const { Machine } = await withQemu('10.0.2')
    const machine = await Machine.start({ target, args, lifetimeMs: 100 })
    expect(await ends(machine.pid)).toBe(true)
    await expect(machine.qtest.readq(0n)).rejects.toThrow('SIGKILL')
  })
})
