/** Process table entries, directories, leaves, rights and interrupts by hand: Power ISA 3.1, book III, 6.7. */
import { AccessRules, decode, nodeOf, type ReadMemory, rightsByParty } from '@io-pgtable/core'
import { expect, test } from 'vitest'
import { ppc64Radix } from '../src/index.ts'

/** Big-endian doublewords. */
function memory(entries: Readonly<Record<number, bigint>>): ReadMemory {
  const view = new DataView(new ArrayBuffer(0x10_0000))
  for (const [at, entry] of Object.entries(entries)) view.setBigUint64(Number(at), entry)
  return (paddr, bytes) => (paddr < 0x10_0000n ? new Uint8Array(view.buffer).subarray(Number(paddr), Number(paddr) + bytes) : undefined)
}
const PRTE = 0x4000_0000_0001_00adn
/** Of a real kernel: process 3 and its way to a page, at addresses of ours. */
const read = memory({
  4096: 0x4000_0000_0003_00adn,
  4144: PRTE,
  65536: 0x8000_0000_0005_0009n,
  327680: 0x8000_0000_0005_1009n,
  [0x5_1000 + 8 * 128]: 0x8000_0000_0005_2009n,
  [0x5_1000 + 8 * 129]: 0x8000_0000_0005_3105n,
  335872: 0xc000_0000_1f67_0105n,
  340224: 0xc000_0000_2345_f007n,
  196608: 0x8000_0000_0006_0009n,
  393216: 0x8000_0000_0006_1009n,
  397312: 0xc000_0000_0000_018dn,
})

test('roots are found by way of the process table', () => {
  const [found] = ppc64Radix.rootsFromRegs({ processTable: 0x1000n, pid: 3n }, read)
  expect(found).toEqual({
    name: 'process',
    params: { isKernel: false },
    roots: [0x1_0000n],
    first: 0n,
    last: (1n << 52n) - 1n,
    context: undefined,
  })
  expect(ppc64Radix.rootsFromRegs({ processTable: 0x1000n, pid: 0n }, read)).toMatchObject([
    { name: 'kernel', roots: [0x3_0000n], first: 0xc000_0000_0000_0000n, last: 0xc00f_ffff_ffff_ffffn },
  ])
  expect(ppc64Radix.rootsFromRegs({ processTable: 0x1000n, pid: 5n }, read)).toEqual([])
  expect(() => ppc64Radix.rootsFromRegs({ processTable: 0x1000n, pid: 3n })).toThrow(expect.objectContaining({ code: 'EINVAL' }))
  expect(() => ppc64Radix.rootsFromRegs({ processTable: 0x20_0000n, pid: 3n }, read)).toThrow(expect.objectContaining({ code: 'EFAULT' }))
  for (const [entry, message] of [
    [0x4000_0000_0001_00a9n, /RTS 21 and RPDS 9: 21 \(52 bits\) and 13/],
    [0x0000_0000_0001_00adn, /RTS 5/],
    [0x4000_0000_0001_01adn, /aligned to 0x10000/],
  ] as const)
    expect(() => ppc64Radix.rootsFromRegs({ processTable: 0x1000n, pid: 0n }, memory({ 4096: entry }))).toThrow(message)
  expect(() => ppc64Radix.rootsFromRegs({ processTable: 0n, pid: 1n << 20n }, read)).toThrow(/pid 0x100000: 20 bits/)
})

function rulesOf(pid: bigint) {
  const [root] = ppc64Radix.rootsFromRegs({ processTable: 0x1000n, pid }, read)
  const rules = new AccessRules(ppc64Radix, ppc64Radix.geometry(root!.params), undefined)
  return { rules, to: (address: bigint) => rules.translate(root!.roots, read, address) }
}

