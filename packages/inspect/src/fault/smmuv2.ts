/**
 * Context faults of an SMMUv1 or SMMUv2: Arm System Memory Management Unit Architecture Specification, version 2.0 (IHI 0062), chapter 16:
 * SMMU_CBn_FSR, SMMU_CBn_FSYNR0, SMMU_CBn_FAR; SMMU_CBFRSYNRAn.
 */
import { type FaultType, type Field, field } from '@io-pgtable/core'
import { bit, checkedWord, type FaultReport, fieldsOf, reservedText, small } from './report.ts'

const MANUAL = 'Arm SMMU Architecture Specification version 2.0 (IHI 0062), SMMU_CBn_FSR, SMMU_CBn_FSYNR0, SMMU_CBFRSYNRAn'

interface Flag {
  readonly at: number
  readonly name: string
  readonly meaning: string
  readonly type?: FaultType
}

/** Flags of FSR; the first one that is set says why. */
const FLAGS: readonly Flag[] = [
  { at: 1, name: 'TF', meaning: 'translation fault: an invalid descriptor on the way', type: 'translation' },
  { at: 2, name: 'AFF', meaning: 'access flag fault', type: 'access-flag' },
  { at: 3, name: 'PF', meaning: 'permission fault', type: 'permission' },
  { at: 4, name: 'EF', meaning: 'external fault: the memory system answered with an error' },
  { at: 5, name: 'TLBMCF', meaning: 'TLB match conflict fault' },
  { at: 6, name: 'TLBLKF', meaning: 'TLB lock fault' },
  { at: 7, name: 'ASF', meaning: 'address size fault', type: 'address-size' },
  { at: 8, name: 'UUT', meaning: 'unsupported upstream transaction' },
]

const FSR = { section: 'SMMU_CBn_FSR' }
const SYN = { section: 'SMMU_CBn_FSYNR0' }
/** FSR in bits 31:0, FSYNR0 in 63:32, FAR in 127:64, CBFRSYNRA in 159:128. */
const FIELDS: readonly Field[] = [
  ...FLAGS.map(({ at, name, meaning }) => field(name, at, at, meaning, FSR)),
  field('FORMAT', 10, 9, 'the table format', {
    ...FSR,
    values: { 0: 'AArch32 short descriptors', 1: 'AArch32 long descriptors', 2: 'AArch64', 3: 'reserved' },
  }),
  field('SS', 30, 30, 'stalled: the transaction waits', FSR),
  field('MULTI', 31, 31, 'more faults while this one was recorded', FSR),
  field('PLVL', 33, 32, 'the level of the walk', SYN),
  field('WNR', 36, 36, 'write', { ...SYN, values: { 0: 'read', 1: 'write' } }),
  field('PNU', 37, 37, 'privileged', { ...SYN, values: { 0: 'unprivileged', 1: 'privileged' } }),
  field('IND', 38, 38, 'instruction', { ...SYN, values: { 0: 'data', 1: 'instruction' } }),
  field('NSSTATE', 39, 39, 'of a device that is not secure', SYN),
  field('NSATTR', 40, 40, 'not secure', SYN),
  field('PTWF', 42, 42, 'on a walk', SYN),
  field('AFR', 43, 43, 'asynchronous', SYN),
  field('S1CBNDX', 55, 48, 'of stage 2: the context bank of stage 1', SYN),
  field('FAR', 127, 64, 'the input address', { section: 'SMMU_CBn_FAR' }),
]
const STREAM = field('StreamID', 143, 128, 'the device', { section: 'SMMU_CBFRSYNRAn' })
const SSD = field('SSD_Index', 159, 144, 'security state index', { section: 'SMMU_CBFRSYNRAn' })

/** Decodes FSR, FSYNR0 and FAR, and CBFRSYNRA where it is known. @throws `EINVAL` */
export function decodeSmmuv2Fault([fsr = 0n, fsynr0 = 0n, far = 0n, cbfrsynra]: readonly bigint[]): FaultReport {
  const op = 'fault smmuv2'
  const stream = cbfrsynra === undefined ? 0n : checkedWord(op, cbfrsynra, 32)
  const raw = checkedWord(op, fsr, 32) | (checkedWord(op, fsynr0, 32) << 32n) | (checkedWord(op, far, 64) << 64n) | (stream << 128n)
  const set = FLAGS.filter(({ at }) => bit(raw, at))
  const [first] = set
  const told = fieldsOf(raw, cbfrsynra === undefined ? FIELDS : [...FIELDS, STREAM, SSD])
  const stalled = bit(raw, 30)
  const hasLevel = first?.type !== undefined
  return {
    kind: 'smmuv2',
    manual: MANUAL,
    name: set.map(({ name }) => name).join(' ') || 'no fault',
    explanation: [
      set.map(({ meaning }) => meaning).join('; ') || 'no flag of FSR says that there was a fault',
      ...(bit(raw, 42) ? ['the fault came from a read of a table'] : []),
      ...(bit(raw, 31) ? ['more faults followed, which left no record'] : []),
      ...(told.reserved === 0n ? [] : [reservedText(told.reserved)]),
    ].join('; '),
    ...(cbfrsynra !== undefined && { sid: small(raw, 143, 128) }),
    facts: { stalled, multiple: bit(raw, 31) },
    access: { iova: far, type: bit(raw, 38) ? 'execute' : bit(raw, 36) ? 'write' : 'read', privileged: bit(raw, 37) },
    fault: { ...(first?.type !== undefined && { type: first.type }), ...(hasLevel && { level: small(raw, 33, 32) }) },
    ...told,
  }
}
