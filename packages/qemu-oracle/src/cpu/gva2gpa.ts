/** The human monitor's `gva2gpa`: a walk by QEMU's MMU that moves no data. */
import type { MonitorClient } from '../machine/index.ts'
import type { Answer, Question } from './question.ts'

/** Asks for all, pipelined. It tells no reason where there is no translation. */
export async function guestPhysical(monitor: MonitorClient, questions: readonly Question[]): Promise<readonly Answer[]> {
  const texts = await Promise.all(questions.map(({ iova }) => monitor.human(`gva2gpa 0x${iova.toString(16)}`)))
  return texts.map((text) => {
    const found = /gpa: (0x[0-9a-f]+)/i.exec(text)?.[1]
    return found === undefined ? { fault: 'page' } : { paddr: BigInt(found) }
  })
}
