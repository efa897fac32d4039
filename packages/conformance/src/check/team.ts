/** Workers: threads of Node, workers of a browser, or whatever is injected. */
import { workerUrl } from '../worker-url.ts'
import { builtin } from './environment.ts'
import { Fault } from './law.ts'
import type { WorkerAnswer, WorkerJob } from './worker-protocol.ts'

/** A thread that runs the kit's worker. */
export interface WorkerLike {
  post(job: unknown): void
  listen(onMessage: (answer: unknown) => void, onError: (error: unknown) => void): void
  stop(): void
}

/** Starts a worker from a module. */
export type StartWorker = (module: URL) => WorkerLike

interface NodeWorker {
  postMessage(job: unknown): void
  on(event: 'message' | 'error', listen: (value: unknown) => void): void
  terminate(): void
  unref(): void
}

/** How workers start here; undefined where there are none. */
export function defaultStart(): StartWorker | undefined {
  const threads = builtin<{ Worker: new (url: URL, options: { execArgv: string[] }) => NodeWorker }>('node:worker_threads')
  // without the options of this process: a test runner's make packages resolve to their sources
  if (threads !== undefined) return (url) => nodeWorker(new threads.Worker(url, { execArgv: [] }))
  if (typeof Worker === 'undefined') return undefined
  return (url) => webWorker(new Worker(url, { type: 'module' }))
}

function nodeWorker(worker: NodeWorker): WorkerLike {
  worker.unref()
  return {
    post: (job) => worker.postMessage(job),
    listen: (onMessage, onError) => {
      worker.on('message', onMessage)
      worker.on('error', onError)
    },
    stop: () => worker.terminate(),
  }
}

function webWorker(worker: Worker): WorkerLike {
  return {
    post: (job) => worker.postMessage(job),
    listen: (onMessage, onError) => {
      worker.onmessage = ({ data }) => onMessage(data)
      worker.onerror = onError
    },
    stop: () => worker.terminate(),
  }
}

interface Member {
  readonly worker: WorkerLike
  answer: (answer: WorkerAnswer) => void
  fail: (error: unknown) => void
}

const ANSWER_WITHIN = 30_000

/** The workers of one `checkFormat`, started when they are first wanted. */
export class Team {
  readonly #start: StartWorker
  readonly #members: Member[] = []

  constructor(start: StartWorker) {
    this.#start = start
  }

  /** Gives the member `i` a job. @returns what it says next: `paused`, or `done` */
  ask(i: number, job: WorkerJob): Promise<WorkerAnswer> {
    const member = (this.#members[i] ??= this.#join())
    const answer = this.next(i)
    member.worker.post(job)
    return answer
  }

  /** What a member says next. @throws Fault when it fails, or says nothing for half a minute */
  next(i: number): Promise<WorkerAnswer> {
    const member = this.#members[i]
    if (member === undefined) throw new Error(`worker ${i} was never asked`)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Fault(`worker ${i} does not answer`)), ANSWER_WITHIN)
      const end = <T>(settle: (value: T) => void): ((value: T) => void) => {
        return (value) => {
          clearTimeout(timer)
          settle(value)
        }
      }
      member.answer = end(resolve)
      member.fail = end((error) =>
        reject(new Fault(`worker ${i} failed: ${error instanceof Error ? error.message : JSON.stringify(error)}`)),
      )
    })
  }

  #join(): Member {
    const worker = this.#start(workerUrl)
    const member: Member = { worker, answer: () => {}, fail: () => {} }
    worker.listen(
      (answer) => member.answer(answer as WorkerAnswer),
      (error) => member.fail(error),
    )
    return member
  }

  /** Ends all workers. */
  stop(): void {
    for (const { worker } of this.#members.splice(0)) worker.stop()
  }
}
