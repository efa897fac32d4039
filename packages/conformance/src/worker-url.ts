/** Where the kit's worker is. It is built JavaScript, also when the kit itself runs from source: both lie one folder below the package. */
export const workerUrl: URL = new URL('../dist/worker.js', import.meta.url)
