/** Worker threads that run a file of this folder: bundled, since Node 20 loads no TypeScript. */
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { build } from 'esbuild'

/** The code of a worker. */
export async function bundled(file: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(file, import.meta.url))],
    bundle: true,
    write: false,
    format: 'cjs',
    platform: 'node',
    conditions: ['@io-pgtable/source'],
  })
  return outputFiles[0]?.text ?? ''
}

/** Runs the code in a thread of its own. @returns what it posts first */
export function runWorker<T>(code: string, workerData: unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(code, { eval: true, workerData })
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', (status) => reject(new Error(`the worker ended with status ${status}`)))
  })
}
