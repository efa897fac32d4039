/** A stand-in for QEMU, so that these tests run without it, and whether a process is alive. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Answers every line of qtest but `hang` and `fail`. */
function script(version: string): string {
  return `#!/bin/sh
if [ "$1" = --version ]; then echo 'QEMU emulator version ${version}'; exit; fi
while read -r line; do
  case "$line" in
    hang) while :; do /bin/sleep 1; done ;;
    fail) echo 'FAIL unknown command' ;;
    quit) exit 3 ;;
    *) echo 'OK 0x2a' ;;
  esac
done
exec /bin/sleep 300
`
}

/** The path of a folder with nothing but a `qemu-system-riscv64` of that version, to be removed by the caller; undefined: without it. */
export function fakeQemu(version: string | undefined): { readonly path: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'io-pgtable-fake-qemu-'))
  const file = join(folder, 'qemu-system-riscv64')
  if (version !== undefined) {
    writeFileSync(file, script(version))
    chmodSync(file, 0o755)
  }
  return { path: folder, remove: () => rmSync(folder, { recursive: true }) }
}

/** A process that is dead but that nobody waited for is dead. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    // no such file: it ended meanwhile, or there is no /proc here
    return process.platform !== 'linux'
  }
}

/** Whether a process ends within five seconds. */
export async function ends(pid: number): Promise<boolean> {
  for (let left = 500; left > 0; left--) {
    if (!isAlive(pid)) return true
    await sleep(10)
  }
  return false
}
