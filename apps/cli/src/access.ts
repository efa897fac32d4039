/** The access that a command line asks about. */
import { ACCESS_KINDS, type Access, type AccessKind, hex } from '@io-pgtable/core'
import { type Command, Option } from 'commander'
import { integer, UsageError } from './usage.ts'

export interface AccessOptions {
  readonly access?: AccessKind
  readonly user?: true
  readonly privileged?: true
  readonly esr?: bigint
  readonly errorCode?: bigint
}

export function accessOptions(command: Command): Command {
  return command
    .addOption(new Option('--access <kind>', 'the access that is asked about').choices(ACCESS_KINDS))
    .option('--user', 'it is one of a user')
    .option('--privileged', 'it is privileged (the default)')
    .option('--esr <value>', 'in their place: ESR_ELx of the fault', integer)
    .option('--error-code <value>', 'in their place: the error code of an x86 page fault', integer)
}

/** The access of the options; undefined where none is asked about. @throws UsageError for options that contradict each other */
export function accessOf({ access, user, privileged, esr, errorCode }: AccessOptions): Access | undefined {
  const ways = [access, esr, errorCode].filter((way) => way !== undefined).length
  if (ways > 1) throw new UsageError('one of --access, --esr and --error-code expected')
  if (user && privileged) throw new UsageError('either --user or --privileged expected')
  const who = user ? '--user' : privileged ? '--privileged' : undefined
  if (who !== undefined && access === undefined)
    throw new UsageError(ways === 0 ? `${who} goes with --access` : `${who}: the value given says who it was`)
  if (esr !== undefined) return ofEsr(esr)
  if (errorCode !== undefined) return ofErrorCode(errorCode)
  return access === undefined ? undefined : { access, privileged: user !== true }
}

/** ESR_ELx (DDI 0487 D24.2): EC 31:26; of a data abort WnR (6), and CM (8), a cache maintenance, which counts as a read. */
function ofEsr(esr: bigint): Access {
  const ec = Number((esr >> 26n) & 0x3fn)
  if (ec !== 0x20 && ec !== 0x21 && ec !== 0x24 && ec !== 0x25)
    throw new UsageError(`--esr ${hex(esr)}: exception class ${hex(ec)}: an abort, 0x20, 0x21, 0x24 or 0x25, expected`)
  const isWrite = (esr & (1n << 6n)) !== 0n && (esr & (1n << 8n)) === 0n
  return { access: ec < 0x22 ? 'execute' : isWrite ? 'write' : 'read', privileged: (ec & 1) === 1 }
}

/** The error code of a page fault (SDM 4.7): W/R (1), U/S (2), I/D (4). */
function ofErrorCode(code: bigint): Access {
  return { access: code & 16n ? 'execute' : code & 2n ? 'write' : 'read', privileged: (code & 4n) === 0n }
}

/** `a read by a user`. */
export function accessText({ access, privileged }: Access): string {
  return `${access} by ${privileged ? 'the privileged' : 'a user'}`
}