test('the shapes: pages of 4 KiB and, chosen by NLS, of 64 KiB; a leaf of 2 MiB; quadrant 3', () => {
  const { to } = rulesOf(3n)
  expect(to(0x1000_0123n)).toMatchObject({ paddr: 0x1f67_0123n, level: 3, fault: undefined })
  expect(to(0x1020_5678n)).toMatchObject({ paddr: 0x2345_5678n, level: 3, memory: { name: 'normal' } })
  expect(rulesOf(0n).to(0xc000_0000_0001_2345n)).toMatchObject({ paddr: 0x1_2345n, level: 2 })
  expect(rulesOf(0n).to(0x1000n).fault).toMatchObject({ type: 'translation', level: undefined })
})

test('entries: what NLS no CPU has, a page of 512 GiB, a directory at the last level', () => {
  const { geometry } = rulesOf(3n).rules
  const at = (id: string, raw: bigint) => decode(geometry, nodeOf(geometry, id), raw)
  expect(at('D0', 0x8000_0000_042b_a009n)).toMatchObject({ type: 'table', next: 0x42b_a000n, child: { level: 1 }, reserved: 0n })
  expect(at('D2', 0x8000_0000_0005_3105n)).toMatchObject({ type: 'table', next: 0x5_3100n, child: { bits: 5, shift: 16 } })
  expect(at('D1', 0x8000_0000_0005_3105n)).toMatchObject({ type: 'invalid' })
  expect(at('D0', 0xc000_0000_0000_0105n)).toMatchObject({ type: 'invalid' })
  expect(at('D3', 0x8000_0000_0005_3105n)).toMatchObject({ type: 'invalid' })
  expect(at('D1', 0xc000_0000_4000_018dn)).toMatchObject({ type: 'leaf', paddr: 0x4000_0000n, size: { pgsize: 2 ** 30 } })
  expect(at('D1', 0x4000_0000_4000_018dn)).toMatchObject({ type: 'empty' })
})

test.each([
  [0b0000n, '--- ---'],
  [0b0001n, '--x --x'],
  [0b0100n, 'r-- r--'],
  [0b0010n, 'rw- rw-'],
  [0b0111n, 'rwx rwx'],
  [0b1110n, '--- rw-'],
  [0b1101n, '--- r-x'],
])('EAA %i: %s', (eaa, expected) => {
  const { rules } = rulesOf(3n)
  const leaf = decode(rules.geometry, nodeOf(rules.geometry, 'D3'), (3n << 62n) | eaa)
  expect(Object.values(rightsByParty(rules.path([leaf]).rights, rules.parties)).join(' ')).toBe(expected)
})

test('storage attributes, and interrupts', () => {
  const { rules } = rulesOf(3n)
  const path = (raw: bigint, id = 'D3') => rules.path([decode(rules.geometry, nodeOf(rules.geometry, id), raw)])
  expect([0n, 1n, 2n, 3n].map((att) => path((3n << 62n) | (att << 4n)).memory?.caching)).toEqual(['cached', 'cached', 'device', 'uncached'])
  const codes = (raw: bigint, access: 'read' | 'write' | 'execute', id?: string) => {
    const fault = rules.fault(path(raw, id), { access, privileged: true })
    return fault && ppc64Radix.fault?.(fault, undefined).codes
  }
  expect(codes(0n, 'read')).toEqual({ vector: 0x300, dsisr: 0x4000_0000 })
  expect(codes((3n << 62n) | 4n, 'write')).toEqual({ vector: 0x300, dsisr: 0x0a00_0000 })
  expect(codes((3n << 62n) | 4n, 'execute')).toEqual({ vector: 0x400, srr1: 0x1000_0000 })
  expect(codes((2n << 62n) | 7n, 'read', 'D0')).toEqual({ vector: 0x300, dsisr: 0x8_0000 })
  expect(codes((3n << 62n) | 4n, 'read')).toBeUndefined()
})

test.each([
  [{ ias: 48 }, /ias 48: 52 expected/],
  [{ pgsizeBitmap: 0x2000n }, /pgsizeBitmap 0x2000/],
])('the configuration %o is refused', (change, message) => {
  const config = { ...ppc64Radix.configs[0]!.config, ...change }
  expect(() => ppc64Radix.configure(config)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringMatching(message) }))
})
